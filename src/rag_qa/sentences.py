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
        if len(starts) != passages + 1 or vectors.shape != (starts[-1], dimension):
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
        scores = self._vectors[np.concatenate(spans)].astype(np.float32) @ query
        first = np.cumsum([0, *(len(span) for span in spans[:-1])])
        return dict(zip(rows, np.maximum.reduceat(scores, first).tolist(), strict=True))

    def scores(self, query: "NDArray[np.float32]", row: int) -> list[float]:
        """The inner product of the query with each sentence of a passage, in order."""
        vectors = self._vectors[self._starts[row] : self._starts[row + 1]]
        scores: list[float] = (vectors.astype(np.float32) @ query).tolist()
        return scores
