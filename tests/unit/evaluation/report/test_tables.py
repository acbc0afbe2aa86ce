"""Results on a terminal."""

from io import StringIO

from rich.console import Console

from rag_qa.evaluation.compare.gate import Verdict
from rag_qa.evaluation.report.tables import show_gate


def test_ids_give_no_orders_to_the_terminal():
    text = StringIO()
    show_gate(Verdict(["new: \x1b[31m\nX"], ["gone: \x1b[31m\u202eY"]), Console(file=text, markup=False))
    assert text.getvalue().splitlines()[:2] == ["holds   new: [31m X", "failed  gone: [31m Y"]
