"""SQLite files of a snapshot: written once, then only read, every row with a checksum.

The checksum is over all that a row says; it is checked when the row is returned, so that a damaged file gives an
error and never a wrong quote.
"""

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from threading import Lock
from typing import Any

import msgspec

from rag_qa.errors import IndexDamagedError, WriteError, write_errors

__all__ = ["CheckedDatabase", "DatabaseWriter", "checksum"]

VALUES_PER_QUERY = 500  # a statement of SQLite binds at most 999 values in older builds


class CheckedDatabase:
    """Reads such a file; safe to share between threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = Lock()
        try:
            self._connection = sqlite3.connect(
                f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False
            )
        except sqlite3.Error:
            raise self.damaged() from None

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()

    def query(self, statement: str, values: Sequence[object] = ()) -> list[Any]:
        """The rows of a statement.

        Raises:
            IndexDamagedError: SQLite cannot read the file.
        """
        try:
            with self._lock:
                return self._connection.execute(statement, values).fetchall()
        except sqlite3.Error:
            raise self.damaged() from None

    def query_in(self, statement: str, values: Sequence[object]) -> Iterator[Any]:
        """The rows of a statement that ends in `IN`, for values as many as may be."""
        for first in range(0, len(values), VALUES_PER_QUERY):
            some = values[first : first + VALUES_PER_QUERY]
            yield from self.query(f"{statement} ({','.join('?' * len(some))})", some)

    def check(self, expected: object, *parts: object) -> None:
        """Checks that a row is what was written.

        Raises:
            IndexDamagedError: it is not.
        """
        if expected != checksum(*parts):
            raise self.damaged()

    def damaged(self) -> IndexDamagedError:
        """The error to raise where something in the file is wrong."""
        return IndexDamagedError(f"{self.path} is damaged")


def checksum(*parts: object) -> bytes:
    """16 bytes that tell whether the parts are what they were."""
    return hashlib.blake2b(msgspec.msgpack.encode(parts), digest_size=16).digest()


class DatabaseWriter:
    """Writes such a file.

    One that is not written to its end is thrown away by the caller, so nothing is journalled or synced here. Every
    method raises WriteError where the file cannot be written.
    """

    def __init__(self, path: Path | str, schema: str) -> None:
        self._path = path
        self._inserts: dict[str, str] = {}
        with self._written():
            self._connection = sqlite3.connect(path)
        try:
            with self._written():
                self._connection.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {schema}")
        except WriteError:
            self.discard()
            raise

    def execute(self, statement: str, values: Sequence[object] = ()) -> list[Any]:
        """The rows of one statement."""
        return list(self.each(statement, values))

    def each(self, statement: str, values: Sequence[object] = ()) -> Iterator[Any]:
        """The rows of one statement, one after the other; nothing may be written before the last."""
        with self._written():
            yield from self._connection.execute(statement, values)

    def insert(self, table: str, rows: Iterable[Sequence[object]]) -> None:
        """Adds rows, each with a value for every column."""
        with self._written():
            if table not in self._inserts:
                columns = len(self._connection.execute(f"PRAGMA table_info({table})").fetchall())
                self._inserts[table] = f"INSERT INTO {table} VALUES ({','.join('?' * columns)})"  # noqa: S608 - a constant
            self._connection.executemany(self._inserts[table], rows)

    def close(self) -> None:
        """Ends the file."""
        with self._written():
            self._connection.commit()
            self._connection.close()

    def discard(self) -> None:
        """Closes an abandoned file."""
        self._connection.close()

    def _written(self) -> AbstractContextManager[None]:
        """Raises WriteError where SQLite cannot write."""
        return write_errors(self._path, sqlite3.OperationalError)
