"""What speaks for each sentence, by hand."""

import numpy as np
import pytest

from rag_qa.answering.evidence import Evidence, SentenceEvidence, weigh
from rag_qa.retrieval.fusion import Hit
from rag_qa.retrieval.query import Query, QueryVariant
from rag_qa.retrieval.retriever import Result, Results
from rag_qa.text.structure import sentences
from rag_qa.types import DocumentInfo, Passage

TEXTS = ["The harbour opens. Ships pay a fee of ten crowns.", "It closed in May 1990."]
DOCUMENT = DocumentInfo(id="d", path="d.txt", title="", source="d.txt", sha256="", parser="", characters=99)


class Similarities:
    """An index that knows the inner products of the sentences by row, for two variants."""

    def __init__(self):
        self.by_row = {0: [[0.5, 0.25], [0.75, 0.125]], 1: [[0.875], [0.0]]}
        self.asked = []

    def sentence_scores(self, vectors, rows):
        assert vectors.shape == (2, 3)
        self.asked.append(list(rows))
        return [np.array(self.by_row[row], dtype=np.float32) for row in rows]


def result(row, score, variant=0):
    spans = tuple((start + 10, end + 10) for start, end in sentences(TEXTS[row]))
    passage = Passage(
        start=10, end=10 + len(TEXTS[row]), text=TEXTS[row], context="", tokens=9, line=1, sentences=spans
    )
    return Result(Hit(row, score, 0.0, 0.0, variant), DOCUMENT, passage)


def variant(text, **shares):
    return QueryVariant(text, np.zeros(3, np.float32), dict.fromkeys(shares, 1), shares, 1.0)


QUERY = Query("q", (variant("When is the fee due?", fee=0.75, harbour=0.25), variant("How much?", crown=1.0)), (), 0.0)


def results(fused, ranked):
    return Results(tuple(fused), tuple(ranked), 0.0, 0.0)


def test_each_sentence_by_the_variant_that_its_passage_has_its_score_by():
    first, second = result(0, 0.9), result(1, 0.4)
    found = weigh(QUERY, results([first, second], [first, second]), 5, Similarities())
    assert found.sentences == {
        0: SentenceEvidence(shared=[0.25, 0.75], similarity=[0.5, 0.25], holds=[False, False]),
        1: SentenceEvidence(shared=[0.0], similarity=[0.875], holds=[True]),  # 1990 is a date
    }
    by_other = result(0, 0.9, variant=1)
    found = weigh(QUERY, results([by_other], [by_other]), 5, Similarities())
    assert found.sentences == {
        0: SentenceEvidence(shared=[0.0, 1.0], similarity=[0.75, 0.125], holds=[False, True])  # ten is a number
    }


def test_the_best_sum_of_the_best_passage_before_reranking_is_a_feature():
    first, second = result(0, 0.9), result(1, 0.4)
    found = weigh(QUERY, results([first, second], [second, first]), 1, Similarities())
    assert found.features.sentence == 0.75 + 0.25
    assert found.features.score == 0.9
    assert found.features.lead == pytest.approx(0.9 - 0.65)


def test_only_what_may_be_shown_and_the_best_before_reranking_are_compared():
    first, second = result(0, 0.9), result(1, 0.4)
    index = Similarities()
    assert weigh(QUERY, results([first, second], [first, second]), 1, index).sentences.keys() == {0}
    assert weigh(QUERY, results([first, second], [second, first]), 1, index).sentences.keys() == {0, 1}
    assert index.asked == [[0], [0, 1]]


def test_nothing_found_has_no_evidence():
    assert weigh(QUERY, results([], []), 5, Similarities()) == Evidence({}, None)
