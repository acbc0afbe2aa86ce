"""Passages judged by the evidence, by hand."""

import pytest

from rag_qa.evaluation.results import Span
from rag_qa.evaluation.run.judge import judge, text_measures
from rag_qa.evaluation.run.spans import TokenGrid
from rag_qa.types import Citation, Highlight, RankedPassage, Scores


def passage(document, start, text, marks=()):
    """A passage as the engine gives it; marks are offsets in the document."""
    end = start + len(text)
    return RankedPassage(
        rank=1,
        score=1.0,
        scores=Scores(0.5, 1.0),
        text=text,
        tokens=1,
        highlights=[Highlight(left, right, text[left - start : right - start]) for left, right in marks],
        citation=Citation(
            id="x", document=document, title="", source="", sha256="", start=start, end=end, page=None, line=1
        ),
    )


def test_measures_of_text_by_hand():
    text = "Ships pay ten crowns. They pay at noon. Boats are free."
    spans = [Span("d", 10, 38)]  # "ten crowns. They pay at noon"
    found = [judge(passage("d", 0, text, [(0, 21), (22, 39)]), spans), judge(passage("e", 0, "Nothing."), spans)]
    measures = text_measures(found, spans, TokenGrid({"d": text, "e": "Nothing."}.__getitem__))
    assert measures["highlight@1"] == measures["highlight@3"] == 1
    assert measures["quote_marked@3"] == 1  # two marked sentences with a space between them count as one
    assert measures["marked_share"] == pytest.approx((38 / 55 + 0) / 2)
    assert measures["char_recall@5"] == 1
    assert measures["char_precision@5"] == measures["char_iou@5"] == 28 / (55 + 8)
    assert measures["marked_char_recall@5"] == pytest.approx(27 / 28)
    assert measures["marked_char_precision@5"] == pytest.approx(27 / 38)
    assert measures["marked_char_iou@5"] == pytest.approx(27 / 39)


def test_a_quote_that_is_marked_in_part_is_not_marked_whole():
    spans = [Span("d", 10, 38)]
    found = [judge(passage("d", 0, "Ships pay ten crowns. They pay at noon.", [(0, 21)]), spans)]
    measures = text_measures(found, spans, TokenGrid(lambda _: "Ships pay ten crowns. They pay at noon."))
    assert (measures["highlight@3"], measures["quote_marked@3"]) == (1, 0)
