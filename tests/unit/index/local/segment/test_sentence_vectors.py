"""Sentence vectors by passage, by hand and against plain loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_qa.errors import IndexDamagedError
from rag_qa.index.local.segment.sentence_vectors import SentenceVectors, SentenceWriter

VECTORS = np.array([[1, 0], [0, 1], [0.6, 0.8], [-1, 0], [0.8, 0.6]], dtype=np.float16)
COUNTS = [2, 1, 2]


def written(folder, parts):
    writer = SentenceWriter(folder)
    for vectors, counts in parts:
        writer.add(vectors, counts)
    writer.seal()
    return folder


@pytest.fixture
def folder(tmp_path):
    return written(tmp_path, [(VECTORS[:2], COUNTS[:1]), (VECTORS[2:], COUNTS[1:])])


def test_a_passage_is_as_near_as_its_nearest_sentence(folder):
    opened = SentenceVectors.open(folder, 3, 2)
    queries = np.array([[1, 0], [0, 1]], dtype=np.float32)
    best = opened.best(queries, np.array([2, 0, 1]))
    assert best == pytest.approx(np.array([[0.8, 1, 0.6], [0.6, 1, 0.8]]), abs=0.001)
    first, second = opened.scores(queries, np.array([0, 1]))
    assert first.tolist() == [[1, 0], [0, 1]]
    assert second == pytest.approx(np.array([[0.6], [0.8]]), abs=0.001)
    assert np.array_equal(opened.vectors(range(1, 3)), VECTORS[2:])


@given(st.lists(st.integers(1, 4), min_size=1, max_size=6), st.data())
def test_scores_are_those_of_a_loop(tmp_path_factory, counts, data):
    vectors = np.random.default_rng(sum(counts)).standard_normal((sum(counts), 3)).astype(np.float16)
    folder = written(tmp_path_factory.mktemp("vectors"), [(vectors, counts)])
    rows = data.draw(st.lists(st.integers(0, len(counts) - 1), min_size=1, max_size=6))
    queries = np.eye(3, dtype=np.float32)
    opened = SentenceVectors.open(folder, len(counts), 3)
    own = np.split(vectors.astype(np.float32), np.cumsum(counts)[:-1])
    for row, scores in zip(rows, opened.scores(queries, np.array(rows)), strict=True):
        assert scores == pytest.approx(own[row].T, abs=1e-6)
    assert opened.best(queries, np.array(rows)) == pytest.approx(
        np.stack([own[row].max(axis=0) for row in rows], axis=1), abs=1e-6
    )


def test_a_sample_is_from_all_over_the_segment(tmp_path):
    writer = SentenceWriter(tmp_path)
    writer.add(VECTORS, COUNTS)
    assert np.array_equal(writer.sample(3, 2), VECTORS[[0, 2, 4]].astype(np.float32))
    assert np.array_equal(writer.sample(100, 2), VECTORS.astype(np.float32))
    writer.discard()
    writer.discard()


def test_what_does_not_fit_the_passages_is_damaged(folder):
    for passages, dimension in ((2, 2), (4, 2), (3, 4)):
        with pytest.raises(IndexDamagedError, match=f"do not belong to the {passages} passages"):
            SentenceVectors.open(folder, passages, dimension)
    np.save(folder / "sentence_starts.npy", np.array([0, 2, 2, 5]))  # a passage without a sentence
    with pytest.raises(IndexDamagedError, match="do not belong to the 3 passages"):
        SentenceVectors.open(folder, 3, 2)
    (folder / "sentences.f16").unlink()
    with pytest.raises(IndexDamagedError, match="cannot be read"):
        SentenceVectors.open(folder, 3, 2)


def test_what_is_no_number_is_damaged(tmp_path):
    folder = written(tmp_path, [(np.full((1, 2), np.nan, dtype=np.float16), [1])])
    with pytest.raises(IndexDamagedError, match="holds what is no number"):
        SentenceVectors.open(folder, 1, 2).best(np.eye(2, dtype=np.float32), np.array([0]))
