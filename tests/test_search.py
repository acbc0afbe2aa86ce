"""The two search structures on small collections with numbers that can be computed by hand."""

import math

import numpy as np
import pytest

from rag_qa.errors import IndexDamagedError
from rag_qa.lexical import LexicalIndex, analyze
from rag_qa.vectors import VectorIndex

TEXTS = [
    "the harbour opens",
    "ships and ships and more ships",
    "the harbour closes when ships arrive",
    "nothing of the kind",
]


@pytest.fixture
def lexical(tmp_path) -> LexicalIndex:
    LexicalIndex.build(tmp_path, TEXTS)
    return LexicalIndex.open(tmp_path, len(TEXTS))


def bm25(frequency, length, document_frequency, texts=TEXTS):
    """BM25 with k1 = 1.2 and b = 0.75 (Robertson and Zaragoza 2009), as tantivy has it."""
    average = sum(len(text.split()) for text in texts) / len(texts)
    idf = math.log(1 + (len(texts) - document_frequency + 0.5) / (document_frequency + 0.5))
    return idf * frequency * 2.2 / (frequency + 1.2 * (0.25 + 0.75 * length / average))


def test_bm25_by_hand(lexical):
    found = lexical.search("ship", 10)
    assert list(found) == [1, 2]
    assert found[1] == pytest.approx(bm25(3, 6, 2), rel=1e-5)
    assert found[2] == pytest.approx(bm25(1, 6, 2), rel=1e-5)


def test_a_repeated_term_counts_as_often_as_it_stands_there(lexical):
    once, twice = lexical.search("ships", 10), lexical.search("ships ships", 10)
    assert twice == pytest.approx({row: 2 * score for row, score in once.items()}, rel=1e-5)


def test_words_are_stemmed_and_function_words_left_out(lexical):
    assert analyze("What did the inspectors recommend? Recommendations!") == ["inspector", "recommend", "recommend"]
    assert lexical.search("the and of what", 10) == {}
    assert list(lexical.search("Shipping", 10)) == [1, 2]


@pytest.mark.parametrize(
    "question", ["harbour AND (", "text:harbour^9", '"harbour', "harbour*", "row:1 OR harbour", "-harbour"]
)
def test_what_a_person_typed_is_no_query_syntax(lexical, question):
    assert set(lexical.search(question, 10)) == {0, 2}


def test_equal_scores_are_ordered_by_row_also_at_the_cut(tmp_path):
    LexicalIndex.build(tmp_path, ["same words"] * 30)
    lexical = LexicalIndex.open(tmp_path, 30)
    assert list(lexical.search("words", 15)) == list(range(15))


def test_rarity_is_inverse_document_frequency(lexical):
    rarity = lexical.rarity("harbour unicorn")
    assert rarity == {"harbour": pytest.approx(math.log(2)), "unicorn": pytest.approx(math.log(10))}


def test_lexical_index_must_hold_as_many_texts_as_there_are_passages(tmp_path):
    LexicalIndex.build(tmp_path, TEXTS)
    with pytest.raises(IndexDamagedError, match="not the 5 texts"):
        LexicalIndex.open(tmp_path, 5)
    with pytest.raises(IndexDamagedError, match="cannot be read"):
        LexicalIndex.open(tmp_path / "nowhere", 4)


def test_inner_products_by_hand(tmp_path):
    vectors = np.array([[1, 0], [0.6, 0.8], [0, 1], [1, 0]], dtype=np.float32)
    VectorIndex.build(vectors).save(tmp_path / "v.faiss")
    index = VectorIndex.load(tmp_path / "v.faiss", 4, 2)
    query = np.array([1, 0], dtype=np.float32)
    assert index.search(query, 3) == pytest.approx({0: 1.0, 3: 1.0, 1: 0.6})
    assert list(index.search(query, 10)) == [0, 3, 1, 2]
    assert index.scores(query, [2, 1]) == pytest.approx({2: 0.0, 1: 0.6})
    assert index.scores(query, []) == {}


def test_vector_index_must_hold_as_many_vectors_as_there_are_passages(tmp_path):
    path = tmp_path / "v.faiss"
    VectorIndex.build(np.eye(3, dtype=np.float32)).save(path)
    with pytest.raises(IndexDamagedError, match="holds not the 4 vectors"):
        VectorIndex.load(path, 4, 3)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(IndexDamagedError, match="cannot be read"):
        VectorIndex.load(path, 3, 3)
