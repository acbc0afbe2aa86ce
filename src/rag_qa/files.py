"""Writing that survives a crash, and checking what was written."""

import hashlib
import os
from pathlib import Path

from msgspec import Struct

__all__ = ["FileRecord", "record_file", "sync", "write_atomically"]


class FileRecord(Struct, frozen=True):
    """What a file must look like: its size in bytes and its sha256."""

    size: int
    sha256: str


def record_file(path: Path) -> FileRecord:
    """Reads a file and records what it looks like."""
    with path.open("rb") as file:
        return FileRecord(path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())


def sync(path: Path) -> None:
    """Forces a file or folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomically(path: Path, text: str) -> None:
    """Replaces a small file: afterwards it holds the old or the new text, never less."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, "utf-8")
    sync(temporary)
    temporary.replace(path)
    sync(path.parent)
