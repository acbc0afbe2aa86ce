"""Sentence vectors, by passage: one sentence that answers makes a long passage near to a question.

They are read for candidates only, so they lie in a memory-mapped file and not in the search index. Half
precision: an inner product of unit vectors moves by less than 0.001.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rag_qa.errors import IndexDamagedError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["SentenceVectors"]

VECTORS, STARTS = "sentences.npy", "sentence_starts.npy"


class SentenceVectors:
    """The vectors of each passage's sentences, by the passage's row number; safe to share between threads."""

    def __init__(self, vectors: "NDArray[np.float16]", starts: "NDArray[np.int64]") -> None:
        self._vectors = vectors
        self._starts = starts

    @staticmethod
    def save(folder: Path, vectors: "NDArray[np.float32]", counts: Sequence[int]) -> None:
        """Writes vectors of shape (sentences, dimension); the first `counts[0]` are those of passage 0."""
        np.save(folder / VECTORS, vectors.astype(np.float16))
        np.save(folder / STARTS, np.concatenate([[0], np.cumsum(counts)]).astype(np.int64))

    @classmethod
    def open(cls, folder: Path, passages: int, dimension: int) -> "SentenceVectors":
        """Opens what `save` wrote.

        Raises:
            IndexDamagedError: it cannot be read, or does not belong to so many passages.
        """
        try:
            vectors = np.load(folder / VECTORS, mmap_mode="r")
            starts = np.load(folder / STARTS)
        except (OSError, ValueError, EOFError):
            raise IndexDamagedError(
                f"The sentence vectors in {folder} cannot be read: rebuild with `rag-qa index`."
            ) from None
        fits = len(starts) == passages + 1 and starts[0] == 0 and vectors.shape == (starts[-1], dimension)
        if not fits or np.diff(starts).min(initial=1) < 1:
            raise IndexDamagedError(
                f"The sentence vectors in {folder} do not belong to the {passages} passages: "
                "rebuild with `rag-qa index`."
            )
        return cls(vectors, starts)

    def best(self, query: "NDArray[np.float32]", rows: Sequence[int]) -> dict[int, float]:
        """For each of the passages, the inner product of the query with its nearest sentence."""
        if not rows:
            return {}
        spans = [np.arange(self._starts[row], self._starts[row + 1]) for row in rows]
        scores = self._scores(np.concatenate(spans), query)
        first = np.cumsum([0, *(len(span) for span in spans[:-1])])
        return dict(zip(rows, np.maximum.reduceat(scores, first).tolist(), strict=True))

    def scores(self, query: "NDArray[np.float32]", row: int) -> list[float]:
        """The inner product of the query with each sentence of a passage, in order."""
        scores: list[float] = self._scores(np.arange(self._starts[row], self._starts[row + 1]), query).tolist()
        return scores

    def _scores(self, sentences: "NDArray[np.int64]", query: "NDArray[np.float32]") -> "NDArray[np.float32]":
        with np.errstate(invalid="ignore"):
            scores: NDArray[np.float32] = self._vectors[sentences].astype(np.float32) @ query
        if not np.isfinite(scores).all():
            raise IndexDamagedError("The sentence vectors hold what is no number: rebuild with `rag-qa index`.")
        return scores
