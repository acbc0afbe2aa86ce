"""An opened snapshot: its segments as one collection, in which every passage has one row number.

Rows count the passages of all documents in their order (document_table.py), whichever segment they lie in.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

import msgspec
import numpy as np

from rag_qa.errors import IndexDamagedError
from rag_qa.index.local.manifest import Manifest, Segment
from rag_qa.index.local.segment.inverted import LexicalIndex
from rag_qa.index.local.segment.segment import OpenSegment, Vectors, lexical_folder
from rag_qa.index.local.segment.tombstones import Tombstones
from rag_qa.index.local.snapshot.document_table import Contents, Placed
from rag_qa.index.local.snapshot.layout import Snapshot, open_current
from rag_qa.text.acronyms.lexicon import Acronym, Lexicon
from rag_qa.text.duplicates import LENGTH
from rag_qa.types import ChunkedDocument, Document, DocumentInfo, IndexedFile, Passage

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Corpus", "read_tombstones"]

Number = TypeVar("Number", np.float32, np.float64, np.uint32)

# Made when the module is: msgspec crashes where two threads are the first to decode a type.
_ACRONYMS = msgspec.msgpack.Decoder(tuple[Acronym, ...])


class Corpus:
    """Reads a snapshot; safe to share between threads. Every method raises IndexDamagedError where it is damaged."""

    def __init__(
        self,
        snapshot: Snapshot,
        contents: Contents,
        segments: Sequence[OpenSegment],
        rows: "Mapping[int, NDArray[np.int64]]",
        lexical: LexicalIndex,
        acronyms: Sequence[Acronym],
    ) -> None:
        self.snapshot = snapshot
        self.lexical = lexical
        self.acronyms = acronyms
        """With their long forms."""
        self.lexicon = Lexicon(acronyms)
        self._contents = contents
        self._segments = {each.segment.number: each for each in segments}
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

    @classmethod
    def open_current(cls, index: Path) -> Self:
        """Opens the snapshot that answers; errors as `Snapshot.open_current`."""
        return open_current(index, cls.open)

    @classmethod
    def open(cls, snapshot: Snapshot) -> Self:
        """Opens a snapshot.

        Raises:
            IndexDamagedError: its parts cannot be read, or do not belong together.
        """
        manifest = snapshot.manifest
        rows = {segment.number: _rows(snapshot, segment) for segment in manifest.segments}
        every = np.concatenate([there[there >= 0] for there in rows.values()])
        if not np.array_equal(np.sort(every), np.arange(manifest.counts.passages)):
            raise IndexDamagedError(f"The segments of {snapshot.folder} do not make up its passages")
        lexical, acronyms = _lexical(snapshot, rows), _acronyms(snapshot)
        with ExitStack() as on_error:
            segments: list[OpenSegment] = []
            for segment in manifest.segments:
                segments.append(OpenSegment.open(snapshot.segment(segment.name), segment, manifest.encoder.dimension))
                on_error.callback(segments[-1].close)
            contents = Contents(snapshot.contents)
            on_error.pop_all()
        return cls(snapshot, contents, segments, rows, lexical, acronyms)

    @property
    def manifest(self) -> Manifest:
        """What the snapshot is made of."""
        return self.snapshot.manifest

    def near(
        self,
        query: "NDArray[np.float32]",
        depth: int,
        allowed: "NDArray[np.bool_] | None" = None,
        *,
        exact: bool = False,
    ) -> dict[int, float]:
        """The `depth` rows whose vectors have the largest inner product, best first, equal ones by row.

        Args:
            query: a unit vector of shape (dimension,).
            depth: how many rows.
            allowed: for each row whether it may be found.
            exact: compare with every vector, also where there is a graph.
        """
        hits: list[tuple[int, float]] = []
        for number, segment in self._segments.items():
            findable = None if number in self._whole else self._live[number]
            if allowed is not None:
                findable = self._live[number] & allowed[self._rows[number]]
            found = segment.vectors.search(query, depth, findable, exact=exact)
            hits += [(int(self._rows[number][row]), score) for row, score in found.items()]
        return dict(sorted(hits, key=lambda hit: (-hit[1], hit[0]))[:depth])

    def scores(self, queries: "NDArray[np.float32]", rows: "NDArray[np.int64]") -> "NDArray[np.float32]":
        """The inner products of m queries with n rows, of shape (m, n)."""
        found = np.empty((len(queries), len(rows)), dtype=np.float32)
        return self._filled(found, rows, lambda segment, inner: segment.vectors.scores(queries, inner))

    def nearest_sentences(self, queries: "NDArray[np.float32]", rows: "NDArray[np.int64]") -> "NDArray[np.float32]":
        """The inner products of m queries with the nearest sentence of each of n rows, of shape (m, n)."""
        found = np.empty((len(queries), len(rows)), dtype=np.float32)
        return self._filled(found, rows, lambda segment, inner: segment.sentences.best(queries, inner))

    def sentence_scores(self, queries: "NDArray[np.float32]", rows: "NDArray[np.int64]") -> "list[NDArray[np.float32]]":
        """For each of n rows the inner products of m queries with its sentences, of shape (m, sentences)."""
        segments, inner = self._segment_of[rows], self._row_in_segment[rows]
        found: dict[int, NDArray[np.float32]] = {}
        for number in np.unique(segments):
            here = np.flatnonzero(segments == number)
            scores = self._segments[int(number)].sentences.scores(queries, inner[here])
            found |= zip(here.tolist(), scores, strict=True)
        return [found[place] for place in range(len(rows))]

    def coverage(self, weights: Sequence[Mapping[str, float]], rows: "NDArray[np.int64]") -> "NDArray[np.float64]":
        """How much of m questions n rows cover, alone and with neighbours, of shape (m, 2, n); as `TermSets`."""
        found = np.empty((len(weights), 2, len(rows)))
        return self._filled(found, rows, lambda segment, inner: segment.terms.coverage(weights, inner))

    def signatures(self, rows: Sequence[int]) -> "NDArray[np.uint32]":
        """The MinHash signatures of n rows, of shape (n, 64)."""
        found = np.empty((LENGTH, len(rows)), dtype=np.uint32)
        wanted = np.asarray(rows, dtype=np.int64)
        return self._filled(found, wanted, lambda segment, inner: segment.signatures.of(inner).T).T

    def passages(self, rows: Sequence[int]) -> list[tuple[DocumentInfo, Passage]]:
        """The passages of the rows, in the order of `rows`, each with its document."""
        inner: dict[int, list[int]] = defaultdict(list)
        for row in rows:
            inner[int(self._segment_of[row])].append(int(self._row_in_segment[row]))
        found = {
            (number, own): passage
            for number, wanted in inner.items()
            for own, passage in zip(wanted, self._segments[number].store.passages(wanted), strict=True)
        }
        return [found[int(self._segment_of[row]), int(self._row_in_segment[row])] for row in rows]

    def files(self) -> list[IndexedFile]:
        """All files, those that gave no document among them, by path."""
        return self._contents.files()

    def documents(self, offset: int = 0, limit: int | None = None) -> list[tuple[DocumentInfo, int]]:
        """The documents in order, from the `offset`-th on, each with its number of passages."""
        placed = self._contents.documents(offset, limit)
        return [(info, each.passages) for info, each in zip(self._infos(placed), placed, strict=True)]

    def placed(self, document_id: str) -> Placed | None:
        """Where a document lies, or None if the id is unknown."""
        return self._contents.document(document_id)

    def of_file(self, path: str) -> list[Placed]:
        """Where the documents of a file lie, in order."""
        return self._contents.of_file(path)

    def in_segment(self, segment: int) -> list[Placed]:
        """The documents that lie in a segment, in order."""
        return self._contents.in_segment(segment)

    def each_placed(self) -> Iterator[Placed]:
        """Where every document lies, in order; only some are held at a time."""
        return self._contents.each()

    def info(self, placed: Placed) -> DocumentInfo:
        """A document without its text."""
        (info,) = self._infos([placed])
        return info

    def document(self, placed: Placed) -> Document:
        """A document with its text."""
        document = self._segment(placed).store.document(placed.place)
        self._check(placed, document)
        return document

    def passages_of(self, placed: Placed) -> list[Passage]:
        """The passages of a document in order."""
        return [passage for _, passage in self._segment(placed).store.passages(placed.rows)]

    def rows_of(self, placed: Placed) -> list[int]:
        """The rows of a document's passages in order."""
        rows: list[int] = self._rows[placed.segment][placed.rows.start : placed.rows.stop].tolist()
        return rows

    def stored(self, placed: Placed) -> tuple[ChunkedDocument, Vectors]:
        """A document with its passages, as it was written, and their vectors."""
        stored, vectors = self._segment(placed).stored(placed.place, placed.rows)
        self._check(placed, stored.document)
        return stored, vectors

    def close(self) -> None:
        """Closes the files; nothing can be read afterwards."""
        self._contents.close()
        for segment in self._segments.values():
            segment.close()
        self._segments.clear()  # and with them what is mapped into memory

    def _infos(self, placed: Sequence[Placed]) -> list[DocumentInfo]:
        """Documents in their order, read segment by segment."""
        places: dict[int, list[int]] = defaultdict(list)
        for each in placed:
            places[each.segment].append(each.place)
        found = {
            (number, place): info
            for number, inner in places.items()
            for place, info in zip(inner, self._segments[number].store.infos(inner), strict=True)
        }
        infos = [found[each.segment, each.place] for each in placed]
        for each, info in zip(placed, infos, strict=True):
            self._check(each, info)
        return infos

    def _segment(self, placed: Placed) -> OpenSegment:
        return self._segments[placed.segment]

    def _check(self, placed: Placed, info: DocumentInfo) -> None:
        if placed.id != info.id:
            raise self._contents.damaged()

    def _filled(
        self,
        found: "NDArray[Number]",
        rows: "NDArray[np.int64]",
        call: "Callable[[OpenSegment, NDArray[np.int64]], NDArray[Number]]",
    ) -> "NDArray[Number]":
        """An array whose last axis is that of the rows, filled by a function of a segment's own rows."""
        segments, inner = self._segment_of[rows], self._row_in_segment[rows]
        for number in np.unique(segments):
            here = segments == number
            found[..., here] = call(self._segments[int(number)], inner[here])
        return found


