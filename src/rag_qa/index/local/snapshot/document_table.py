"""The table of a snapshot: every file, and every document in its order with its location.

Documents are ordered by the path of their file, then by the number of their record. Counted through in this order,
passages have the row numbers by which the stages know them.
"""

import sqlite3
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, count
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from rag_qa.errors import InputError
from rag_qa.index.local.sqlite_file import CheckedDatabase, DatabaseWriter, checksum
from rag_qa.schemas import msgpack_decoder
from rag_qa.types import ChunkedDocument, IndexedFile

__all__ = ["DocumentLocation", "DocumentTable", "DocumentTableWriter", "Layout"]

STAGING = """
CREATE TABLE documents (
    id TEXT PRIMARY KEY, path TEXT NOT NULL, file TEXT NOT NULL, record INTEGER NOT NULL, segment INTEGER NOT NULL,
    place INTEGER NOT NULL, first_row INTEGER NOT NULL, passages INTEGER NOT NULL, tokens INTEGER NOT NULL,
    digest BLOB NOT NULL) WITHOUT ROWID;
"""
SCHEMA = """
CREATE TABLE files (number INTEGER PRIMARY KEY, file BLOB NOT NULL, checksum BLOB NOT NULL);
CREATE TABLE documents (
    number INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, path TEXT NOT NULL, file TEXT NOT NULL,
    record INTEGER NOT NULL, segment INTEGER NOT NULL, place INTEGER NOT NULL, first_row INTEGER NOT NULL,
    passages INTEGER NOT NULL, tokens INTEGER NOT NULL, digest BLOB NOT NULL, checksum BLOB NOT NULL);
CREATE INDEX of_file ON documents (file);
"""
COLUMNS = "id, path, file, record, segment, place, first_row, passages, tokens, digest"
ORDER = "file, record"
READ_TOGETHER = 10_000  # documents


_FILES = msgpack_decoder(IndexedFile)


class DocumentLocation(Struct, frozen=True):
    """Location of a document; the fields are the columns of the table."""

    id: str
    path: str
    file: str
    record: int
    """Number of the record; 0 for a document that is a whole file."""
    segment: int
    place: int
    first_row: int
    """Row of its first passage, in its segment."""
    passages: int
    tokens: int
    digest: bytes
    """Digest that is equal for equal documents and passages, wherever the file lies."""

    @property
    def rows(self) -> range:
        """Rows of its passages, in its segment."""
        return range(self.first_row, self.first_row + self.passages)


class Layout(Struct, frozen=True):
    """Locations of the passages of all documents: arrays over the documents, in their order."""

    segments: NDArray[np.int64]
    first_rows: NDArray[np.int64]
    """Row of each document's first passage, in its segment."""
    passages: NDArray[np.int64]
    starts: NDArray[np.int64]
    """The row of each document's first passage among all passages, in order."""


class DocumentTable(CheckedDatabase):
    """Reads the list of files and documents; safe to share between threads.

    Every method raises IndexDamagedError where a row is not what was written.
    """

    def files(self) -> list[IndexedFile]:
        """All files, those that gave no document among them, by path."""
        files: list[IndexedFile] = []
        for number, file, expected in self.query("SELECT number, file, checksum FROM files ORDER BY number"):
            self.check(expected, number, file)
            files.append(_FILES.decode(file))
        return files

    def documents(self, offset: int = 0, limit: int | None = None) -> list[DocumentLocation]:
        """The documents in order, from the `offset`-th on."""
        end = sys.maxsize if limit is None else min(offset + limit, sys.maxsize)
        return self._select("number >= ? AND number < ?", min(offset, end), end)

    def each(self) -> Iterator[DocumentLocation]:
        """The documents in order, of which only some are held at a time."""
        for first in count(step=READ_TOGETHER):
            some = self.documents(first, READ_TOGETHER)
            yield from some
            if len(some) < READ_TOGETHER:
                return

    def document(self, document_id: str) -> DocumentLocation | None:
        """A document by its id, or None if there is none."""
        return next(iter(self._select("id = ?", document_id)), None)

    def of_file(self, path: str) -> list[DocumentLocation]:
        """The documents of a file, in order."""
        return self._select("file = ?", path)

    def in_segment(self, segment: int) -> list[DocumentLocation]:
        """The documents that lie in a segment, in order."""
        return self._select("segment = ?", segment)

    def _select(self, where: str, *values: object) -> list[DocumentLocation]:
        statement = f"SELECT number, {COLUMNS}, checksum FROM documents WHERE {where} ORDER BY number"  # noqa: S608
        locations: list[DocumentLocation] = []
        for number, *columns, expected in self.query(statement, values):
            self.check(expected, number, *columns)
            locations.append(DocumentLocation(*columns))
        return locations


