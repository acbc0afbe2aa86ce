"""Vectors already computed, kept beside the snapshots: re-indexing encodes only what is new."""

import hashlib
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from rag_qa.errors import write_errors

__all__ = ["VectorCache"]

Float = TypeVar("Float", np.float16, np.float32)
Result = TypeVar("Result")

FILE = "vectors.sqlite"
VERSION = 2
KEYS_PER_QUERY = 500  # a statement of SQLite binds at most 999 values in older builds
SECONDS_TO_WAIT = 60  # for another process that writes
SECONDS_BETWEEN_COMMITS = 1  # what a killed process loses at most


class VectorCache:
    """Unit vectors by encoder, precision and text as encoded; what is put in is committed within a second.

    Every method raises WriteError where the file cannot be read or written.
    """

    def __init__(self, folder: Path, encoder_digest: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / FILE
        self._encoder = encoder_digest.encode()
        self._committed = time.monotonic()
        with self._written():
            self._connection = _open(self._path)

    @staticmethod
    def exists(folder: Path) -> bool:
        """Returns whether there is a cache of this version, which opening does not change."""
        path = folder / FILE
        if not path.is_file():
            return False
        try:
            with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
                return bool(connection.execute("PRAGMA user_version").fetchone() == (VERSION,))
        except sqlite3.Error:
            return False

    def commit(self) -> None:
        """Commits the vectors that were put in."""
        self._do(lambda cache: cache.commit())
        self._committed = time.monotonic()

    def close(self) -> None:
        """Commits the vectors that were put in, and closes the file."""
        try:
            self.commit()
        finally:
            self._connection.close()

    def find(self, texts: Iterable[str], kind: type[Float]) -> dict[str, NDArray[Float]]:
        """The vectors, of shape (dimension,) and this precision, of those texts that have one which is not damaged."""
        keys = {self._key(text, kind): text for text in texts}
        wanted, found = list(keys), dict[str, NDArray[Float]]()
        for first in range(0, len(wanted), KEYS_PER_QUERY):
            some = wanted[first : first + KEYS_PER_QUERY]
            statement = f"SELECT key, vector, checksum FROM vectors WHERE key IN ({','.join('?' * len(some))})"  # noqa: S608
            for key, vector, checksum in self._do(partial(_rows_of, statement, some)):
                if _checksum(vector) == checksum:
                    found[keys[key]] = np.frombuffer(vector, dtype=kind)
        return found

    def put(self, vectors: Mapping[str, NDArray[Float]], kind: type[Float]) -> None:
        """Keeps vectors of shape (dimension,) and this precision, by text."""
        plain = [(self._key(text, kind), vector.astype(kind).tobytes()) for text, vector in vectors.items()]
        rows = [(key, vector, _checksum(vector)) for key, vector in plain]
        self._do(lambda cache: cache.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", rows))
        if time.monotonic() - self._committed > SECONDS_BETWEEN_COMMITS:
            self.commit()

    def _do(self, what: Callable[[sqlite3.Connection], Result]) -> Result:
        """Does something with the file; where that is damaged, with a new one: all in it can be computed again."""
        with self._written():
            try:
                return what(self._connection)
            except sqlite3.DatabaseError as error:
                if not _is_damage(error):
                    raise
                self._connection.close()
                self._connection = _begun_anew(self._path)
                return what(self._connection)

    def _key(self, text: str, kind: type[Float]) -> bytes:
        return hashlib.sha256(b"\0".join((self._encoder, kind.__name__.encode(), text.encode()))).digest()

    def _written(self) -> AbstractContextManager[None]:
        """Raises WriteError where SQLite fails."""
        return write_errors(f"The cache of vectors, {self._path},", sqlite3.Error)


def _rows_of(statement: str, values: Sequence[bytes], cache: sqlite3.Connection) -> list[tuple[bytes, bytes, bytes]]:
    return cache.execute(statement, values).fetchall()


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    """Returns whether the file is to blame, and not another process that writes, or the disk."""
    return not isinstance(error, sqlite3.OperationalError) or "decode" in str(error)


def _open(path: Path) -> sqlite3.Connection:
    """Opens the file; one that is no cache of this version is begun anew, since all in it can be computed again."""
    connection = _connect(path)
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.DatabaseError as error:
        connection.close()
        if not _is_damage(error):
            raise
        return _begun_anew(path)
    if version == VERSION:
        return connection
    connection.close()
    return _begun_anew(path)


def _begun_anew(path: Path) -> sqlite3.Connection:
    path.unlink(missing_ok=True)
    connection = _connect(path)
    # The vectors lie in the order in which they come; only the index of their keys is written to here and there.
    connection.execute("CREATE TABLE vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL, checksum BLOB NOT NULL)")
    connection.execute(f"PRAGMA user_version = {VERSION}")
    return connection


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=SECONDS_TO_WAIT)


def _checksum(vector: bytes) -> bytes:
    return hashlib.blake2b(vector, digest_size=8).digest()
