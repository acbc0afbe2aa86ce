"""Writes files so that they survive a crash, and checks them against recorded digests."""

import errno
import hashlib
import io
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "MEGABYTE",
    "FileRecord",
    "damaged",
    "file_sha256",
    "folder_digest",
    "folder_listing",
    "is_whole",
    "link",
    "listing_digest",
    "make_folder",
    "named_path",
    "record_file",
    "save_array",
    "shown_path",
    "sync",
    "sync_tree",
    "write_atomically",
]

MEGABYTE = 1_000_000
"""Bytes."""
NO_LINKS = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS}
"""Error numbers of a file system that cannot link a file."""


class FileRecord(Struct, frozen=True):
    """The size of a file in bytes, and its sha256 as hex digits."""

    size: int
    sha256: str


def file_sha256(path: Path) -> str:
    """Returns the sha256 of a file's bytes, as hex digits.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_digest(folder: Path, but: Sequence[str]) -> str:
    """Returns a digest, 16 hex digits, of the names and bytes of a folder's files, without those matching a pattern."""
    return listing_digest(folder_listing(folder, but))


def folder_listing(folder: Path, but: Sequence[str]) -> str:
    """Returns a line with name and sha256 for each file of a folder that matches no pattern; reads all these files."""
    listing = ""
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.is_file() and not any(relative.match(pattern) for pattern in but):
            listing += f"\n{relative.as_posix()} {file_sha256(path)}"
    return listing


def listing_digest(listing: str, salt: str = "") -> str:
    """Returns a digest, 16 hex digits, of a listing and a salt."""
    return hashlib.sha256(f"{salt}{listing}".encode()).hexdigest()[:16]


def record_file(path: Path) -> FileRecord:
    """Reads a file and returns its size and sha256."""
    return FileRecord(path.stat().st_size, file_sha256(path))


def save_array(path: Path, array: "np.ndarray") -> None:
    """Writes an array in the format of `np.save`, which itself does not notice when the disk is full at the last bytes.

    Raises:
        OSError: the file cannot be written.
    """
    import numpy as np  # not at the top: parser processes need no numpy

    data = io.BytesIO()
    np.save(data, array)
    path.write_bytes(data.getbuffer())


def damaged(folder: Path, files: Mapping[str, FileRecord]) -> list[str]:
    """Returns the names of files that are missing or differ from their record; reads all files."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # hashing releases the interpreter lock
        whole = pool.map(lambda named: is_whole(folder / named[0], named[1]), files.items())
        return [name for name, is_whole in zip(files, whole, strict=True) if not is_whole]


def is_whole(path: Path, record: FileRecord, *, by_size: bool = False) -> bool:
    """Returns whether a file exists and matches its record; with `by_size`, only its size is compared."""
    try:
        return path.stat().st_size == record.size and (by_size or file_sha256(path) == record.sha256)
    except OSError:
        return False


def shown_path(path: PurePath) -> str:
    r"""Returns a path as valid Unicode text, which `named_path` reads back.

    Bytes that are not UTF-8 become `\xNN`; a backslash that would read as the beginning of such an escape, `\x5c`.
    """
    raw = re.sub(rb"\\(?=x(?:[89a-f][0-9a-f]|5c))", rb"\\x5c", os.fsencode(path))
    return raw.decode("utf-8", "backslashreplace")


def named_path(shown: str) -> Path:
    """Returns the path that `shown_path` turned into text: its inverse."""
    raw = re.sub(rb"\\x([89a-f][0-9a-f]|5c)", lambda match: bytes.fromhex(match[1].decode()), shown.encode())
    return Path(os.fsdecode(raw))


def sync(path: Path) -> None:
    """Flushes a file or folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Flushes a folder and everything in it to the disk."""
    for path in folder.rglob("*"):
        sync(path)
    sync(folder)


def make_folder(path: Path) -> None:
    """Makes a folder and its missing parents, and flushes their entries to the disk."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in missing:
        sync(folder.parent)


def link(source: Path, target: Path) -> None:
    """Hard-links a file that never changes, or copies it where the file system has no links."""
    try:
        target.hardlink_to(source)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        shutil.copyfile(source, target)
        sync(target)


def write_atomically(path: Path, text: str) -> None:
    """Replaces the text of a small file, so that a crash leaves the old or the new text, never a part.

    A symbolic link stays a link, and the file keeps its mode and, where that is allowed, its owner.
    """
    path = path.resolve()
    for left_over in path.parent.glob(f".{path.name}.*"):
        if left_over.name.removeprefix(f".{path.name}.").isdecimal():  # temporary file of a run that was killed
            left_over.unlink(missing_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(text.encode())
        if path.exists():
            shutil.copymode(path, temporary)
            with suppress(PermissionError):  # only root may change the owner of a file
                os.chown(temporary, path.stat().st_uid, path.stat().st_gid)
        sync(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync(path.parent)
