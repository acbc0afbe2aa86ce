"""Metadata of all documents of a snapshot: the rows that pass filters, and how many documents have a value."""

from collections import Counter
from collections.abc import Iterable
from functools import cached_property
from threading import Lock

import msgspec
import numpy as np
from numpy.typing import NDArray

from rag_qa.filters import Filters, matcher
from rag_qa.types import DocumentInfo

__all__ = ["MetadataIndex"]

MOST_KEPT = 32  # sets of passages that are kept for filters that were used before
FACETS = ("format", "language")


class MetadataIndex:
    """Metadata of all documents of a snapshot; safe to share between threads."""

    def __init__(self, documents: Iterable[tuple[DocumentInfo, int]]) -> None:
        """Takes the documents in order, each with its number of passages."""
        counted = list(documents)
        self._documents = [info for info, _ in counted]
        self._ends = np.cumsum([0, *(passages for _, passages in counted)])
        self._fields = {"title"}.union(*(info.metadata for info in self._documents))
        self._kept: dict[bytes, NDArray[np.bool_]] = {}
        self._lock = Lock()

    @cached_property
    def facets(self) -> dict[str, list[tuple[str, int]]]:
        """Values of `format` and `language` with the number of documents that have each, the most frequent first."""
        counted = {
            name: Counter(str(info.metadata[name]) for info in self._documents if info.metadata.get(name))
            for name in FACETS
        }
        return {name: sorted(counts.items(), key=lambda item: (-item[1], item[0])) for name, counts in counted.items()}

    def allowed(self, filters: Filters) -> NDArray[np.bool_]:
        """Returns whether the document of each row passes, of shape (passages,).

        Raises:
            UnknownFieldError: a filter names a metadata field that no document has.
            QuestionError: a filter cannot be understood.
        """
        key = msgspec.json.encode(filters)
        with self._lock:
            if key in self._kept:
                return self._kept[key]
        decided = self._decide(filters)
        with self._lock:
            while len(self._kept) >= MOST_KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = decided
        return decided

    def check(self, filters: Filters) -> None:
        """Raises what `allowed` would, without looking at the documents."""
        matcher(filters, self._fields)

    def _decide(self, filters: Filters) -> NDArray[np.bool_]:
        passes = matcher(filters, self._fields)
        allowed = np.zeros(self._ends[-1], dtype=np.bool_)
        for number, info in enumerate(self._documents):
            if passes(info):
                allowed[self._ends[number] : self._ends[number + 1]] = True
        return allowed
