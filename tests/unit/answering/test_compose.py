"""What an answer shows: in turns where a question has halves, and within a budget."""

import numpy as np
import pytest

from rag_qa.answering.compose import Found, in_turns, within_budget
from rag_qa.answering.evidence import Evidence
from rag_qa.retrieval.fusion import Hit
from rag_qa.retrieval.query import Query, QueryVariant
from rag_qa.retrieval.retriever import Result, Results
from rag_qa.types import DocumentInfo, Passage


@pytest.mark.parametrize(
    ("budget", "chosen"), [(None, [0, 1, 2, 3]), (100, [0, 1]), (70, [0, 3]), (50, [0]), (30, [3]), (10, [])]
)
def test_budget_passes_over_what_does_not_fit(budget, chosen):
    assert within_budget([50, 50, 60, 20], budget) == chosen


def passage(start):
    return Passage(start=start, end=start + 1, text="x", context="", page=None, line=1, tokens=1, sentences=())


def found(*starts, duplicates=None):
    """A ranking of passages of one document by where they start, each with its duplicates."""
    document = DocumentInfo(id="d", path="d.txt", title="", source="d.txt", sha256="", parser="", characters=9)
    results = tuple(
        Result(
            Hit(start, 0.5, 0.5, 0.5),
            document,
            passage(start),
            tuple((document, passage(other)) for other in (duplicates or {}).get(start, ())),
        )
        for start in starts
    )
    variant = QueryVariant("q", np.zeros(1, np.float32), {}, {}, 1.0)
    return Found(Query("q", (variant,), (), 0.0), Results(results, results, 0.0, 0.0), Evidence({}, None))


def starts(taken):
    return [result.passage.start for _, result in taken]


def test_one_ranking_is_taken_as_it_is():
    assert starts(in_turns([found(3, 1, 2)], 2)) == [3, 1]


def test_several_rankings_are_taken_in_turns_each_passage_once():
    whole, first, second = found(1, 2, 3), found(2, 4), found(5, 1, 6)
    taken = in_turns([whole, first, second], 5)
    assert starts(taken) == [1, 2, 5, 4, 3]
    assert [each is whole for each, _ in taken] == [True, False, False, False, True]
    assert starts(in_turns([whole, first, second], 1)) == [1]


def test_a_duplicate_of_what_was_taken_is_not_taken():
    assert starts(in_turns([found(1, duplicates={1: [7]}), found(7, 8)], 5)) == [1, 8]
    assert starts(in_turns([found(), found(2)], 5)) == [2]
