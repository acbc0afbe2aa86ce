"""Documents and passages of a snapshot: one SQLite file, written once and then only read.

Every row carries a checksum over all that a citation is made of; it is checked when the row is
returned, so that a damaged file gives an error and never a wrong quote.
"""

import hashlib
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from threading import Lock

import msgspec

from rag_qa.errors import IndexDamagedError
from rag_qa.types import Document, DocumentInfo, Passage

__all__ = ["DocumentStore", "write_store"]

SCHEMA = """
CREATE TABLE documents (
    number INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, first_row INTEGER NOT NULL, passages INTEGER NOT NULL,
    info BLOB NOT NULL, checksum BLOB NOT NULL, text TEXT NOT NULL);
CREATE TABLE passages (
    row INTEGER PRIMARY KEY, document INTEGER NOT NULL REFERENCES documents,
    passage BLOB NOT NULL, checksum BLOB NOT NULL);
"""
# A full-text query of SQLite binds at most 999 variables in older builds; more rows take several queries.
ROWS_PER_QUERY = 500


class _StoredInfo(msgspec.Struct, frozen=True):
    """A document's description with the digest of its text."""

    info: DocumentInfo
    text_sha256: str


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
            for row, passage, checksum, info, info_checksum in self._query(
                f"""SELECT p.row, p.passage, p.checksum, d.info, d.checksum
                    FROM passages p JOIN documents d ON d.number = p.document
                    WHERE p.row IN ({",".join("?" * len(wanted))})""",  # noqa: S608 - only question marks
                wanted,
            ):
                self._check(info_checksum, info)
                self._check(checksum, row, passage, info_checksum)
                stored[row] = (
                    msgspec.msgpack.decode(info, type=_StoredInfo).info,
                    msgspec.msgpack.decode(passage, type=Passage),
                )
        if len(stored) < len(set(rows)):
            raise self._damaged()
        return [stored[row] for row in rows]

    def documents(self) -> list[tuple[DocumentInfo, int]]:
        """All documents by path, each with its number of passages."""
        listed = []
        for info, checksum, passages in self._query("SELECT info, checksum, passages FROM documents ORDER BY number"):
            self._check(checksum, info)
            listed.append((msgspec.msgpack.decode(info, type=_StoredInfo).info, passages))
        return listed

    def document(self, document_id: str) -> tuple[Document, range] | None:
        """A document with its text and the rows of its passages, or None if the id is unknown."""
        found = self._query(
            "SELECT info, checksum, text, first_row, passages FROM documents WHERE id = ?", [document_id]
        )
        for info, checksum, text, first_row, passages in found:
            self._check(checksum, info)
            stored = msgspec.msgpack.decode(info, type=_StoredInfo)
            if _sha256(text) != stored.text_sha256:
                raise self._damaged()
            document = Document(**msgspec.structs.asdict(stored.info), text=text)
            return document, range(first_row, first_row + passages)
        return None

    def _query(self, statement: str, values: Sequence[object] = ()) -> list[tuple]:  # type: ignore[type-arg]
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


def write_store(path: Path, documents: Iterable[tuple[Document, Sequence[Passage]]]) -> None:
    """Writes documents, sorted by path, and their passages; rows are numbered in this order."""
    connection = sqlite3.connect(path)
    try:
        connection.executescript(SCHEMA)
        row = 0
        for number, (document, passages) in enumerate(documents):
            described = {name: getattr(document, name) for name in DocumentInfo.__struct_fields__}
            info = msgspec.msgpack.encode(_StoredInfo(DocumentInfo(**described), _sha256(document.text)))
            info_checksum = _checksum(info)
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
    finally:
        connection.close()


def _checksum(*parts: object) -> bytes:
    return hashlib.blake2b(msgspec.msgpack.encode(parts), digest_size=16).digest()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
