"""Vectors already computed, kept beside the snapshots: re-indexing encodes only what is new."""

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rag_qa.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["VectorCache"]

FILE = "vectors.sqlite"
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

    def get(self, text: str) -> "NDArray[np.float32] | None":
        """The text's vector of shape (dimension,), or None where there is none or it is damaged."""
        with self._in_a_sentence():
            row = self._connection.execute(
                "SELECT vector, checksum FROM vectors WHERE encoder = ? AND text_sha256 = ?",
                (self._encoder, _key(text)),
            ).fetchone()
        if row is None or _checksum(row[0]) != row[1]:
            return None
        return np.frombuffer(row[0], dtype=np.float32)

    def put(self, texts: Sequence[str], vectors: "NDArray[np.float32]") -> None:
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
