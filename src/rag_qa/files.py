"""Writing that survives a crash, and checking what was written."""

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

NO_LINKS = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS}


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


def folder_digest(folder: Path, but: Sequence[str]) -> str:
    """16 hex digits that tell what is in a folder, by names and bytes of all files but those that match a pattern."""
    return listing_digest(folder_listing(folder, but))


def folder_listing(folder: Path, but: Sequence[str]) -> str:
    """The names and sha256s of all files of a folder but those that match a pattern, a line each; reads them all."""
    listing = ""
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.is_file() and not any(relative.match(pattern) for pattern in but):
            listing += f"\n{relative.as_posix()} {file_sha256(path)}"
    return listing


def listing_digest(listing: str, salt: str = "") -> str:
    """16 hex digits that tell what a listing says, and what else is told."""
    return hashlib.sha256(f"{salt}{listing}".encode()).hexdigest()[:16]


def record_file(path: Path) -> FileRecord:
    """Reads a file and records what it looks like."""
    return FileRecord(path.stat().st_size, file_sha256(path))


def save_array(path: Path, array: "np.ndarray") -> None:
    """Writes an array as `np.save` does, which itself does not notice when the last bytes find no room.

    Raises:
        OSError: it cannot be written.
    """
    import numpy as np  # here, for processes that read files do without

    data = io.BytesIO()
    np.save(data, array)
    path.write_bytes(data.getbuffer())


def damaged(folder: Path, files: Mapping[str, FileRecord]) -> list[str]:
    """The names of those files that are missing or not byte for byte what was recorded; reads them all."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # digesting lets other threads run
        whole = pool.map(lambda named: is_whole(folder / named[0], named[1]), files.items())
        return [name for name, is_whole in zip(files, whole, strict=True) if not is_whole]


def is_whole(path: Path, record: FileRecord, *, by_size: bool = False) -> bool:
    """Whether a file is there and what was recorded; with `by_size`, its bytes are not read."""
    try:
        return path.stat().st_size == record.size and (by_size or file_sha256(path) == record.sha256)
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


def sync_tree(folder: Path) -> None:
    """Forces a folder and all in it to the disk."""
    for path in folder.rglob("*"):
        sync(path)
    sync(folder)


def make_folder(path: Path) -> None:
    """Makes a folder, and those above it that are missing, so that they are still there after a crash."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in missing:
        sync(folder.parent)


def link(source: Path, target: Path) -> None:
    """Gives a file that never changes a second name; where the file system cannot, the target is a copy of it."""
    try:
        target.hardlink_to(source)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        shutil.copyfile(source, target)
        sync(target)


def write_atomically(path: Path, text: str) -> None:
    """Replaces a small file: afterwards it holds the old or the new text, never less; links and rights stay."""
    path = path.resolve()
    for left_over in path.parent.glob(f".{path.name}.*"):
        if left_over.name.removeprefix(f".{path.name}.").isdecimal():  # by a run of ours that was killed
            left_over.unlink(missing_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(text.encode())
        if path.exists():
            shutil.copymode(path, temporary)
            with suppress(PermissionError):  # only root may give a file to its owner
                os.chown(temporary, path.stat().st_uid, path.stat().st_gid)
        sync(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync(path.parent)
