"""Arrays of a segment: half-precision vectors, rows of unequal length, and inner products by one thread alone."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rag_qa.errors import IndexDamagedError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["HALF", "inner_products", "positions_of", "read_vectors"]

HALF = np.dtype("<f2")


def inner_products(queries: "NDArray[np.float32]", vectors: "NDArray[np.float32]") -> "NDArray[np.float32]":
    """The inner products of m queries with n vectors, of shape (m, n).

    A matrix product would wake a thread for each core, and these go on spinning where the next question is encoded.
    """
    products: NDArray[np.float32] = np.vecdot(queries[:, np.newaxis], vectors[np.newaxis])
    return products


def positions_of(
    starts: "NDArray[np.int64]", rows: "NDArray[np.int64]"
) -> "tuple[NDArray[np.int64], NDArray[np.int64]]":
    """Positions of the items of n rows of unequal length, row by row, and how many each row has, of shape (n,).

    Args:
        starts: where each row begins among all items, and where the last one ends.
        rows: the numbers of the rows.
    """
    counts = starts[rows + 1] - starts[rows]
    before = np.cumsum(counts) - counts
    return np.arange(counts.sum()) + np.repeat(starts[rows] - before, counts), counts


def read_vectors(path: Path, offset: int, count: int, dimension: int) -> "NDArray[np.float16]":
    """Reads consecutive vectors from a file, of shape (count, dimension); not mapped, for they may be very many.

    Args:
        path: the file.
        offset: of the first vector, in bytes.
        count: how many vectors.
        dimension: numbers of each.

    Raises:
        IndexDamagedError: the file ends before.
    """
    numbers = np.fromfile(path, HALF, count * dimension, offset=offset)
    if numbers.size < count * dimension:
        raise IndexDamagedError(f"{path} is truncated")
    return numbers.reshape(-1, dimension)
