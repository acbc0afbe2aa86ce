"""Deduplication: a hit that says the same as a better one is its duplicate; a near copy of a better one gives way.

Giving way is maximal marginal relevance (Carbonell and Goldstein 1998) over estimated similarities of texts.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from rag_qa.text.duplicates import LENGTH, is_duplicate

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LIKELY", "NEAR", "give_way", "group_duplicates", "signature_similarity"]

LIKELY = 0.9
"""Least estimated similarity of texts that are worth comparing; the signatures of duplicates are equal."""


NEAR = 0.5
"""Least estimated similarity of texts of which one is nearly a copy of the other."""
LOSS = 0.5
"""Share of its score that a copy would lose to the text before it; a near copy loses less."""


def give_way(
    scores: Sequence[float], documents: Sequence[str], signatures: "NDArray[np.uint32]"
) -> tuple[list[int], int]:
    """Orders passages so that near copies, in other documents, of better ones give way to what adds something.

    Args:
        scores: of n passages, falling.
        documents: the document of each.
        signatures: MinHashes of the passages, of shape (n, 64).

    Returns:
        The positions of all passages in their new order, and how many are near copies.
    """
    alike = (signatures[:, np.newaxis] == signatures).mean(axis=2)
    names = np.asarray(documents)
    alike[(alike < NEAR) | (names[:, np.newaxis] == names)] = 0.0
    if not alike.any():
        return list(range(len(scores))), 0
    wholes, likeness = np.asarray(scores, dtype=float), np.zeros(len(scores))
    order: list[int] = []
    left = np.arange(len(scores))
    while len(left):
        best = int(left[np.argmax(wholes[left] * (1 - LOSS * likeness[left]))])
        order.append(best)
        left = left[left != best]
        likeness[left] = np.maximum(likeness[left], alike[best, left])
    return order, int(np.count_nonzero(likeness))


def group_duplicates(
    signatures: "NDArray[np.uint32]", texts: Callable[[Sequence[int]], Sequence[str]], most: int
) -> list[list[int]]:
    """Groups the passages of a ranking that say the same, until there are `most` groups.

    Args:
        signatures: MinHashes of the passages, best first, of shape (n, 64).
        texts: gives the texts of the passages at some positions; called only for those with like signatures.
        most: how many groups.

    Returns:
        For each group the positions of its passages, the best of them first.
    """
    left = np.arange(len(signatures))
    groups: list[list[int]] = []
    while len(left) and len(groups) < most:
        first, left = int(left[0]), left[1:]
        alike = left[signature_similarity(signatures[left], signatures[first]) >= LIKELY]
        same: list[int] = []
        if len(alike):
            text, *others = texts([first, *alike.tolist()])
            judged = {other: other == text or is_duplicate(text, other) for other in set(others)}
            same = [int(position) for position, other in zip(alike, others, strict=True) if judged[other]]
        groups.append([first, *same])
        if same:
            left = left[~np.isin(left, same)]
    return groups


def signature_similarity(signatures: "NDArray[np.uint32]", one: "NDArray[np.uint32]") -> "NDArray[np.float64]":
    """Estimates of the Jaccard similarity of n texts with one, of shape (n,), from signatures of shape (n, 64)."""
    shares: NDArray[np.float64] = (signatures == one).sum(axis=1) / LENGTH
    return shares
