"""Vectors already computed, kept beside the snapshots: re-indexing encodes only what is new."""

import hashlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["VectorCache"]


class VectorCache:
    """Unit vectors by encoder and text as encoded; what is put in is committed at once."""

    def __init__(self, folder: Path, encoder_digest: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._encoder = encoder_digest
        self._connection = sqlite3.connect(folder / "vectors.sqlite", timeout=60)
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS vectors (encoder TEXT, text_sha256 BLOB, vector BLOB, "
            "PRIMARY KEY (encoder, text_sha256)) WITHOUT ROWID"
        )

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()

    def get(self, text: str) -> "NDArray[np.float32] | None":
        """The text's vector of shape (dimension,), or None."""
        row = self._connection.execute(
            "SELECT vector FROM vectors WHERE encoder = ? AND text_sha256 = ?", (self._encoder, _key(text))
        ).fetchone()
        return np.frombuffer(row[0], dtype=np.float32) if row else None

    def put(self, texts: Sequence[str], vectors: "NDArray[np.float32]") -> None:
        """Keeps vectors of shape (len(texts), dimension)."""
        rows = [(self._encoder, _key(text), vector.tobytes()) for text, vector in zip(texts, vectors, strict=True)]
        with self._connection:
            self._connection.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", rows)


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
