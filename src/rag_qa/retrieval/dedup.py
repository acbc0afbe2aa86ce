"""Deduplication: hits that say the same as a better one become its duplicates."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from rag_qa.text.duplicates import LENGTH, is_duplicate

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LIKELY", "group_duplicates", "signature_similarity"]

LIKELY = 0.9
"""Least estimated similarity of texts that are worth comparing; the signatures of duplicates are equal."""


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
