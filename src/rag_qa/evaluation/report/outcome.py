"""All that one command found out about a collection."""

from msgspec import Struct

from rag_qa.evaluation.compare.ablation import Ablation
from rag_qa.evaluation.compare.comparison import Comparison
from rag_qa.evaluation.compare.gate import Verdict
from rag_qa.evaluation.results import Report

__all__ = ["Outcome"]


class Outcome(Struct, frozen=True):
    """A report, and what was asked for besides."""

    report: Report
    comparison: Comparison | None = None
    gate: Verdict | None = None
    ablation: Ablation | None = None
