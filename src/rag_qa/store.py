"""Files, documents and passages of a snapshot: one SQLite file, written once and then only read.

Every row carries a checksum over all that a citation is made of; it is checked when the row is
returned, so that a damaged file gives an error and never a wrong quote.
"""

import hashlib
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import msgspec

from rag_qa.errors import IndexDamagedError, InputError
from rag_qa.types import Document, DocumentInfo, IndexedFile, Passage

__all__ = ["DocumentStore", "StoredDocument", "write_store"]

SCHEMA = """
CREATE TABLE files (number INTEGER PRIMARY KEY, file BLOB NOT NULL, checksum BLOB NOT NULL);
CREATE TABLE documents (
    number INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, first_row INTEGER NOT NULL, passages INTEGER NOT NULL,
    info BLOB NOT NULL, checksum BLOB NOT NULL, text TEXT NOT NULL);
CREATE TABLE passages (
    row INTEGER PRIMARY KEY, document INTEGER NOT NULL REFERENCES documents,
    passage BLOB NOT NULL, checksum BLOB NOT NULL);
"""
DESCRIPTION = "d.number, d.first_row, d.passages, d.info, d.checksum"
ROWS_PER_QUERY = 500  # a statement of SQLite binds at most 999 values in older builds


class _StoredInfo(msgspec.Struct, frozen=True):
    """A document's description with the digest of its text."""

    info: DocumentInfo
    text_sha256: str


class _Described(msgspec.Struct, frozen=True):
    """A checked description: the document, the digest of its text, the rows of its passages."""

    info: DocumentInfo
    text_sha256: str
    rows: range


class StoredDocument(msgspec.Struct, frozen=True):
    """A document with its passages in order."""

    document: Document
    passages: tuple[Passage, ...]


