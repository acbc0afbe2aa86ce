"""Gold files that can be measured with, and what is said of others."""

import json

import pytest

from rag_qa.errors import GoldError
from rag_qa.evaluation.gold.gold_file import load_gold


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "Line 2 of .* is no gold question"),
        ('{"id": "1", "question": "what?", "answerable": true, "evidence": []}', "repeats the id “1”"),
        ('{"id": "2", "question": "what?", "answerable": true}', "needs evidence"),
        ('{"id": "2", "question": 7, "answerable": true}', "Expected `str`"),
    ],
)
def test_broken_gold_is_named_by_line(tmp_path, line, message):
    path = tmp_path / "gold.jsonl"
    path.write_text('{"id": "1", "question": "what?", "answerable": false}\n' + line + "\n")
    with pytest.raises(GoldError, match=message):
        load_gold(path)


def test_a_quote_may_hold_what_some_take_for_a_line_end(tmp_path):
    path = tmp_path / "gold.jsonl"
    evidence = {"document": "a.txt", "quote": "one\u2028two\x85three\x0cfour"}
    line = {"id": "1", "question": "what?", "answerable": True, "evidence": [evidence]}
    path.write_text(json.dumps(line, ensure_ascii=False))
    assert load_gold(path)[0].evidence[0].quote == evidence["quote"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "holds no question"),
        ('{"id": "1", "question": "what?", "answerable": false}\n', "None of the 1 questions .* is answerable"),
        ("\n" * 16 + "{broken\n", "Line 17 of .* is no gold question"),
    ],
)
def test_gold_that_nothing_can_be_measured_with(tmp_path, content, message):
    path = tmp_path / "gold.jsonl"
    path.write_text(content)
    with pytest.raises(GoldError, match=message):
        load_gold(path)