class DocumentTableWriter(DatabaseWriter):
    """Collects documents in any order and writes them in theirs; where there is nothing to write, in memory."""

    def __init__(self, staging: Path | None) -> None:
        super().__init__(staging or ":memory:", STAGING)

    def add(self, chunked: ChunkedDocument, segment: int, place: int, first_row: int) -> None:
        """Adds a document that was written to a segment.

        Raises:
            InputError: another document has the same name.
        """
        document = chunked.document
        location = DocumentLocation(
            id=document.id,
            path=document.path,
            file=document.file,
            record=document.record or 0,
            segment=segment,
            place=place,
            first_row=first_row,
            passages=len(chunked.passages),
            tokens=chunked.tokens,
            digest=chunked.digest,
        )
        self.keep([location])

    def keep(self, documents: Iterable[DocumentLocation]) -> None:
        """Adds documents that stay where they lie; errors as `add`."""
        for location in documents:
            try:
                self.insert("documents", [msgspec.structs.astuple(location)])
            except sqlite3.IntegrityError:
                raise InputError(
                    f"Two documents would both be called “{location.path}”, a file and a record of a feed: rename the "
                    "file."
                ) from None

    def move(self, document_id: str, segment: int, place: int, first_row: int) -> None:
        """Records that a document was copied to another segment."""
        self.execute(
            "UPDATE documents SET segment = ?, place = ?, first_row = ? WHERE id = ?",
            (segment, place, first_row, document_id),
        )

    def in_segment(self, segment: int) -> list[DocumentLocation]:
        """The documents that lie in a segment, in the order of their places."""
        statement = f"SELECT {COLUMNS} FROM documents WHERE segment = ? ORDER BY place"  # noqa: S608 - a constant
        return [DocumentLocation(*row) for row in self.execute(statement, [segment])]

    def live(self) -> dict[int, int]:
        """The number of passages that each segment's documents have."""
        return dict(self.execute("SELECT segment, sum(passages) FROM documents GROUP BY segment"))

    def totals(self) -> tuple[int, int, int]:
        """Documents, passages and tokens."""
        statement = "SELECT count(*), coalesce(sum(passages), 0), coalesce(sum(tokens), 0) FROM documents"
        ((documents, passages, tokens),) = self.execute(statement)
        return documents, passages, tokens

    def digests(self) -> Iterator[bytes]:
        """The digest of every document, in order."""
        return (digest for (digest,) in self.each(f"SELECT digest FROM documents ORDER BY {ORDER}"))  # noqa: S608

    def layout(self) -> Layout:
        """The locations of all passages."""
        rows = self.each(f"SELECT segment, first_row, passages FROM documents ORDER BY {ORDER}")  # noqa: S608
        numbers = np.fromiter(chain.from_iterable(rows), dtype=np.int64)
        segments, first_rows, passages = numbers.reshape(-1, 3).T
        return Layout(segments, first_rows, passages, np.cumsum(passages) - passages)

    def write(self, path: Path, files: Sequence[IndexedFile]) -> None:
        """Writes files, sorted by path, and documents to a file of their own."""
        written = DatabaseWriter(path, SCHEMA)
        encoded = ((number, msgspec.msgpack.encode(file)) for number, file in enumerate(files))
        written.insert("files", ((number, file, checksum(number, file)) for number, file in encoded))
        ordered = self.each(f"SELECT {COLUMNS} FROM documents ORDER BY {ORDER}")  # noqa: S608 - constants
        written.insert("documents", ((number, *row, checksum(number, *row)) for number, row in enumerate(ordered)))
        written.close()
