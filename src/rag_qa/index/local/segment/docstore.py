"""Documents and passages of a segment: one SQLite file, written once and then only read.

A document's place is its number in the segment; a passage's row is its number in the segment. The passages of a
document have consecutive rows.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from rag_qa.index.local.sqlite_file import CheckedDatabase, DatabaseWriter, checksum
from rag_qa.schemas import msgpack_decoder
from rag_qa.types import NO_MENTIONS, ChunkedDocument, Document, DocumentInfo, Mentions, Passage

__all__ = ["DocumentStore", "StoreWriter"]

SCHEMA = """
CREATE TABLE documents (
    place INTEGER PRIMARY KEY, first_row INTEGER NOT NULL, passages INTEGER NOT NULL,
    info BLOB NOT NULL, checksum BLOB NOT NULL, text TEXT NOT NULL);
CREATE TABLE passages (
    row INTEGER PRIMARY KEY, document INTEGER NOT NULL REFERENCES documents,
    passage BLOB NOT NULL, checksum BLOB NOT NULL);
CREATE TABLE mentions (
    document INTEGER PRIMARY KEY REFERENCES documents, mentions BLOB NOT NULL, checksum BLOB NOT NULL);
"""
DESCRIPTION = "d.place, d.first_row, d.passages, d.info, d.checksum"


class _StoredInfo(msgspec.Struct, frozen=True):
    """A document's description with the digest of its text, and where its passages had to end."""

    info: DocumentInfo
    text_sha256: str
    breaks: tuple[int, ...]


class _Described(msgspec.Struct, frozen=True):
    """A checked description: the document, its place, the digest of its text, the rows of its passages."""

    info: DocumentInfo
    place: int
    text_sha256: str
    breaks: tuple[int, ...]
    rows: range


_INFOS = msgpack_decoder(_StoredInfo)
_PASSAGES = msgpack_decoder(Passage)
_MENTIONS = msgpack_decoder(Mentions)


class DocumentStore(CheckedDatabase):
    """Reads documents and passages; safe to share between threads."""

    def passages(self, rows: Sequence[int]) -> list[tuple[DocumentInfo, Passage]]:
        """The passages of the rows, in the order of `rows`, each with its document.

        Raises:
            IndexDamagedError: a row is missing or is not what was written.
        """
        stored: dict[int, tuple[DocumentInfo, Passage]] = {}
        statement = f"""SELECT p.row, p.passage, p.checksum, {DESCRIPTION}
                        FROM passages p JOIN documents d ON d.place = p.document WHERE p.row IN"""  # noqa: S608
        for row, passage, expected, *document in self.query_in(statement, rows):
            described = self._described(document)
            self.check(expected, row, passage, document[-1])
            stored[row] = described.info, _PASSAGES.decode(passage)
        if len(stored) < len(set(rows)):
            raise self.damaged()
        return [stored[row] for row in rows]

    def infos(self, places: Sequence[int]) -> list[DocumentInfo]:
        """The documents at these places, in their order, without their texts.

        Raises:
            IndexDamagedError: one is missing or is not what was written.
        """
        statement = f"SELECT {DESCRIPTION} FROM documents d WHERE place IN"  # noqa: S608 - a constant
        described = [self._described(columns) for columns in self.query_in(statement, places)]
        found = {each.place: each.info for each in described}
        if len(found) < len(set(places)):
            raise self.damaged()
        return [found[place] for place in places]

    def document(self, place: int) -> Document:
        """The document at this place, with its text; errors as `infos`."""
        return self._whole(place)[0]

    def chunked(self, place: int) -> ChunkedDocument:
        """The document at this place with its passages, as it was written; errors as `infos`."""
        document, rows = self._whole(place)
        (mentions,) = self.mentions([place])
        return ChunkedDocument(document, tuple(passage for _, passage in self.passages(rows)), mentions)

    def mentions(self, places: Sequence[int]) -> list[Mentions]:
        """Acronyms that the documents at these places mention, in the order of `places`.

        Raises:
            IndexDamagedError: one is not what was written.
        """
        found: dict[int, Mentions] = {}
        statement = "SELECT document, mentions, checksum FROM mentions WHERE document IN"
        for place, mentions, expected in self.query_in(statement, places):
            self.check(expected, place, mentions)
            found[place] = _MENTIONS.decode(mentions)
        return [found.get(place, NO_MENTIONS) for place in places]

    def _whole(self, place: int) -> tuple[Document, range]:
        """A document with its text, and the rows of its passages."""
        statement = f"SELECT text, {DESCRIPTION} FROM documents d WHERE place IN"  # noqa: S608 - constants
        for text, *columns in self.query_in(statement, [place]):
            described = self._described(columns)
            if isinstance(text, str) and _sha256(text) == described.text_sha256:
                return Document(
                    **msgspec.structs.asdict(described.info), text=text, breaks=described.breaks
                ), described.rows
        raise self.damaged()

    def _described(self, columns: Sequence[Any]) -> _Described:
        place, first_row, passages, info, expected = columns
        self.check(expected, place, first_row, passages, info)
        stored = _INFOS.decode(info)
        rows = range(first_row, first_row + passages)
        return _Described(stored.info, place, stored.text_sha256, stored.breaks, rows)


class StoreWriter(DatabaseWriter):
    """Writes documents with their passages, one after the other."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, SCHEMA)
        self._places = 0
        self.passages = 0
        """Number of passages so far, which is the row of the next one."""

    def add(self, chunked: ChunkedDocument) -> tuple[int, int]:
        """Writes a document; returns its place and the row of its first passage."""
        place, first_row = self._places, self.passages
        document, passages = chunked.document, chunked.passages
        info = msgspec.msgpack.encode(_StoredInfo(document.info, _sha256(document.text), document.breaks))
        described = checksum(place, first_row, len(passages), info)
        self.insert("documents", [(place, first_row, len(passages), info, described, document.text)])
        encoded = ((row, msgspec.msgpack.encode(passage)) for row, passage in enumerate(passages, start=first_row))
        self.insert("passages", ((row, place, data, checksum(row, data, described)) for row, data in encoded))
        if chunked.mentions != NO_MENTIONS:
            mentions = msgspec.msgpack.encode(chunked.mentions)
            self.insert("mentions", [(place, mentions, checksum(place, mentions))])
        self._places += 1
        self.passages += len(passages)
        return place, first_row


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
