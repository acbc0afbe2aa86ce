"""The two search structures on small collections with numbers that can be computed by hand."""

import math
import os
from collections import Counter

import numpy as np
import pytest
from structures import built_lexical, built_vectors, write_lexical

from rag_qa.errors import IndexDamagedError
from rag_qa.index.local.segment.inverted import InvertedIndex
from rag_qa.index.local.segment.tombstones import Tombstones, write_ballast
from rag_qa.index.local.segment.vectors import VectorIndex
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


HALF = 2**-11
"""Half precision of numbers up to 1."""


def test_inner_products_by_hand(tmp_path):
    vectors = np.array([[1, 0], [0.6, 0.8], [0, 1], [1, 0]], dtype=np.float32)
    index = built_vectors(tmp_path, vectors)
    query = np.array([1, 0], dtype=np.float32)
    assert index.search(query, 3) == pytest.approx({0: 1.0, 3: 1.0, 1: 0.6}, abs=HALF)
    assert list(index.search(query, 10)) == [0, 3, 1, 2]
    queries = np.array([[1, 0], [0, 1]], dtype=np.float32)
    assert index.scores(queries, np.array([2, 1])).tolist() == [
        pytest.approx([0.0, 0.6], abs=HALF),
        pytest.approx([1.0, 0.8], abs=HALF),
    ]


def test_vectors_are_read_as_they_were_written(tmp_path):
    vectors = near_a_plane(300).astype(np.float16).astype(np.float32)
    index = built_vectors(tmp_path, vectors)
    assert np.array_equal(index.vectors(range(300)), vectors)
    assert np.array_equal(index.vectors(range(17, 20)), vectors[17:20])
    with_graph = built_vectors(tmp_path / "graph", vectors, graph_passages=10)
    assert np.array_equal(with_graph.vectors(range(5, 300)), vectors[5:])


def test_vector_index_must_hold_as_many_vectors_as_there_are_passages(tmp_path):
    built_vectors(tmp_path, np.eye(3, dtype=np.float32))
    with pytest.raises(IndexDamagedError, match="holds not the 4 vectors"):
        VectorIndex.open(tmp_path, 4, 3, None)
    path = tmp_path / "vectors.faiss"
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(IndexDamagedError, match="cannot be read"):
        VectorIndex.open(tmp_path, 3, 3, None)


@pytest.fixture
def with_tombstones(tmp_path) -> InvertedIndex:
    """TEXTS in two segments, with texts in between that are gone."""
    rows = {2: np.array([0, -1, 1, -1]), 5: np.array([-1, 2, 3])}
    gone = Tombstones()
    gone.add(["the ships of the harbour", "a very long text that speaks of nothing but unicorns and their horns"])
    gone.add(["a pilot"])
    words = write_lexical(tmp_path / "a", [TEXTS[0], "the ships of the harbour", TEXTS[1], "a pilot"], 2)
    words += write_lexical(
        tmp_path / "b", ["a very long text that speaks of nothing but unicorns and their horns", *TEXTS[2:]], 5
    )
    (tmp_path / "ballast").mkdir()
    write_ballast(tmp_path / "ballast", len(TEXTS), words - gone.words, gone)
    return InvertedIndex.open({2: tmp_path / "a", 5: tmp_path / "b"}, rows, gone, tmp_path / "ballast")


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


def near_a_plane(count, seed=0):
    """Unit vectors that vary in few directions, as those of texts do."""
    chance = np.random.default_rng(seed)
    vectors = chance.standard_normal((count, 8)) @ chance.standard_normal((8, 32)) + 0.1 * chance.standard_normal(
        (count, 32)
    )
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_a_graph_finds_nearly_what_exact_search_finds(tmp_path):
    vectors = near_a_plane(3000)
    index = built_vectors(tmp_path, vectors, graph_passages=3000)
    assert (tmp_path / "graph.faiss").is_file()
    allowed = np.random.default_rng(1).random(3000) < 0.8
    for query in vectors[:20]:
        for mask in (None, allowed):
            exact = index.search(query, 100, mask, exact=True)
            found = index.search(query, 100, mask)
            assert len(exact) == len(found) == 100
            assert len(exact.keys() & found.keys()) >= 95
            assert mask is None or all(mask[row] for row in found)
    few = np.zeros(3000, dtype=bool)
    few[[5, 17]] = True
    assert set(index.search(vectors[0], 100, few)) == {5, 17}


def test_a_graph_does_not_lose_what_lies_behind_what_may_not_be_found(tmp_path):
    vectors = near_a_plane(3000)
    index = built_vectors(tmp_path, vectors, graph_passages=3000)
    for query in vectors[:10]:
        nearness = vectors @ query
        for share in (0.95, 0.5):  # the nearest are left out
            allowed = nearness <= np.quantile(nearness, share)
            assert index.search(query, 100, allowed) == index.search(query, 100, allowed, exact=True)


def test_a_graph_that_finds_too_little_is_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr("rag_qa.index.local.segment.vectors.EFFORTS", (1,))  # not enough for anything
    monkeypatch.setattr("rag_qa.index.local.segment.vectors.LINKS", 2)
    vectors = near_a_plane(3000)
    index = built_vectors(tmp_path, vectors, graph_passages=10)
    assert not (tmp_path / "graph.faiss").exists()
    assert index.search(vectors[0], 100) == index.search(vectors[0], 100, exact=True)


@pytest.mark.skipif(not os.path.exists("/proc/self/maps"), reason="needs /proc to see what is mapped")
def test_an_index_that_is_let_go_of_is_no_longer_mapped(tmp_path):
    index = built_vectors(tmp_path, near_a_plane(3000), graph_passages=10)
    assert mapped(tmp_path) == {"vectors.faiss", "graph.faiss"}
    del index
    assert mapped(tmp_path) == set()


def mapped(folder):
    with open("/proc/self/maps") as maps:
        return {line.rsplit("/", 1)[-1].strip() for line in maps if str(folder) in line}