def _acronyms(snapshot: Snapshot) -> tuple[Acronym, ...]:
    try:
        return _ACRONYMS.decode(snapshot.acronyms.read_bytes())
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        raise IndexDamagedError(f"{snapshot.acronyms} cannot be read") from None


def read_tombstones(snapshot: Snapshot) -> dict[str, Tombstones]:
    """What passages that are gone add to the statistics of the words, by the name of their segment."""
    if not snapshot.tombstones.is_file():
        return {}
    try:
        return msgspec.msgpack.decode(snapshot.tombstones.read_bytes(), type=dict[str, Tombstones])
    except msgspec.DecodeError:
        raise IndexDamagedError(f"{snapshot.tombstones} cannot be read") from None


def _rows(snapshot: Snapshot, segment: Segment) -> "NDArray[np.int64]":
    path = snapshot.rows(segment.name)
    try:
        rows: NDArray[np.int64] = np.load(path)
    except (OSError, ValueError, EOFError):
        raise IndexDamagedError(f"{path} cannot be read") from None
    if rows.shape != (segment.passages,):
        raise IndexDamagedError(f"{path} does not belong to the {segment.passages} passages of its segment")
    return rows


def _lexical(snapshot: Snapshot, rows: "Mapping[int, NDArray[np.int64]]") -> LexicalIndex:
    folders = {segment.number: lexical_folder(snapshot.segment(segment.name)) for segment in snapshot.manifest.segments}
    gone = Tombstones.sum(read_tombstones(snapshot).values())
    if gone.passages != sum(int(np.count_nonzero(there < 0)) for there in rows.values()):
        raise IndexDamagedError(f"{snapshot.tombstones} does not belong to the passages that are gone")
    return LexicalIndex.open(folders, rows, gone, snapshot.ballast if snapshot.ballast.is_dir() else None)
