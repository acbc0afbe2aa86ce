"""The terms of each passage: how much of a question it covers, alone and with its neighbours.

They are read for candidates only, so they lie in a memory-mapped file. A term is kept as a checksum of 32 bits: that
one of a passage's hundred terms is taken for one of a question's ten happens once in four million passages.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np

from rag_qa.errors import IndexDamagedError
from rag_qa.files import save_array
from rag_qa.index.local.segment.arrays import positions_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["TermSets", "TermWriter"]

TERMS, STARTS, FIRSTS = "terms.u32", "term_starts.npy", "term_firsts.npy"
CHECKSUM = np.dtype("<u4")


class TermSets:
    """The terms of each passage, by its row number in the segment; safe to share between threads."""

    def __init__(self, terms: "NDArray[np.uint32]", starts: "NDArray[np.int64]", firsts: "NDArray[np.bool_]") -> None:
        self._terms = terms
        self._starts = starts
        self._firsts = firsts
        self._lasts = np.append(firsts[1:], True)

    @classmethod
    def open(cls, folder: Path, passages: int) -> "TermSets":
        """Opens what `TermWriter` wrote.

        Raises:
            IndexDamagedError: it cannot be read, or does not belong to so many passages.
        """
        path = folder / TERMS
        try:
            terms = np.memmap(path, dtype=CHECKSUM, mode="r") if path.stat().st_size else np.zeros(0, dtype=CHECKSUM)
            starts, firsts = np.load(folder / STARTS), np.load(folder / FIRSTS)
        except (OSError, ValueError, EOFError):
            raise IndexDamagedError(f"The terms in {folder} cannot be read") from None
        fits = len(starts) == passages + 1 and starts[0] == 0 and starts[-1] == len(terms) and len(firsts) == passages
        if not fits or np.diff(starts).min(initial=0) < 0 or not firsts[:1].all():
            raise IndexDamagedError(f"The terms in {folder} do not belong to the {passages} passages")
        return cls(terms, starts, firsts)

    def coverage(self, weights: Sequence[Mapping[str, float]], rows: "NDArray[np.int64]") -> "NDArray[np.float64]":
        """Coverage of m questions by n passages, alone and with their neighbours, of shape (m, 2, n).

        Args:
            weights: of each question's terms; together at most 1.
            rows: of the passages.
        """
        terms = list(dict.fromkeys(term for question in weights for term in question))
        before, after = self._neighbours(rows)
        every, places = np.unique(np.concatenate([rows, before, after]), return_inverse=True)
        own, *near = self._holding(terms, every)[places].reshape(3, len(rows), len(terms))
        held = np.stack([own, own | near[0] | near[1]])
        shares = np.array([[question.get(term, 0.0) for term in terms] for question in weights])
        return np.stack([held @ share for share in shares])

    def _neighbours(self, rows: "NDArray[np.int64]") -> "tuple[NDArray[np.int64], NDArray[np.int64]]":
        """The rows before and after each in its document; where there is none, the row itself."""
        return np.where(self._firsts[rows], rows, rows - 1), np.where(self._lasts[rows], rows, rows + 1)

    def _holding(self, terms: Sequence[str], rows: "NDArray[np.int64]") -> "NDArray[np.bool_]":
        """Returns whether each of the rows holds each of the terms, of shape (rows, terms)."""
        positions, counts = positions_of(self._starts, rows)
        checksums, row_of = self._terms[positions], np.repeat(np.arange(len(rows)), counts)
        holding = np.zeros((len(rows), len(terms)), dtype=np.bool_)
        for column, term in enumerate(terms):
            holding[row_of[checksums == _checksum(term)], column] = True
        return holding


class TermWriter:
    """Writes the terms of a segment's passages in order."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._terms = (folder / TERMS).open("wb")
        self._counts: list[int] = []
        self._firsts: list[bool] = []

    def add(self, terms: Iterable[str], *, first: bool) -> None:
        """Adds a passage; `first` where it is the first one of its document."""
        checksums = np.array(sorted({_checksum(term) for term in terms}), dtype=CHECKSUM)
        self._terms.write(checksums.tobytes())
        self._counts.append(len(checksums))
        self._firsts.append(first)

    def seal(self) -> None:
        """Seals the file of terms, and writes where each passage's begin."""
        self._terms.close()
        save_array(self._folder / STARTS, np.cumsum([0, *self._counts], dtype=np.int64))
        save_array(self._folder / FIRSTS, np.array(self._firsts, dtype=np.bool_))

    def discard(self) -> None:
        """Closes the file of an abandoned segment."""
        with suppress(OSError):  # what could not be written is not missed
            self._terms.close()


def _checksum(term: str) -> int:
    return crc32(term.encode())
