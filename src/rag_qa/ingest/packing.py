"""Units of text, such as sentences, into passages: the fewest that are well filled and begin at good places."""

from collections.abc import Sequence

import numpy as np

__all__ = ["pack"]

# Sizes and penalties: docs/decisions/0013-passages-of-whole-sentences.md.
PASSAGE = 0.35
"""Cost of a passage, beside the square of the share of it that is empty."""
INNER_HEADING = 0.6


def pack(lengths: Sequence[int], penalties: Sequence[float], headings: Sequence[bool], capacity: int) -> list[range]:
    """Packs a row of units into passages, by dynamic programming over all ways to do it, as in Knuth and Plass (1981).

    A passage costs a fixed sum, the square of the share of it that is empty, the penalty of the unit that it begins
    with, and something for every heading that it does not begin with.

    Args:
        lengths: of the units, in tokens.
        penalties: for each unit what it costs to begin a passage with it.
        headings: whether the unit is a heading.
        capacity: most tokens of a passage; only a unit that is longer itself exceeds it.

    Returns:
        The units of each passage, in order.
    """
    count = len(lengths)
    before = np.concatenate([[0], np.cumsum(lengths)])
    headings_before = np.concatenate([[0], np.cumsum(headings)])
    firsts = np.minimum(np.searchsorted(before, before[1:] - capacity), np.arange(count))
    costs = np.zeros(count + 1)
    begins = np.zeros(count + 1, dtype=np.int64)
    for end in range(1, count + 1):
        first = firsts[end - 1]
        starts = slice(first, end)
        empty = 1 - np.minimum((before[end] - before[starts]) / capacity, 1)
        inner = headings_before[end] - headings_before[first + 1 : end + 1]
        ways = costs[starts] + empty**2 + INNER_HEADING * inner
        best = int(np.argmin(ways))
        costs[end] = ways[best] + PASSAGE + (penalties[end] if end < count else 0)
        begins[end] = first + best
    passages: list[range] = []
    end = count
    while end:
        passages.append(range(int(begins[end]), end))
        end = int(begins[end])
    return passages[::-1]
