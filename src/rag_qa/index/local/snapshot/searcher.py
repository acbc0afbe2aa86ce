"""An opened snapshot: its segments as one collection, searched by row.

Rows count the passages of all documents in their order (document_table.py), whichever segment they lie in.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from rag_qa.errors import IndexDamagedError
from rag_qa.filters import Filters
from rag_qa.index.local.metadata_index import MetadataIndex
from rag_qa.index.local.segment.inverted import BM25_BOUND, InvertedIndex
from rag_qa.index.local.segment.segment import OpenSegment
from rag_qa.index.local.snapshot.document_table import DocumentLocation, DocumentTable
from rag_qa.index.local.snapshot.layout import Snapshot, open_current
from rag_qa.index.local.snapshot.parts import open_inverted, read_acronyms, read_rows
from rag_qa.index.records import Candidates, SearchOptions, SnapshotInfo
from rag_qa.text.acronyms.lexicon import Acronym
from rag_qa.text.duplicates import LENGTH
from rag_qa.types import Document, DocumentInfo, IndexedFile, Passage

if TYPE_CHECKING:
    from rag_qa.index.protocol import SearchIndex

__all__ = ["SnapshotSearcher", "open_snapshot"]

Number = TypeVar("Number", np.float32, np.float64, np.uint32)
Opened = TypeVar("Opened")


def open_snapshot(index: Path, then: "Callable[[SearchIndex], Opened]") -> Opened:
    """Opens the current snapshot and hands it over; as `rag_qa.index.open_index`."""

    def opened(snapshot: Snapshot) -> Opened:
        searcher = SnapshotSearcher.open(snapshot)
        try:
            return then(searcher)
        except BaseException:
            searcher.close()
            raise

    return open_current(index, opened)


class SnapshotSearcher:
    """Searches one snapshot and reads from it; the local engine's `SearchIndex`."""

    bm25_bound = BM25_BOUND

    def __init__(
        self,
        snapshot: Snapshot,
        table: DocumentTable,
        segments: Sequence[OpenSegment],
        rows: Mapping[int, NDArray[np.int64]],
        inverted: InvertedIndex,
        acronyms: Sequence[Acronym],
    ) -> None:
        self.snapshot = snapshot
        self.info: SnapshotInfo = snapshot.manifest.info(snapshot.name)
        self.acronyms = acronyms
        self.table = table
        self.segments = {each.segment.number: each for each in segments}
        self._inverted = inverted
        self._rows = rows
        self._live = {number: there >= 0 for number, there in rows.items()}
        self._whole = {number for number, live in self._live.items() if live.all()}
        total = snapshot.manifest.counts.passages
        self._segment_of = np.zeros(total, dtype=np.int64)
        self._row_in_segment = np.zeros(total, dtype=np.int64)
        for number, there in rows.items():
            found = there[self._live[number]]
            self._segment_of[found] = number
            self._row_in_segment[found] = np.flatnonzero(self._live[number])
        self._lock = Lock()
        self._metadata: MetadataIndex | None = None

    @classmethod
    def open(cls, snapshot: Snapshot) -> "SnapshotSearcher":
        """Opens the parts of a snapshot.

        Raises:
            IndexDamagedError: they cannot be read, or do not belong together.
        """
        manifest = snapshot.manifest
        rows = {segment.number: read_rows(snapshot, segment) for segment in manifest.segments}
        every = np.concatenate([there[there >= 0] for there in rows.values()])
        if not np.array_equal(np.sort(every), np.arange(manifest.counts.passages)):
            raise IndexDamagedError(f"The segments of {snapshot.folder} do not make up its passages")
        inverted, acronyms = open_inverted(snapshot, rows), read_acronyms(snapshot)
        with ExitStack() as on_error:
            segments: list[OpenSegment] = []
            for segment in manifest.segments:
                segments.append(OpenSegment.open(snapshot.segment(segment.name), segment, manifest.encoder.dimension))
                on_error.callback(segments[-1].close)
            table = DocumentTable(snapshot.contents)
            on_error.pop_all()
        return cls(snapshot, table, segments, rows, inverted, acronyms)

    @property
    def folder(self) -> Path:
        """The folder of the index."""
        return self.snapshot.index

    @property
    def encoder_folder(self) -> Path:
        """The folder of the exported encoder."""
        return self.snapshot.encoder

    def idf(self, terms: Collection[str]) -> dict[str, float]:
        """The inverse document frequency of each term among the passages left."""
        return self._inverted.idf(terms)

    def search(
        self,
        vectors: NDArray[np.float32],
        terms: Sequence[Mapping[str, int]],
        shares: Sequence[Mapping[str, float]],
        options: SearchOptions,
        filters: Filters | None = None,
    ) -> Candidates:
        """Finds candidates by vectors and by terms, and scores them all by both; as `SearchIndex.search`."""
        allowed = self._allowed(filters, options.without)
        if allowed is not None and not allowed.any():
            return Candidates.none(len(vectors))
        started = time.perf_counter()
        by_vector = [self._nearest(vector, options, allowed) for vector in vectors] if options.dense else []
        between = time.perf_counter()
        by_terms = [self._inverted.search(each, options.depth, allowed) if options.bm25 else {} for each in terms]
        ended = time.perf_counter()
        rows = np.array(sorted({row for hits in (*by_vector, *by_terms) for row in hits}), dtype=np.int64)
        if not len(rows):
            return Candidates.none(len(vectors))
        return Candidates(
            rows=rows,
            dense=self._dense(vectors, rows, sentences=options.sentences),
            bm25=np.array([[hits.get(row, 0.0) for row in rows.tolist()] for hits in by_terms]),
            coverage=self._filled(
                (len(shares), 2), np.float64, rows, lambda part, own: part.terms.coverage(shares, own)
            ),
            dense_ms=(between - started) * 1000,
            bm25_ms=(ended - between) * 1000,
        )

    def signatures(self, rows: Sequence[int]) -> NDArray[np.uint32]:
        """The MinHash signatures of n rows, of shape (n, 64)."""
        return self._filled((LENGTH,), np.uint32, rows, lambda part, own: part.signatures[own].T).T

    def passages(self, rows: Sequence[int]) -> list[tuple[DocumentInfo, Passage]]:
        """The passages of rows with their documents, in the order of `rows`."""
        own: dict[int, list[int]] = defaultdict(list)
        for row in rows:
            own[int(self._segment_of[row])].append(int(self._row_in_segment[row]))
        found = {
            (number, place): passage
            for number, places in own.items()
            for place, passage in zip(places, self.segments[number].store.passages(places), strict=True)
        }
        return [found[int(self._segment_of[row]), int(self._row_in_segment[row])] for row in rows]

    def sentence_scores(self, vectors: NDArray[np.float32], rows: Sequence[int]) -> list[NDArray[np.float32]]:
        """Inner products of m vectors with the sentences of n rows: n arrays of shape (m, sentences)."""
        wanted = np.asarray(rows, dtype=np.int64)
        segments, own = self._segment_of[wanted], self._row_in_segment[wanted]
        found: dict[int, NDArray[np.float32]] = {}
        for number in np.unique(segments):
            here = np.flatnonzero(segments == number)
            scores = self.segments[int(number)].sentences.scores(vectors, own[here])
            found |= zip(here.tolist(), scores, strict=True)
        return [found[place] for place in range(len(wanted))]

    def passage_vectors(self, rows: Sequence[int]) -> NDArray[np.float32]:
        """The vectors of n rows, of shape (n, d)."""
        dimension = (self.info.encoder.dimension,)
        return self._filled(dimension, np.float32, rows, lambda part, own: part.vectors.vectors_of(own).T).T

    def check_filters(self, filters: Filters) -> None:
        """Raises what `search` would raise for these filters."""
        self._metadata_index().check(filters)

    def facets(self) -> dict[str, list[tuple[str, int]]]:
        """Formats and languages of the documents, each with the number of documents, the most frequent first."""
        return self._metadata_index().facets

    def files(self) -> list[IndexedFile]:
        """All files by path, those that gave no document among them."""
        return self.table.files()

    def documents(self, offset: int = 0, limit: int | None = None) -> list[tuple[DocumentInfo, int]]:
        """The documents in order, from the `offset`-th on, each with its number of passages."""
        locations = self.table.documents(offset, limit)
        return [(info, each.passages) for info, each in zip(self._infos(locations), locations, strict=True)]

    def document_info(self, document_id: str) -> tuple[DocumentInfo, range] | None:
        """A document without its text, and its rows; None where no document has this id."""
        location = self.table.document(document_id)
        if location is None:
            return None
        (info,) = self._infos([location])
        rows = self._rows[location.segment][location.rows.start : location.rows.stop]
        first = int(rows[0]) if len(rows) else 0
        if not np.array_equal(rows, np.arange(first, first + location.passages)):
            raise self.table.damaged()
        return info, range(first, first + location.passages)

    def document(self, document_id: str) -> Document | None:
        """A document with its text; None where no document has this id."""
        location = self.table.document(document_id)
        if location is None:
            return None
        document = self.segments[location.segment].store.document(location.place)
        self.check_location(location, document)
        return document

    def check_location(self, location: DocumentLocation, info: DocumentInfo) -> None:
        """Raises IndexDamagedError where another document lies at a location."""
        if location.id != info.id:
            raise self.table.damaged()

    def close(self) -> None:
        """Closes the files; nothing can be read afterwards."""
        self.table.close()
        for segment in self.segments.values():
            segment.close()
        self.segments.clear()  # and with them what is mapped into memory

    def _allowed(self, filters: Filters | None, without: Sequence[int]) -> NDArray[np.bool_] | None:
        """Returns whether each row may be found, of shape (passages,); None where all may."""
        allowed = None if filters is None or filters == Filters() else self._metadata_index().allowed(filters)
        if without:
            allowed = np.ones(len(self._segment_of), dtype=np.bool_) if allowed is None else allowed.copy()
            allowed[list(without)] = False
        return allowed

    def _metadata_index(self) -> MetadataIndex:
        """The metadata index, made when the first filter is used, for it reads all documents' descriptions."""
        with self._lock:
            if self._metadata is None:
                self._metadata = MetadataIndex(self.documents())
            return self._metadata

    def _nearest(
        self, vector: NDArray[np.float32], options: SearchOptions, allowed: NDArray[np.bool_] | None
    ) -> dict[int, float]:
        """The `depth` rows with the largest inner product, best first, equal ones by row."""
        hits: list[tuple[int, float]] = []
        for number, segment in self.segments.items():
            findable = None if number in self._whole else self._live[number]
            if allowed is not None:
                findable = self._live[number] & allowed[self._rows[number]]
            found = segment.vectors.search(vector, options.depth, findable, exact=options.exact)
            hits += [(int(self._rows[number][own]), score) for own, score in found.items()]
        return dict(sorted(hits, key=lambda hit: (-hit[1], hit[0]))[: options.depth])

    def _dense(self, vectors: NDArray[np.float32], rows: NDArray[np.int64], *, sentences: bool) -> NDArray[np.float32]:
        """Inner products of shape (m, n), with the passage or its nearest sentence, whichever is larger."""
        whole = self._filled((len(vectors),), np.float32, rows, lambda part, own: part.vectors.scores(vectors, own))
        if not sentences:
            return whole
        nearest = self._filled((len(vectors),), np.float32, rows, lambda part, own: part.sentences.best(vectors, own))
        return np.maximum(whole, nearest)

    def _filled(
        self,
        shape: tuple[int, ...],
        kind: type[Number],
        rows: Sequence[int] | NDArray[np.int64],
        values: Callable[[OpenSegment, NDArray[np.int64]], NDArray[Number]],
    ) -> NDArray[Number]:
        """An array of `shape` and the rows as its last axis, filled by a function of a segment and rows within it."""
        wanted = np.asarray(rows, dtype=np.int64)
        filled = np.empty((*shape, len(wanted)), dtype=kind)
        segments, own = self._segment_of[wanted], self._row_in_segment[wanted]
        for number in np.unique(segments):
            here = segments == number
            filled[..., here] = values(self.segments[int(number)], own[here])
        return filled

    def _infos(self, locations: Sequence[DocumentLocation]) -> list[DocumentInfo]:
        """Documents in their order, read segment by segment."""
        places: dict[int, list[int]] = defaultdict(list)
        for each in locations:
            places[each.segment].append(each.place)
        found = {
            (number, place): info
            for number, own in places.items()
            for place, info in zip(own, self.segments[number].store.infos(own), strict=True)
        }
        infos = [found[each.segment, each.place] for each in locations]
        for each, info in zip(locations, infos, strict=True):
            self.check_location(each, info)
        return infos
