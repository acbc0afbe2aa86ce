"""Reports to compare with."""

import pytest

from rag_qa.errors import GoldError
from rag_qa.evaluation.compare.comparison import load_reports


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is no report"),
        ('{"metrics": 3}', "is no report"),
        (None, "cannot be read"),
        ("\xff", "is no report"),
        ('{"collection": "\xff"}', "is no report"),
        ("", "is no report"),
        ('{"collection": ' + "[" * 300_000, "is no report"),
    ],
)
def test_a_base_that_is_no_report(tmp_path, content, message):
    path = tmp_path / "base.json"
    if content is not None:
        path.write_bytes(content.encode("latin-1"))
    with pytest.raises(GoldError, match=message):
        load_reports(path)
