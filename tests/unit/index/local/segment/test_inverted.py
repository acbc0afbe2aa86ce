"""The two search structures on small collections with numbers that can be computed by hand."""

import math
from collections import Counter

import numpy as np
import pytest
from support.structures import built_lexical, write_lexical

from rag_qa.errors import IndexDamagedError
from rag_qa.index.local.segment.inverted import InvertedIndex
from rag_qa.index.local.segment.tombstones import Tombstones, write_ballast
from rag_qa.text.analysis import analyze

TEXTS = [
    "the harbour opens",
    "ships and ships and more ships",
    "the harbour closes when ships arrive",
    "nothing of the kind",
]


def terms(question):
    return Counter(analyze(question))


@pytest.fixture
def lexical(tmp_path) -> InvertedIndex:
    return built_lexical(tmp_path, TEXTS)


def bm25(frequency, length, document_frequency, texts=TEXTS):
    """BM25 with k1 = 1.2 and b = 0.75 (Robertson and Zaragoza 2009), as tantivy has it."""
    average = sum(len(text.split()) for text in texts) / len(texts)
    idf = math.log(1 + (len(texts) - document_frequency + 0.5) / (document_frequency + 0.5))
    return idf * frequency * 2.2 / (frequency + 1.2 * (0.25 + 0.75 * length / average))


def test_bm25_by_hand(lexical):
    found = lexical.search(terms("ship"), 10)
    assert list(found) == [1, 2]
    assert found[1] == pytest.approx(bm25(3, 6, 2), rel=1e-5)
    assert found[2] == pytest.approx(bm25(1, 6, 2), rel=1e-5)


def test_a_repeated_term_counts_as_often_as_it_stands_there(lexical):
    once, twice = lexical.search(terms("ships"), 10), lexical.search(terms("ships ships"), 10)
    assert twice == pytest.approx({row: 2 * score for row, score in once.items()}, rel=1e-5)


def test_words_are_stemmed_and_function_words_left_out(lexical):
    assert analyze("What did the inspectors recommend? Recommendations!") == ["inspector", "recommend", "recommend"]
    assert lexical.search(terms("the and of what"), 10) == {}
    assert list(lexical.search(terms("Shipping"), 10)) == [1, 2]


@pytest.mark.parametrize(
    "question", ["harbour AND (", "text:harbour^9", '"harbour', "harbour*", "row:1 OR harbour", "-harbour"]
)
def test_what_a_person_typed_is_no_query_syntax(lexical, question):
    assert set(lexical.search(terms(question), 10)) == {0, 2}


def test_equal_scores_are_ordered_by_row_also_at_the_cut(tmp_path):
    lexical = built_lexical(tmp_path, ["same words"] * 30)
    assert list(lexical.search(terms("words"), 15)) == list(range(15))


def test_idf_is_inverse_document_frequency(lexical):
    idf = lexical.idf(terms("harbour unicorn"))
    assert idf == {"harbour": pytest.approx(math.log(2)), "unicorn": pytest.approx(math.log(10))}


def test_lexical_index_must_hold_as_many_texts_as_there_are_passages(tmp_path):
    write_lexical(tmp_path, TEXTS, 1)
    with pytest.raises(IndexDamagedError, match="not the 5 texts"):
        InvertedIndex.open({1: tmp_path}, {1: np.arange(5)})
    with pytest.raises(IndexDamagedError, match="cannot be read"):
        InvertedIndex.open({1: tmp_path / "nowhere"}, {1: np.arange(4)})


@pytest.fixture
def with_tombstones(tmp_path) -> InvertedIndex:
    """TEXTS in two segments, with texts in between that are deleted."""
    rows = {2: np.array([0, -1, 1, -1]), 5: np.array([-1, 2, 3])}
    deleted = Tombstones()
    deleted.add(["the ships of the harbour", "a very long text that speaks of nothing but unicorns and their horns"])
    deleted.add(["a pilot"])
    words = write_lexical(tmp_path / "a", [TEXTS[0], "the ships of the harbour", TEXTS[1], "a pilot"], 2)
    words += write_lexical(
        tmp_path / "b", ["a very long text that speaks of nothing but unicorns and their horns", *TEXTS[2:]], 5
    )
    (tmp_path / "ballast").mkdir()
    write_ballast(tmp_path / "ballast", len(TEXTS), words - deleted.terms, deleted)
    return InvertedIndex.open({2: tmp_path / "a", 5: tmp_path / "b"}, rows, deleted, tmp_path / "ballast")


@pytest.mark.parametrize("question", ["ships", "harbour ships", "ships ships closes", "the nothing kind", "unicorns"])
def test_passages_that_are_gone_do_not_count(with_tombstones, tmp_path, question):
    (tmp_path / "one").mkdir()
    alone = built_lexical(tmp_path / "one", TEXTS)
    expected = alone.search(terms(question), 10)
    assert with_tombstones.search(terms(question), 10) == pytest.approx(expected, rel=1e-5)
    assert list(with_tombstones.search(terms(question), 10)) == list(expected)
    assert list(with_tombstones.search(terms(question), 1)) == list(expected)[:1]
    assert with_tombstones.idf(terms(question)) == pytest.approx(alone.idf(terms(question)))


def test_bm25_by_hand_over_segments_with_tombstones(with_tombstones):
    found = with_tombstones.search(terms("ship"), 10)
    assert found[1] == pytest.approx(bm25(3, 6, 2), rel=1e-5)
    assert found[2] == pytest.approx(bm25(1, 6, 2), rel=1e-5)


def test_a_row_that_there_is_not_is_damage(tmp_path):
    write_lexical(tmp_path, TEXTS, 7)
    index = InvertedIndex.open({1: tmp_path}, {1: np.arange(4)})
    with pytest.raises(IndexDamagedError, match="name a passage that there is not"):
        index.search(terms("ships"), 10)
