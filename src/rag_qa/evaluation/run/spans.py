"""Span measures: recall, precision and intersection over union of retrieved text, in characters or tokens.

They are defined as in Chroma's "Evaluating Chunking Strategies for Retrieval" (Smith and Troynikov 2024); see
docs/evaluation.md.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache

import numpy as np
from msgspec import Struct

from rag_qa.text.tokens import token_starts

__all__ = ["RawSpan", "SpanScores", "TokenGrid", "span_scores"]

RawSpan = tuple[str, int, int]
"""Path of a document, start and end (exclusive), in characters or tokens."""
Range = tuple[int, int]
DOCUMENTS_HELD = 64


class SpanScores(Struct, frozen=True):
    """Span measures, each from 0 to 1."""

    recall: float
    """Share of the evidence that was retrieved."""
    precision: float
    """Share of the retrieved text that is evidence; text that was retrieved twice counts twice."""
    iou: float
    """Intersection over union: the evidence retrieved, over all retrieved text and the evidence missed."""


def span_scores(evidence: Iterable[RawSpan], found: Sequence[RawSpan]) -> SpanScores:
    """Computes the span measures of a question; they are zero where nothing was retrieved.

    Args:
        evidence: spans of the evidence; a part that two of them share counts once.
        found: spans that were retrieved.
    """
    wanted, returned = _by_document(evidence), _by_document(found)
    wanted_length = sum(map(_length, wanted.values()))
    returned_length = sum(end - start for _, start, end in found)
    both = sum(_common(ranges, returned.get(document, [])) for document, ranges in wanted.items())
    if not both:
        return SpanScores(0.0, 0.0, 0.0)
    return SpanScores(both / wanted_length, both / returned_length, both / (returned_length + wanted_length - both))


class TokenGrid:
    """Converter of spans from characters to tokens (cl100k_base) of the whole document."""

    def __init__(self, text_of: Callable[[str], str]) -> None:
        """Takes a function that returns the text of a document by its path."""
        self._starts = lru_cache(DOCUMENTS_HELD)(lambda document: np.array(token_starts(text_of(document)), np.int32))

    def span(self, span: RawSpan) -> RawSpan:
        """Returns the range of tokens that share a character with the span."""
        document, start, end = span
        starts = self._starts(document)
        holding = starts[np.searchsorted(starts, start, "right") - 1]  # start of the token of the first character
        return document, int(np.searchsorted(starts, holding, "left")), int(np.searchsorted(starts, end, "left"))


def _by_document(spans: Iterable[RawSpan]) -> Mapping[str, list[Range]]:
    """Returns the ranges of each document in order; touching ranges are joined."""
    joined: dict[str, list[Range]] = {}
    for document, start, end in sorted(spans):
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
