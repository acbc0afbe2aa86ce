"""Dense search in one segment: inner product over unit vectors. The only file that imports faiss.

The vectors lie in half precision in a flat index, of which all are compared. A large segment has a graph over them as
well (HNSW, Malkov and Yashunin 2018), which finds most of the nearest in a fraction of the time. Both are mapped into
memory, not read. An inner product of unit vectors moves by less than .001 in half precision.
"""

import math
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeGuard

import faiss
import numpy as np

from rag_qa.errors import IndexDamagedError
from rag_qa.index.local.manifest import Graph
from rag_qa.index.local.segment.arrays import HALF, inner_products, read_vectors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["VectorIndex", "VectorWriter"]

VECTORS, GRAPH, SPOOL = "vectors.faiss", "graph.faiss", "vectors.building"
THREADS = faiss.omp_get_max_threads()
"""Threads that may build a graph."""
READ_TOGETHER = 16_384  # vectors
# Chosen by benchmarks/segments.py: docs/decisions/0010-graph.md.
LINKS = 32
CONSTRUCTION_EFFORT = 80
EFFORTS = (128, 256, 512, 1024)
RECALL_WANTED, LOWEST_RECALL = 0.99, 0.98
RECALL_DEPTH = 100
SLACK = 1.3
MOST_WANTED = 1024
"""Most rows that a graph is asked for: where more are needed, exact search hardly takes longer."""


class VectorIndex:
    """The vectors of a segment by row number; safe to share between threads."""

    def __init__(
        self, path: Path, flat: faiss.IndexScalarQuantizer, graph: faiss.IndexHNSW | None = None, effort: int = 0
    ) -> None:
        self._path = path
        self._flat = flat
        self._graph = graph
        self._effort = effort

    @classmethod
    def open(cls, folder: Path, passages: int, dimension: int, graph: Graph | None) -> "VectorIndex":
        """Opens what `VectorWriter` wrote.

        Raises:
            IndexDamagedError: it cannot be read, or holds not as many vectors as there are passages.
        """
        path = folder / VECTORS
        flat = _read(path, faiss.IO_FLAG_MMAP_IFC)
        if not _is_half(flat) or (flat.ntotal, flat.d) != (passages, dimension):
            raise IndexDamagedError(
                f"{path} holds not the {passages} vectors of {dimension} numbers that belong to the passages"
            )
        if graph is None:
            return cls(path, flat)
        path = folder / GRAPH
        links = _read(path, faiss.IO_FLAG_MMAP_IFC | faiss.IO_FLAG_SKIP_STORAGE)
        if not isinstance(links, faiss.IndexHNSW) or (links.ntotal, links.d) != (passages, dimension):
            raise IndexDamagedError(f"{path} is not the graph of the {passages} vectors beside it")
        links.storage, links.own_fields = flat, False
        # The assignment transferred its ownership: without this, neither it nor the file would be freed.
        flat.thisown = True  # type: ignore[attr-defined] # of every object that SWIG makes
        return cls(folder / VECTORS, flat, links, graph.effort)

    def search(
        self,
        query: "NDArray[np.float32]",
        depth: int,
        allowed: "NDArray[np.bool_] | None" = None,
        *,
        exact: bool = False,
    ) -> dict[int, float]:
        """The `depth` rows with the largest inner product, best first, equal ones by row.

        Args:
            query: a unit vector of shape (dimension,).
            depth: how many rows.
            allowed: for each row whether it may be found.
            exact: never use the graph.
        """
        total = self._flat.ntotal
        findable = total if allowed is None else int(np.count_nonzero(allowed))
        depth = min(depth, findable)
        if depth == 0:
            return {}
        # One question is searched by one thread, whatever FAISS is allowed: waking others only costs. The number holds
        # for the thread that sets it.
        faiss.omp_set_num_threads(1)
        hits = None if exact else self._by_graph(query, depth, allowed if findable < total else None, total / findable)
        if hits is None:
            how = None
            if allowed is not None and findable < total:
                # On a flat index a selector visits the allowed rows only: docs/decisions/0008-filters.md.
                bits = np.packbits(allowed, bitorder="little")
                only = faiss.IDSelectorBitmap(bits)  # type: ignore[call-arg, arg-type] # stubs
                how = faiss.SearchParameters(sel=only)  # type: ignore[call-arg] # stubs
            scores, rows = self._flat.search(query[np.newaxis], depth, params=how)
            self._check_finite(scores)
            hits = list(zip(rows[0].tolist(), scores[0].tolist(), strict=True))
        return dict(sorted(hits, key=lambda hit: (-hit[1], hit[0]))[:depth])

    def _by_graph(
        self, query: "NDArray[np.float32]", depth: int, allowed: "NDArray[np.bool_] | None", rarity: float
    ) -> list[tuple[int, float]] | None:
        """Searches the graph for at least `depth` rows that may be found; None where it cannot give them.

        The graph is asked for more, of which those that may not be found are dropped. Should they be too many, as where
        a filter leaves out just what the question is about, the graph knows nothing of what lies behind them.
        """
        wanted = depth if allowed is None else math.ceil(SLACK * depth * rarity)
        if self._graph is None or wanted > MOST_WANTED:
            return None
        how = faiss.SearchParametersHNSW(efSearch=max(wanted, self._effort))  # type: ignore[attr-defined] # stubs
        scores, rows = self._graph.search(query[np.newaxis], wanted, params=how)
        hits = [
            (row, score)
            for row, score in zip(rows[0].tolist(), scores[0].tolist(), strict=True)
            if row >= 0 and (allowed is None or allowed[row])
        ]
        self._check_finite(np.array([score for _, score in hits], dtype=np.float32))
        return hits if len(hits) >= depth else None

    def scores(self, queries: "NDArray[np.float32]", rows: "NDArray[np.int64]") -> "NDArray[np.float32]":
        """The inner products of m queries with n rows, of shape (m, n)."""
        scores = inner_products(queries, self._flat.reconstruct_batch(rows))
        self._check_finite(scores)
        return scores

    def vectors(self, rows: range) -> "NDArray[np.float32]":
        """The vectors of consecutive rows, of shape (len(rows), dimension); read, not mapped: they may be very many."""
        dimension, size = self._flat.d, self._flat.d * HALF.itemsize
        header = self._path.stat().st_size - self._flat.ntotal * size  # the vectors are the end of the file
        return read_vectors(self._path, header + rows.start * size, len(rows), dimension).astype(np.float32)

    def vectors_of(self, rows: "NDArray[np.int64]") -> "NDArray[np.float32]":
        """The vectors of n rows, of shape (n, dimension)."""
        vectors: NDArray[np.float32] = self._flat.reconstruct_batch(rows)
        return vectors

    def _check_finite(self, scores: "NDArray[np.float32]") -> None:
        if not np.isfinite(scores).all():
            raise IndexDamagedError(f"{self._path} holds what is no number")


