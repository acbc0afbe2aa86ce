"""How much of the evidence was returned, and how much besides, in characters or tokens.

Defined as in Chroma's "Evaluating Chunking Strategies for Retrieval" (Smith and Troynikov 2024): docs/evaluation.md.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache

import numpy as np
from msgspec import Struct

from rag_qa.text.tokens import token_starts

__all__ = ["Place", "SpanScores", "TokenGrid", "span_scores"]

Place = tuple[str, int, int]
"""Document, start, end."""
Range = tuple[int, int]
DOCUMENTS_HELD = 64


class SpanScores(Struct, frozen=True):
    """Shares from 0 to 1."""

    recall: float
    """Of the evidence, what was found."""
    precision: float
    """Of what was found, the evidence; what was returned twice counts twice."""
    iou: float
    """The found evidence, of all that was found and the evidence that was not."""


def span_scores(evidence: Iterable[Place], found: Sequence[Place]) -> SpanScores:
    """Scores of what was found for a question; nothing found scores zero.

    Args:
        evidence: places of the evidence; where two overlap, what they share counts once.
        found: places that were returned.
    """
    wanted, returned = _by_document(evidence), _by_document(found)
    wanted_length = sum(map(_length, wanted.values()))
    returned_length = sum(end - start for _, start, end in found)
    both = sum(_common(ranges, returned.get(document, [])) for document, ranges in wanted.items())
    if not both:
        return SpanScores(0.0, 0.0, 0.0)
    return SpanScores(both / wanted_length, both / returned_length, both / (returned_length + wanted_length - both))


class TokenGrid:
    """Places of characters as places of tokens (cl100k_base) of the whole document."""

    def __init__(self, text_of: Callable[[str], str]) -> None:
        """Takes what gives the text of a document."""
        self._starts = lru_cache(DOCUMENTS_HELD)(lambda document: np.array(token_starts(text_of(document)), np.int32))

    def place(self, place: Place) -> Place:
        """The tokens that have a character in the place."""
        document, start, end = place
        starts = self._starts(document)
        holding = starts[np.searchsorted(starts, start, "right") - 1]  # where the token of the first character begins
        return document, int(np.searchsorted(starts, holding, "left")), int(np.searchsorted(starts, end, "left"))


def _by_document(places: Iterable[Place]) -> Mapping[str, list[Range]]:
    """The ranges of each document in order, those that touch joined."""
    joined: dict[str, list[Range]] = {}
    for document, start, end in sorted(places):
        ranges = joined.setdefault(document, [])
        if ranges and start <= ranges[-1][1]:
            ranges[-1] = (ranges[-1][0], max(end, ranges[-1][1]))
        else:
            ranges.append((start, end))
    return joined


def _length(ranges: Sequence[Range]) -> int:
    return sum(end - start for start, end in ranges)


def _common(some: Sequence[Range], others: Sequence[Range]) -> int:
    return sum(max(0, min(a[1], b[1]) - max(a[0], b[0])) for a in some for b in others)
