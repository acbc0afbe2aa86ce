"""The snapshot that a new one is built on, read document by document as it was written."""

from pathlib import Path

from rag_qa.errors import IndexDamagedError, SnapshotError
from rag_qa.files import damaged
from rag_qa.index.local.snapshot.document_table import DocumentLocation, DocumentTable
from rag_qa.index.local.snapshot.layout import Snapshot, open_current
from rag_qa.index.local.snapshot.searcher import SnapshotSearcher
from rag_qa.index.records import Vectors
from rag_qa.types import ChunkedDocument, Passage

__all__ = ["PreviousSnapshot"]


class PreviousSnapshot:
    """The current snapshot when a run began; every method raises IndexDamagedError where it is damaged."""

    def __init__(self, searcher: SnapshotSearcher) -> None:
        self.searcher = searcher

    @classmethod
    def open_current(cls, index: Path) -> "PreviousSnapshot":
        """Opens the current snapshot and reads every byte of it.

        Raises:
            IndexMissingError: there is none.
            IndexDamagedError, IndexMismatchError: nothing can be built on it.
        """
        searcher = open_current(index, SnapshotSearcher.open)
        try:
            if wrong := damaged(searcher.snapshot.folder, searcher.snapshot.manifest.files):
                raise IndexDamagedError(f"{searcher.snapshot.folder / wrong[0]} is not what was written")
        except SnapshotError:
            searcher.close()
            raise
        return cls(searcher)

    @property
    def snapshot(self) -> Snapshot:
        """Folder and manifest of the snapshot."""
        return self.searcher.snapshot

    @property
    def table(self) -> DocumentTable:
        """Table of the files and documents, with the locations of the documents."""
        return self.searcher.table

    def chunked(self, location: DocumentLocation) -> tuple[ChunkedDocument, Vectors]:
        """A document with its passages, as it was written, and their vectors."""
        chunked, vectors = self.searcher.segments[location.segment].chunked(location.place, location.rows)
        self.searcher.check_location(location, chunked.document)
        return chunked, vectors

    def passages(self, location: DocumentLocation) -> list[Passage]:
        """The passages of a document in order."""
        store = self.searcher.segments[location.segment].store
        return [passage for _, passage in store.passages(location.rows)]
