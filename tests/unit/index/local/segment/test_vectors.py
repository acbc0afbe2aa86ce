"""Dense search in one segment, on vectors that can be computed by hand, and by a graph."""

import os

import numpy as np
import pytest
from support.structures import built_vectors

from rag_qa.errors import IndexDamagedError
from rag_qa.index.local.segment.vectors import VectorIndex

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
