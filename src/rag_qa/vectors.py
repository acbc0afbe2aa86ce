"""Dense search: exact inner product over unit vectors. The only file that imports faiss."""

from pathlib import Path
from typing import TYPE_CHECKING

import faiss
import numpy as np

from rag_qa.errors import IndexDamagedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["VectorIndex"]


class VectorIndex:
    """Vectors by row number; safe to share between threads."""

    def __init__(self, index: faiss.IndexFlatIP) -> None:
        self._index = index

    @classmethod
    def build(cls, vectors: "NDArray[np.float32]") -> "VectorIndex":
        """An index over vectors of shape (passages, dimension), row i being passage i."""
        index = faiss.IndexFlatIP(vectors.shape[1])
        index.add(vectors)
        return cls(index)

    @classmethod
    def load(cls, path: Path, passages: int, dimension: int) -> "VectorIndex":
        """Opens what `save` wrote.

        Raises:
            IndexDamagedError: it cannot be read, or holds not as many vectors as there are passages.
        """
        try:
            index = faiss.read_index(str(path))
        except RuntimeError:
            raise IndexDamagedError(f"The vectors in {path} cannot be read: rebuild with `rag-qa index`.") from None
        if not isinstance(index, faiss.IndexFlatIP) or (index.ntotal, index.d) != (passages, dimension):
            raise IndexDamagedError(
                f"{path} holds not the {passages} vectors of {dimension} numbers that belong to the passages: "
                "rebuild with `rag-qa index`."
            )
        return cls(index)

    def save(self, path: Path) -> None:
        """Writes the index to a file."""
        faiss.write_index(self._index, str(path))

    def search(
        self, query: "NDArray[np.float32]", depth: int, allowed: "NDArray[np.bool_] | None" = None
    ) -> dict[int, float]:
        """The `depth` rows with the largest inner product, best first, equal ones by row.

        Args:
            query: a unit vector of shape (dimension,).
            depth: how many rows.
            allowed: for each row whether it may be found; the search is exact, however few they are.
        """
        if allowed is None:
            scores, rows = self._index.search(query[np.newaxis], min(depth, self._index.ntotal))
        else:
            # On a flat index this visits the allowed rows only: docs/decisions/0008-filters.md.
            bits = np.packbits(allowed, bitorder="little")
            only = faiss.SearchParameters(sel=faiss.IDSelectorBitmap(bits))  # type: ignore[call-arg, arg-type] # stubs
            scores, rows = self._index.search(query[np.newaxis], min(depth, int(allowed.sum())), params=only)
        _check_finite(scores)
        hits = zip(rows[0].tolist(), scores[0].tolist(), strict=True)
        return dict(sorted(hits, key=lambda hit: (-hit[1], hit[0])))

    def scores(self, query: "NDArray[np.float32]", rows: "Sequence[int]") -> dict[int, float]:
        """The inner product of the query with each of the rows."""
        if not rows:
            return {}
        scores = self._index.reconstruct_batch(np.asarray(rows, dtype=np.int64)) @ query
        _check_finite(scores)
        return dict(zip(rows, scores.tolist(), strict=True))


def _check_finite(scores: "NDArray[np.float32]") -> None:
    if not np.isfinite(scores).all():
        raise IndexDamagedError("The vectors hold what is no number: rebuild with `rag-qa index`.")
