"""Vectors already computed, kept beside the snapshots: re-indexing encodes only what is new."""

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag_qa.errors import InputError

__all__ = ["VectorCache"]

FILE = "vectors.sqlite"
KEYS_PER_QUERY = 500  # a statement of SQLite binds at most 999 values in older builds
SECONDS_TO_WAIT = 60  # for another process that writes


class VectorCache:
    """Unit vectors by encoder and text as encoded; what is put in is committed at once.

    Every method raises InputError where the file cannot be read or written.
    """

    def __init__(self, folder: Path, encoder_digest: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / FILE
        self._encoder = encoder_digest
        with self._in_a_sentence():
            self._connection = _open(self._path)

    @staticmethod
    def exists(folder: Path) -> bool:
        """Whether anything was ever kept there."""
        return (folder / FILE).is_file()

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()

    def find(self, texts: Iterable[str]) -> dict[str, NDArray[np.float32]]:
        """The vectors, of shape (dimension,), of those texts that have one which is not damaged."""
        keys = {_key(text): text for text in texts}
        wanted, found = list(keys), dict[str, NDArray[np.float32]]()
        for first in range(0, len(wanted), KEYS_PER_QUERY):
            some = wanted[first : first + KEYS_PER_QUERY]
            with self._in_a_sentence():
                rows = self._connection.execute(
                    f"""SELECT text_sha256, vector, checksum FROM vectors
                        WHERE encoder = ? AND text_sha256 IN ({",".join("?" * len(some))})""",  # noqa: S608 - only ?
                    (self._encoder, *some),
                ).fetchall()
            for key, vector, checksum in rows:
                if _checksum(vector) == checksum:
                    found[keys[key]] = np.frombuffer(vector, dtype=np.float32)
        return found

    def put(self, texts: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Keeps vectors of shape (len(texts), dimension)."""
        stored = [(_key(text), vector.tobytes()) for text, vector in zip(texts, vectors, strict=True)]
        with self._in_a_sentence(), self._connection:
            self._connection.executemany(
                "INSERT OR REPLACE INTO vectors VALUES (?, ?, ?, ?)",
                [(self._encoder, key, vector, _checksum(vector)) for key, vector in stored],
            )

    @contextmanager
    def _in_a_sentence(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise InputError(
                f"The cache of vectors, {self._path}, cannot be used ({error}): end what else writes it, make room on "
                "the disk, or delete that file."
            ) from None


def _open(path: Path) -> sqlite3.Connection:
    """Opens the file; one that is no database is begun anew, since all in it can be computed again."""
    try:
        return _connect(path)
    except sqlite3.OperationalError:  # locked, or no space: nothing is wrong with the file
        raise
    except sqlite3.DatabaseError:
        path.unlink()
        return _connect(path)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=SECONDS_TO_WAIT)
    try:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS vectors (encoder TEXT, text_sha256 BLOB, vector BLOB, checksum BLOB, "
            "PRIMARY KEY (encoder, text_sha256)) WITHOUT ROWID"
        )
    except sqlite3.DatabaseError:
        connection.close()
        raise
    return connection


def _checksum(vector: bytes) -> bytes:
    return hashlib.blake2b(vector, digest_size=8).digest()


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
