"""The choice of the segments that are merged when a snapshot is written."""

from collections.abc import Mapping

__all__ = ["to_merge"]


# Chosen by benchmarks/segments.py: docs/decisions/0009-segments.md.
GROWTH = 5
MOST_DELETED = 0.2


def to_merge(segments: Mapping[int, tuple[int, int]], fresh: int, full: int) -> list[int]:
    """Chooses the segments to copy into the new one.

    Those with more than a share of tombstones, and from the smallest up each that the new segment, with what it has
    taken up already, is not small beside: so there are few segments, and each passage is copied a few times only (as
    in log-structured merge trees, O'Neil et al. 1996). A full segment is copied only for its tombstones.

    Args:
        segments: by number, the passages that are left and those there once were.
        fresh: passages of the new segment.
        full: passages of a full segment.
    """
    chosen: list[int] = []
    growing = fresh
    for number, (left, once) in sorted(segments.items(), key=lambda segment: (segment[1], segment[0])):
        thinned = once - left > MOST_DELETED * once
        if thinned or (growing > 0 and left <= GROWTH * growing and once < full):
            chosen.append(number)
            growing += left
    return chosen
