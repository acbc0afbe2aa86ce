"""Hits that say the same as a better one become its duplicates."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from rag_qa.text.duplicates import LIKELY, likeness, same_statement

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["group_duplicates"]


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
        alike = left[likeness(signatures[left], signatures[first]) >= LIKELY]
        same: list[int] = []
        if len(alike):
            text, *others = texts([first, *alike.tolist()])
            judged = {other: other == text or same_statement(text, other) for other in set(others)}
            same = [int(position) for position, other in zip(alike, others, strict=True) if judged[other]]
        groups.append([first, *same])
        if same:
            left = left[~np.isin(left, same)]
    return groups
