"""How near vectors are, computed by the calling thread alone."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["inner_products"]


def inner_products(queries: "NDArray[np.float32]", vectors: "NDArray[np.float32]") -> "NDArray[np.float32]":
    """The inner products of m queries with n vectors, of shape (m, n).

    A matrix product would wake a thread for each core, and these go on spinning where the next question is encoded.
    """
    products: NDArray[np.float32] = np.vecdot(queries[:, np.newaxis], vectors[np.newaxis])
    return products
