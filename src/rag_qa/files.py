"""Writing that survives a crash, and checking what was written."""

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path, PurePath

from msgspec import Struct

__all__ = [
    "FileRecord",
    "file_sha256",
    "is_whole",
    "named_path",
    "record_file",
    "shown_path",
    "sync",
    "write_atomically",
]


class FileRecord(Struct, frozen=True):
    """What a file must look like: its size in bytes and its sha256."""

    size: int
    sha256: str


def file_sha256(path: Path) -> str:
    """The sha256 of a file's bytes.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def record_file(path: Path) -> FileRecord:
    """Reads a file and records what it looks like."""
    return FileRecord(path.stat().st_size, file_sha256(path))


def is_whole(folder: Path, files: Mapping[str, FileRecord]) -> bool:
    """Whether every file is in the folder, byte for byte what was recorded."""
    try:
        return all(record_file(folder / name) == record for name, record in files.items())
    except OSError:
        return False


def shown_path(path: PurePath) -> str:
    """A path as valid Unicode: bytes of a name that are not UTF-8 stand as escapes, as does a backslash before one."""
    raw = re.sub(rb"\\(?=x(?:[89a-f][0-9a-f]|5c))", rb"\\x5c", os.fsencode(path))
    return raw.decode("utf-8", "backslashreplace")


def named_path(shown: str) -> Path:
    """The path that `shown_path` shows."""
    raw = re.sub(rb"\\x([89a-f][0-9a-f]|5c)", lambda match: bytes.fromhex(match[1].decode()), shown.encode())
    return Path(os.fsdecode(raw))


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
