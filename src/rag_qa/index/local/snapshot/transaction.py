"""One run's new snapshot: the lock, the snapshot that it is built on, a folder that fills up, and its commit."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from rag_qa.errors import IndexDamagedError, IndexMismatchError, IndexMissingError, WriteError
from rag_qa.index.local.manifest import Manifest
from rag_qa.index.local.snapshot.commit import commit_snapshot, new_snapshot, writing
from rag_qa.index.local.snapshot.document_table import DocumentTableWriter
from rag_qa.index.local.snapshot.layout import Snapshot, SnapshotFolder
from rag_qa.index.local.snapshot.previous import PreviousSnapshot
from rag_qa.index.local.snapshot.searcher import SnapshotSearcher
from rag_qa.index.local.snapshot.writer import SnapshotWriter
from rag_qa.index.records import Counts, SnapshotInfo, Vectors
from rag_qa.settings import Settings
from rag_qa.types import ChunkedDocument, Document, IndexedFile

if TYPE_CHECKING:
    from rag_qa.index import Progress
    from rag_qa.index.protocol import IndexWriter, SearchIndex

__all__ = ["open_local_writer"]

STAGING = "staging.sqlite"


@contextmanager
def open_local_writer(
    index: Path, settings: Settings, progress: "Progress", *, wait: bool, dry_run: bool
) -> "Iterator[IndexWriter]":
    """Opens an index for one new snapshot; as `rag_qa.index.open_writer`."""
    lock = nullcontext() if dry_run else writing(index, wait=wait, on_wait=lambda: progress("waiting", 0, 1))
    with lock, ExitStack() as held:
        previous, rebuilt = _previous(index)
        if previous is not None:
            held.enter_context(closing(previous.searcher))
        if dry_run:
            writer: LocalWriter | DryRunWriter = DryRunWriter(index, previous, rebuilt)
        else:
            folder = held.enter_context(new_snapshot(index))
            writer = LocalWriter(folder, index, previous, rebuilt, settings, progress)
        held.callback(writer.discard)
        yield writer


class _Transaction(ABC):
    """The part that a run and a dry run share: the snapshot before, and the table of documents."""

    def __init__(
        self, index: Path, previous: PreviousSnapshot | None, rebuilt: str | None, table: DocumentTableWriter
    ) -> None:
        self.folder = index
        self.rebuilt = rebuilt
        self._previous = previous
        self._table = table

    @property
    def previous(self) -> "SearchIndex | None":
        """The current snapshot, every byte of it checked."""
        return self._previous.searcher if self._previous else None

    @abstractmethod
    def add(self, documents: Sequence[ChunkedDocument], vectors: Iterable[Vectors]) -> None:
        """Takes documents with the vectors of all their passages; errors as `IndexWriter.add`."""

    def keep(self, files: Collection[str]) -> None:
        """Takes over the documents of files of the previous snapshot as they are."""
        if self._previous is not None:
            self._table.keep(each for each in self._previous.table.each() if each.file in files)

    def rename(self, file: str, renamed: Callable[[Document], Document]) -> None:
        """Takes over the documents of a file of the previous snapshot under other names."""
        if self._previous is None:
            return
        for location in self._previous.table.of_file(file):
            chunked, vectors = self._previous.chunked(location)
            self.add([msgspec.structs.replace(chunked, document=renamed(chunked.document))], [vectors])

    def counts(self) -> Counts:
        """Documents, passages and tokens so far."""
        return Counts(*self._table.totals())

    def digests(self) -> Iterator[bytes]:
        """The digests of all documents so far, in the order of rows."""
        return self._table.digests()


class DryRunWriter(_Transaction):
    """Counts what would be written."""

    def __init__(self, index: Path, previous: PreviousSnapshot | None, rebuilt: str | None) -> None:
        super().__init__(index, previous, rebuilt, DocumentTableWriter(None))

    def add(self, documents: Sequence[ChunkedDocument], vectors: Iterable[Vectors]) -> None:
        """Counts documents, and passages that would be encoded; errors as `IndexWriter.add`."""
        deque(vectors, maxlen=0)
        for document in documents:
            self._table.add(document, segment=0, place=0, first_row=0)

    def commit(self, files: Sequence[IndexedFile], info: SnapshotInfo, keep: int) -> SnapshotInfo:  # noqa: ARG002
        """Writes nothing, and gives the facts back."""
        return info

    def discard(self) -> None:
        """Drops the counts."""
        self._table.discard()


class LocalWriter(_Transaction):
    """Writes a snapshot into a folder of its own."""

    def __init__(
        self,
        folder: SnapshotFolder,
        index: Path,
        previous: PreviousSnapshot | None,
        rebuilt: str | None,
        settings: Settings,
        progress: "Progress",
    ) -> None:
        """Begins a snapshot in an empty folder, which the caller removes unless it was committed."""
        super().__init__(index, previous, rebuilt, DocumentTableWriter(folder.folder / STAGING))
        self._new = folder
        self._writer = SnapshotWriter(folder, self._table, previous, settings, progress)

    def add(self, documents: Sequence[ChunkedDocument], vectors: Iterable[Vectors]) -> None:
        """Writes documents with the vectors of all their passages; errors as `IndexWriter.add`."""
        self._writer.add(documents, vectors)

    def commit(self, files: Sequence[IndexedFile], info: SnapshotInfo, keep: int) -> SnapshotInfo:
        """Merges, seals, syncs and checks the snapshot, makes it current and removes the oldest ones."""
        segments, linked = self._writer.finish(files)
        self._table.discard()
        (self._new.folder / STAGING).unlink()
        manifest = Manifest(
            id=info.id,
            sequence=0,
            created=info.created,
            working_directory=info.working_directory,
            paths=info.paths,
            settings=info.settings,
            encoder=msgspec.structs.replace(info.encoder, dimension=self._writer.dimension),
            counts=info.counts,
            segments=segments,
        )
        snapshot = commit_snapshot(self.folder, self._new.folder, manifest, linked, keep, _check)
        return snapshot.manifest.info(snapshot.name)

    def discard(self) -> None:
        """Closes all files; does nothing after `commit`."""
        self._writer.discard()
        self._table.discard()


def _previous(index: Path) -> tuple[PreviousSnapshot | None, str | None]:
    """The snapshot to build on, or why there is none although there is an index."""
    try:
        return PreviousSnapshot.open_current(index), None
    except IndexMissingError:
        return None, None
    except IndexDamagedError as error:
        return None, error.what
    except IndexMismatchError as error:
        return None, f"the snapshot that answered has format {error.found}"


def _check(snapshot: Snapshot) -> None:
    """Raises WriteError where a new snapshot cannot be opened: it was not written as it should have been."""
    try:
        SnapshotSearcher.open(snapshot).close()
    except IndexDamagedError as error:
        raise WriteError(snapshot.folder, error.what) from None