class DocumentStore:
    """Reads documents and passages; safe to share between threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = Lock()
        try:
            self._connection = sqlite3.connect(
                f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False
            )
        except sqlite3.Error:
            raise self._damaged() from None

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()

    def passages(self, rows: Sequence[int]) -> list[tuple[DocumentInfo, Passage]]:
        """The passages of the rows, in the order of `rows`, each with its document.

        Raises:
            IndexDamagedError: a row is missing or is not what was written.
        """
        stored: dict[int, tuple[DocumentInfo, Passage]] = {}
        for first in range(0, len(rows), ROWS_PER_QUERY):
            wanted = rows[first : first + ROWS_PER_QUERY]
            for row, passage, checksum, *document in self._query(
                f"""SELECT p.row, p.passage, p.checksum, {DESCRIPTION}
                    FROM passages p JOIN documents d ON d.number = p.document
                    WHERE p.row IN ({",".join("?" * len(wanted))})""",  # noqa: S608 - only question marks
                wanted,
            ):
                described = self._described(document)
                self._check(checksum, row, passage, document[-1])
                stored[row] = described.info, msgspec.msgpack.decode(passage, type=Passage)
        if len(stored) < len(set(rows)):
            raise self._damaged()
        return [stored[row] for row in rows]

    def documents(self, offset: int = 0, limit: int | None = None) -> list[tuple[DocumentInfo, int]]:
        """The documents by path, from the `offset`-th on, each with its number of passages."""
        found = self._query(
            f"SELECT {DESCRIPTION} FROM documents d ORDER BY number LIMIT ? OFFSET ?",  # noqa: S608 - a constant
            (-1 if limit is None else limit, offset),
        )
        described = [self._described(document) for document in found]
        return [(document.info, len(document.rows)) for document in described]

    def files(self) -> list[IndexedFile]:
        """All files, those that gave no document among them, by path."""
        files: list[IndexedFile] = []
        for number, file, checksum in self._query("SELECT number, file, checksum FROM files ORDER BY number"):
            self._check(checksum, number, file)
            files.append(msgspec.msgpack.decode(file, type=IndexedFile))
        return files

    def stored(self, document_id: str) -> StoredDocument:
        """A document with its text and its passages, as `write_store` was given it.

        Raises:
            IndexDamagedError: there is none of this id, or it is not what was written.
        """
        found = self._one(document_id, "text")
        if found is None:
            raise self._damaged()
        described, text = found
        passages = tuple(passage for _, passage in self.passages(described.rows))
        return StoredDocument(self._whole(described, text), passages)

    def info(self, document_id: str) -> tuple[DocumentInfo, range] | None:
        """A document without its text and the rows of its passages, or None if the id is unknown."""
        found = self._one(document_id)
        return (found[0].info, found[0].rows) if found else None

    def document(self, document_id: str) -> Document | None:
        """A document with its text, or None if the id is unknown."""
        found = self._one(document_id, "text")
        return self._whole(*found) if found else None

    def _whole(self, described: "_Described", text: str) -> Document:
        """A described document with its text, which is checked."""
        if _sha256(text) != described.text_sha256:
            raise self._damaged()
        return Document(**msgspec.structs.asdict(described.info), text=text)

    def _one(self, document_id: str, column: str = "NULL") -> "tuple[_Described, Any] | None":
        """A document's checked description and one more of its columns, or None if the id is unknown."""
        found = self._query(
            f"SELECT {column}, {DESCRIPTION} FROM documents d WHERE id = ?",  # noqa: S608 - constants
            [document_id],
        )
        if not found:
            return None
        value, *columns = found[0]
        described = self._described(columns)
        if described.info.id != document_id:
            raise self._damaged()
        return described, value

    def _described(self, columns: Sequence[Any]) -> "_Described":
        number, first_row, passages, info, checksum = columns
        self._check(checksum, number, first_row, passages, info)
        stored = msgspec.msgpack.decode(info, type=_StoredInfo)
        return _Described(stored.info, stored.text_sha256, range(first_row, first_row + passages))

    def _query(self, statement: str, values: Sequence[object] = ()) -> list[Any]:
        try:
            with self._lock:
                return self._connection.execute(statement, values).fetchall()
        except sqlite3.Error:
            raise self._damaged() from None

    def _check(self, checksum: bytes, *parts: object) -> None:
        if checksum != _checksum(*parts):
            raise self._damaged()

    def _damaged(self) -> IndexDamagedError:
        return IndexDamagedError(f"{self.path} is damaged: rebuild the index with `rag-qa index`.")


def write_store(path: Path, files: Sequence[IndexedFile], documents: Iterable[StoredDocument]) -> None:
    """Writes files and documents, each sorted by path, with their passages; rows are numbered in this order."""
    connection = sqlite3.connect(path)
    try:
        connection.execute("PRAGMA journal_mode = OFF")  # a file that is not written whole is thrown away
        connection.executescript(SCHEMA)
        records = [(number, msgspec.msgpack.encode(file)) for number, file in enumerate(files)]
        connection.executemany(
            "INSERT INTO files VALUES (?, ?, ?)", [(number, file, _checksum(number, file)) for number, file in records]
        )
        row = 0
        for number, (document, passages) in enumerate((stored.document, stored.passages) for stored in documents):
            info = msgspec.msgpack.encode(_StoredInfo(document.info, _sha256(document.text)))
            info_checksum = _checksum(number, row, len(passages), info)
            connection.execute(
                "INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?, ?)",
                (number, document.id, row, len(passages), info, info_checksum, document.text),
            )
            encoded = [(row + i, msgspec.msgpack.encode(passage)) for i, passage in enumerate(passages)]
            connection.executemany(
                "INSERT INTO passages VALUES (?, ?, ?, ?)",
                [(r, number, passage, _checksum(r, passage, info_checksum)) for r, passage in encoded],
            )
            row += len(passages)
        connection.commit()
    except sqlite3.Error as error:
        raise InputError(f"{path} cannot be written ({error}): make room on the disk, and index again.") from None
    finally:
        connection.close()


def _checksum(*parts: object) -> bytes:
    return hashlib.blake2b(msgspec.msgpack.encode(parts), digest_size=16).digest()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