class VectorWriter:
    """Writes the vectors of a segment batch by batch; they wait in a file, so that only sealing needs memory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.dimension = 0
        """Dimension of the vectors that were added."""
        self._spool = (folder / SPOOL).open("wb")

    def add(self, vectors: "NDArray[np.float32]") -> None:
        """Adds unit vectors of shape (n, dimension)."""
        self.dimension = vectors.shape[1]
        self._spool.write(np.ascontiguousarray(vectors, dtype=HALF).data)

    def seal(self, graph_passages: int, questions: "NDArray[np.float32]") -> Graph | None:
        """Writes the flat index and, from `graph_passages` vectors on, the graph.

        A graph that stays below a recall@100 of .98 is left out: the segment is then searched exactly.

        Args:
            graph_passages: from how many vectors on.
            questions: unit vectors of shape (n, dimension) to measure the graph with.

        Raises:
            OSError, RuntimeError: it cannot be written.
        """
        self._spool.close()
        faiss.omp_set_num_threads(THREADS)
        passages = (self._folder / SPOOL).stat().st_size // (self.dimension * HALF.itemsize)
        how = faiss.ScalarQuantizer.QT_fp16
        index: faiss.Index = faiss.IndexScalarQuantizer(self.dimension, how, faiss.METRIC_INNER_PRODUCT)
        if passages >= graph_passages:
            index = faiss.IndexHNSWSQ(self.dimension, how, LINKS, faiss.METRIC_INNER_PRODUCT)  # type: ignore[arg-type] # stubs
            index.hnsw.efConstruction = CONSTRUCTION_EFFORT
            index.is_trained = True
        for vectors in self._waiting():
            index.add(vectors)
        (self._folder / SPOOL).unlink()
        if not isinstance(index, faiss.IndexHNSW):
            faiss.write_index(index, str(self._folder / VECTORS))
            return None
        flat = faiss.downcast_index(index.storage)
        faiss.write_index(flat, str(self._folder / VECTORS))
        graph = _measured(index, flat, questions)
        if graph is not None:
            faiss.write_index(index, str(self._folder / GRAPH), faiss.IO_FLAG_SKIP_STORAGE)  # type: ignore[call-overload]
        return graph

    def discard(self) -> None:
        """Closes the files of an abandoned segment."""
        with suppress(OSError):  # what could not be written is not missed
            self._spool.close()

    def _waiting(self) -> "Iterator[NDArray[np.float32]]":
        with (self._folder / SPOOL).open("rb") as file:
            while len(vectors := np.fromfile(file, dtype=HALF, count=READ_TOGETHER * self.dimension)):
                yield vectors.reshape(-1, self.dimension).astype(np.float32)


def _measured(index: faiss.IndexHNSW, flat: faiss.Index, questions: "NDArray[np.float32]") -> Graph | None:
    """The graph with the least effort that reaches the recall wanted, or None where none is good enough."""
    depth = min(RECALL_DEPTH, flat.ntotal)
    _, exact = flat.search(questions, depth)
    recall = 0.0
    for effort in EFFORTS:
        how = faiss.SearchParametersHNSW(efSearch=effort)  # type: ignore[attr-defined] # stubs
        _, found = index.search(questions, depth, params=how)
        shared = [len(np.intersect1d(*pair)) for pair in zip(exact, found, strict=True)]
        recall = float(np.mean(shared)) / depth
        if recall >= RECALL_WANTED:
            break
    return Graph(LINKS, effort, round(recall, 4)) if recall >= LOWEST_RECALL else None


def _is_half(index: faiss.Index) -> TypeGuard[faiss.IndexScalarQuantizer]:
    """Returns whether an index holds vectors as they were written, in half precision."""
    return isinstance(index, faiss.IndexScalarQuantizer) and index.sq.qtype == faiss.ScalarQuantizer.QT_fp16


def _read(path: Path, flags: int) -> faiss.Index:
    try:
        return faiss.read_index(str(path), flags)
    except RuntimeError:
        raise IndexDamagedError(f"{path} cannot be read") from None
