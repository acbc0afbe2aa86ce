"""Sentence vectors, by passage: one sentence that answers makes a long passage near to a question.

They are read for candidates only, so they lie in a memory-mapped file and not in the search index. Half
precision: an inner product of unit vectors moves by less than 0.001.
"""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rag_qa.errors import IndexDamagedError
from rag_qa.files import save_array
from rag_qa.index.local.segment.arrays import HALF, inner_products, positions_of, read_vectors

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["SentenceVectors", "SentenceWriter"]

VECTORS, STARTS = "sentences.f16", "sentence_starts.npy"


class SentenceVectors:
    """The vectors of each passage's sentences, by the passage's row number; safe to share between threads."""

    def __init__(self, path: Path, vectors: "NDArray[np.float16]", starts: "NDArray[np.int64]") -> None:
        self._path = path
        self._vectors = vectors
        self._starts = starts

    @classmethod
    def open(cls, folder: Path, passages: int, dimension: int) -> "SentenceVectors":
        """Opens what `SentenceWriter` wrote.

        Raises:
            IndexDamagedError: it cannot be read, or does not belong to so many passages.
        """
        try:
            vectors = np.memmap(folder / VECTORS, dtype=HALF, mode="r")
            starts = np.load(folder / STARTS)
        except (OSError, ValueError, EOFError):
            raise IndexDamagedError(f"The sentence vectors in {folder} cannot be read") from None
        fits = len(starts) == passages + 1 and starts[0] == 0 and vectors.size == int(starts[-1]) * dimension
        if not fits or np.diff(starts).min(initial=1) < 1:
            raise IndexDamagedError(f"The sentence vectors in {folder} do not belong to the {passages} passages")
        return cls(folder / VECTORS, vectors.reshape(-1, dimension), starts)

    def best(self, queries: "NDArray[np.float32]", rows: "NDArray[np.int64]") -> "NDArray[np.float32]":
        """The inner products of m queries with the nearest sentence of each of n passages, of shape (m, n); n > 0."""
        scores, first = self._scores(queries, rows)
        nearest: NDArray[np.float32] = np.maximum.reduceat(scores, first, axis=1)
        return nearest

    def scores(self, queries: "NDArray[np.float32]", rows: "NDArray[np.int64]") -> "list[NDArray[np.float32]]":
        """Inner products of m queries with the sentences of n passages: n arrays of shape (m, sentences)."""
        scores, first = self._scores(queries, rows)
        return np.split(scores, first[1:], axis=1)

    def vectors(self, rows: range) -> "NDArray[np.float16]":
        """The vectors of all sentences of consecutive passages, of shape (sentences, dimension); read, not mapped."""
        first, end = int(self._starts[rows.start]), int(self._starts[rows.stop])
        dimension = self._vectors.shape[1]
        return read_vectors(self._path, first * dimension * HALF.itemsize, end - first, dimension)

    def _scores(
        self, queries: "NDArray[np.float32]", rows: "NDArray[np.int64]"
    ) -> "tuple[NDArray[np.float32], NDArray[np.int64]]":
        """Inner products with the sentences of n passages, of shape (m, sentences), and each passage's first one."""
        sentences, counts = positions_of(self._starts, rows)
        with np.errstate(invalid="ignore"):
            scores = inner_products(queries, self._vectors[sentences].astype(np.float32))
        if not np.isfinite(scores).all():
            raise IndexDamagedError(f"{self._path} holds what is no number")
        return scores, np.cumsum(counts) - counts


class SentenceWriter:
    """Writes the sentence vectors of a segment batch by batch."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._vectors = (folder / VECTORS).open("wb")
        self._counts: list[NDArray[np.int64]] = []

    def add(self, vectors: "NDArray[np.float16]", counts: Sequence[int]) -> None:
        """Adds vectors of shape (sentences, dimension); the first `counts[0]` are those of the next passage."""
        self._vectors.write(np.ascontiguousarray(vectors, dtype=HALF).data)
        self._counts.append(np.asarray(counts, dtype=np.int64))

    def sample(self, count: int, dimension: int) -> "NDArray[np.float32]":
        """A sample of at most `count` vectors from all over the segment, of shape (n, dimension); float32."""
        self._vectors.flush()
        written = np.memmap(self._folder / VECTORS, dtype=HALF, mode="r").reshape(-1, dimension)
        chosen = np.unique(np.linspace(0, len(written) - 1, count).astype(np.int64))
        return written[chosen].astype(np.float32)

    def seal(self) -> None:
        """Seals the file of vectors, and writes where each passage's begin."""
        self._vectors.close()
        starts = np.concatenate([np.zeros(1, dtype=np.int64), *self._counts]).cumsum()
        save_array(self._folder / STARTS, starts)

    def discard(self) -> None:
        """Closes the files of an abandoned segment."""
        with suppress(OSError):  # what could not be written is not missed
            self._vectors.close()
