"""Statistics of BM25 that deleted passages still add, and their cancelling.

Deleted passages stay in the files of their segments. They are left out of the hits by having no row, and out of the
statistics by arithmetic: the inverse document frequency of a term is set right by a boost, with the frequencies that
are kept here; the mean length of a passage by a ballast of a term that nobody can ask for. Scores are then those of an
index that never held them.
"""

import math
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct, field

from rag_qa.index.local.segment.inverted import InvertedIndexWriter
from rag_qa.text.analysis import stems

__all__ = ["Tombstones", "write_ballast"]

BALLAST = "x"  # a single character: `analyze` lets no question have one
BALLAST_TRIED = 1000


class Tombstones(Struct):
    """Statistics that the deleted passages of a segment, or of all, still add."""

    passages: int = 0
    terms: int = field(default=0, name="words")
    """Sum of their lengths, as BM25 counts them."""
    frequencies: dict[str, int] = field(default_factory=dict)
    """Number of them that hold each stem."""

    def add(self, texts: Iterable[str]) -> None:
        """Adds passages that were deleted."""
        counts = Counter(self.frequencies)
        for text in texts:
            found = stems(text)
            self.passages += 1
            self.terms += len(found)
            counts.update(set(found))
        self.frequencies = dict(counts)

    @classmethod
    def sum(cls, parts: Iterable["Tombstones"]) -> "Tombstones":
        """The sum over several segments."""
        total, counts = cls(), Counter[str]()
        for part in parts:
            total.passages += part.passages
            total.terms += part.terms
            counts.update(part.frequencies)
        total.frequencies = dict(counts)
        return total


def write_ballast(folder: Path, passages: int, terms: int, deleted: Tombstones) -> None:
    """Writes the ballast index, which restores the mean length of the passages that are left.

    Args:
        folder: an empty folder.
        passages: how many are left, at least one with a term.
        terms: their lengths together, as BM25 counts them.
        deleted: statistics of the deleted passages.
    """
    # B passages of b terms: (terms + deleted.terms + b) / (passages + deleted.passages + B) == terms / passages, with a
    # B for which b is not negative and, terms being whole, the remainder is small.
    least = max(1, math.ceil(deleted.terms * passages / terms) - deleted.passages)

    def remainder(ballast: int) -> int:
        over = terms * (deleted.passages + ballast) % passages
        return min(over, passages - over)

    ballast = min(range(least, least + BALLAST_TRIED), key=remainder)
    filled = round(terms * (deleted.passages + ballast) / passages) - deleted.terms
    writer = InvertedIndexWriter(folder)
    for text in [f"{BALLAST} " * filled, *[""] * (ballast - 1)]:
        writer.add(text)
    writer.seal()
