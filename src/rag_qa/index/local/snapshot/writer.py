"""Writes the parts of a snapshot: new documents go into new segments, segments that stay are hard links.

A deleted passage of a segment that stays keeps its bytes there and has no row; its statistics are cancelled
(tombstones.py). Segments with many deleted passages, and small ones, are merged into the new segment: their documents
are copied with their vectors.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from rag_qa.files import FileRecord, link, make_folder, save_array
from rag_qa.index.local.manifest import Segment, segment_name
from rag_qa.index.local.segment.segment import SegmentWriter, open_store
from rag_qa.index.local.segment.tombstones import Tombstones, write_ballast
from rag_qa.index.local.snapshot.document_table import DocumentTableWriter, Layout
from rag_qa.index.local.snapshot.layout import SnapshotFolder
from rag_qa.index.local.snapshot.merge_policy import to_merge
from rag_qa.index.local.snapshot.parts import read_tombstones
from rag_qa.index.local.snapshot.previous import PreviousSnapshot
from rag_qa.index.records import Vectors
from rag_qa.settings import Settings
from rag_qa.text.acronyms.lexicon import resolve
from rag_qa.types import ChunkedDocument, IndexedFile, Mentions

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["SnapshotWriter"]


READ_TOGETHER = 10_000  # documents


class SnapshotWriter:
    """Writes a snapshot into an empty folder, but for its manifest."""

    def __init__(
        self,
        folder: SnapshotFolder,
        table: DocumentTableWriter,
        previous: PreviousSnapshot | None,
        settings: Settings,
        progress: Callable[[str, int, int], None],
    ) -> None:
        """Begins a snapshot.

        Args:
            folder: where to.
            table: takes every document that is added; the caller adds those that stay where they lie.
            previous: the snapshot that those lie in.
            settings: sizes of segments.
            progress: called with how far merging is.
        """
        self._folder = folder
        self._table = table
        self._previous = previous
        self.dimension = previous.snapshot.manifest.encoder.dimension if previous else 0
        """Dimension of the vectors; 0 while there are none."""
        self._settings = settings
        self._progress = progress
        self._before = {each.number: each for each in previous.snapshot.manifest.segments} if previous else {}
        self._sealed: list[Segment] = []
        self._open: SegmentWriter | None = None

    def add(self, documents: Sequence[ChunkedDocument], vectors: Iterable[Vectors]) -> None:
        """Writes new documents with the vectors of all their passages, in as many parts as may be.

        Raises:
            InputError: two documents have the same name.
            WriteError: they cannot be written.
        """
        number, places = self._append(documents, vectors)
        for chunked, (place, first_row) in zip(documents, places, strict=True):
            self._table.add(chunked, number, place, first_row)

    def finish(self, files: Sequence[IndexedFile]) -> tuple[tuple[Segment, ...], dict[str, FileRecord]]:
        """Merges segments that have become too small or have too many tombstones, and writes all else.

        Args:
            files: all files, by path.

        Returns:
            The segments, and those files of theirs that are hard links.
        """
        self._merge()
        self._seal()
        live = self._table.live()
        kept = [segment for number, segment in self._before.items() if number in live]
        segments = sorted([*kept, *self._sealed], key=lambda segment: segment.number)
        linked: dict[str, FileRecord] = {}
        for segment in kept:
            linked |= self._link(segment)
        self._write_rows(segments, self._table.layout())
        self._write_tombstones(segments, {each.number: each for each in kept}, live)
        self._write_acronyms(segments)
        self._table.write(self._folder.contents, files)
        return tuple(segments), linked

    def discard(self) -> None:
        """Closes the files of an abandoned snapshot."""
        if self._open is not None:
            self._open.discard()

    def _append(
        self, documents: Sequence[ChunkedDocument], vectors: Iterable[Vectors]
    ) -> tuple[int, list[tuple[int, int]]]:
        """Writes documents to the open segment; returns its number, and the place and first row of each."""
        if self._open is not None and self._open.passages >= self._settings.segment_passages:
            self._seal()
        if self._open is None:
            number = 1 + max([*self._before, *(segment.number for segment in self._sealed)], default=0)
            self._open = SegmentWriter(self._folder.segment(segment_name(number)), number)
        return self._open.number, self._open.add(documents, vectors)

    def _seal(self) -> None:
        if self._open is not None:
            self._progress("joining", self._open.passages, self._open.passages)
            self._sealed.append(self._open.seal(self._settings.graph_passages))
            self.dimension = self._open.dimension
            self._open = None

    def _merge(self) -> None:
        live = self._table.live()
        sizes = {number: (live[number], segment.passages) for number, segment in self._before.items() if number in live}
        fresh = sum(live.values()) - sum(size for size, _ in sizes.values())
        merged = to_merge(sizes, fresh, self._settings.segment_passages)
        total = sum(live[number] for number in merged)
        done = 0
        for number in merged:
            for location in self._table.in_segment(number):
                self._progress("merging", done, total)
                chunked, vectors = self._base.chunked(location)
                target, [(place, first_row)] = self._append([chunked], [vectors])
                self._table.move(location.id, target, place, first_row)
                done += location.passages

    @property
    def _base(self) -> PreviousSnapshot:
        assert self._previous is not None  # noqa: S101 - there are segments to keep
        return self._previous

    def _link(self, segment: Segment) -> dict[str, FileRecord]:
        """Links a segment's files; returns what they look like."""
        snapshot = self._base.snapshot
        place = snapshot.segment(segment.name).relative_to(snapshot.folder).as_posix()
        records = {name: of for name, of in snapshot.manifest.files.items() if name.startswith(f"{place}/")}
        for name in records:
            make_folder((self._folder.folder / name).parent)
            link(snapshot.folder / name, self._folder.folder / name)
        return records

    def _write_rows(self, segments: Sequence[Segment], layout: Layout) -> None:
        make_folder(self._folder.row_folder)
        for segment in segments:
            save_array(self._folder.rows(segment.name), _rows(segment, layout))

    def _write_acronyms(self, segments: Sequence[Segment]) -> None:
        """Writes the acronyms of the collection, resolved from what all documents mention."""

        def mentions() -> Iterator[tuple[str, Mentions]]:
            for segment in segments:
                locations = self._table.in_segment(segment.number)
                with closing(open_store(self._folder.segment(segment.name))) as store:
                    for first in range(0, len(locations), READ_TOGETHER):
                        some = locations[first : first + READ_TOGETHER]
                        mentioned = store.mentions([each.place for each in some])
                        yield from zip((each.path for each in some), mentioned, strict=True)

        self._folder.acronyms.write_bytes(msgspec.msgpack.encode(resolve(mentions())))

    def _write_tombstones(
        self, segments: Sequence[Segment], kept: Mapping[int, Segment], live: Mapping[int, int]
    ) -> None:
        """Writes the BM25 statistics of deleted passages, and the ballast index that cancels them."""
        thinned = [segment for number, segment in kept.items() if live[number] < segment.passages]
        if not thinned:
            return
        before = read_tombstones(self._base.snapshot)
        deleted = {segment.name: before.get(segment.name) or Tombstones() for segment in thinned}
        for segment in thinned:
            left = {location.id for location in self._table.in_segment(segment.number)}
            removed = (each for each in self._base.table.in_segment(segment.number) if each.id not in left)
            deleted[segment.name].add(
                passage.in_context for location in removed for passage in self._base.passages(location)
            )
        self._folder.tombstones.write_bytes(msgspec.msgpack.encode(deleted))
        total = Tombstones.sum(deleted.values())
        terms = sum(segment.terms for segment in segments) - total.terms
        if terms > 0:
            make_folder(self._folder.ballast)
            write_ballast(self._folder.ballast, sum(live.values()), terms, total)


def _rows(segment: Segment, layout: Layout) -> "NDArray[np.int64]":
    """The row of each passage of a segment among all passages; -1 for deleted ones."""
    here = layout.segments == segment.number
    passages = layout.passages[here]
    within = np.arange(passages.sum()) - np.repeat(np.cumsum(passages) - passages, passages)
    rows = np.full(segment.passages, -1, dtype=np.int64)
    rows[np.repeat(layout.first_rows[here], passages) + within] = np.repeat(layout.starts[here], passages) + within
    return rows
