"""The on-disk format: immutable snapshots, one of them current.

INDEX/current                   one line: the folder name of the snapshot that answers
INDEX/snapshots/<id>-<build>/   manifest.json, contents.sqlite (contents.py), rows/<segment>.npy,
                                segments/<segment>/ (segments.py); where passages are gone: tombstones.msgpack, ballast/
INDEX/encoder/<digest>/         the query encoder (query_encoder.py)
INDEX/cache/                    vectors by encoder and text (cache.py)
INDEX/lock                      held by the process that writes snapshots
INDEX/current.lock              held for a moment, while another snapshot is made current and old ones are removed

A snapshot is written beside the live one, synced and checked, then made current by one atomic rename. Segments that two
snapshots share are hard links.
"""

import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import msgspec
from filelock import FileLock, Timeout
from msgspec import Struct

from rag_qa.errors import BusyError, IndexDamagedError, IndexMissingError, SnapshotError
from rag_qa.files import FileRecord, file_sha256, make_folder, record_file, sync, write_atomically
from rag_qa.manifest import MANIFEST, Manifest, read_manifest, write_manifest

__all__ = [
    "Snapshot",
    "SnapshotFolder",
    "current_name",
    "make_current",
    "new_snapshot",
    "open_current",
    "prune",
    "publish",
    "remove",
    "snapshot_folders",
    "stored",
    "writing",
]

CONTENTS, SEGMENTS, ROWS = "contents.sqlite", "segments", "rows"
TOMBSTONES, BALLAST = "tombstones.msgpack", "ballast"
FOLDER_NAME = re.compile(r"[0-9a-f]{16}-[0-9a-f]{8}")
CHECKED_BYTES = 16_000_000
"""Files up to this size are digested on every open: some milliseconds."""
ALWAYS_CHECKED = "graph.faiss"
"""It is followed blindly by native code: a wrong number in it could end the process."""

Opened = TypeVar("Opened")


class SnapshotFolder(Struct, frozen=True):
    """Where the parts of a snapshot lie."""

    folder: Path

    @property
    def contents(self) -> Path:
        """The list of its files and documents."""
        return self.folder / CONTENTS

    @property
    def tombstones(self) -> Path:
        """What passages that are gone add to the statistics, by segment."""
        return self.folder / TOMBSTONES

    @property
    def ballast(self) -> Path:
        """Words that outweigh those of passages that are gone."""
        return self.folder / BALLAST

    def segment(self, name: str) -> Path:
        """The folder of a segment."""
        return self.folder / SEGMENTS / name

    def rows(self, name: str) -> Path:
        """The row of each passage of a segment among all passages, -1 for those that are gone."""
        return self.folder / ROWS / f"{name}.npy"


class Snapshot(SnapshotFolder, frozen=True):
    """An opened snapshot: where it lies and what it is made of."""

    index: Path
    manifest: Manifest

    @classmethod
    def open_current(cls, index: Path) -> "Snapshot":
        """Opens the snapshot that answers; errors as `current_name` and `open`."""
        return open_current(index, lambda snapshot: snapshot)

    @classmethod
    def open(cls, index: Path, folder: Path) -> "Snapshot":
        """Opens one snapshot, checking its manifest, the size of every file and the bytes of those that steer.

        Raises:
            IndexDamagedError: a file is missing, truncated or altered.
            IndexMismatchError: it was written by another format version.
        """
        manifest = read_manifest(folder)
        for name, record in manifest.files.items():
            file = folder / name
            if not file.is_file() or file.stat().st_size != record.size:
                raise IndexDamagedError(f"{file} is missing or truncated")
            if (record.size <= CHECKED_BYTES or file.name == ALWAYS_CHECKED) and file_sha256(file) != record.sha256:
                raise IndexDamagedError(f"{file} is not what was written")
        return cls(folder, index, manifest)

    @property
    def name(self) -> str:
        """Its folder's name."""
        return self.folder.name

    @property
    def encoder(self) -> Path:
        """The folder of the query encoder."""
        return self.index / "encoder" / self.manifest.encoder.digest


def current_name(index: Path) -> str:
    """The folder name of the snapshot that answers.

    Raises:
        IndexMissingError: nothing was indexed there.
        IndexDamagedError: `current` is missing or names no snapshot.
    """
    current = index / "current"
    if not current.is_file():
        if any(snapshot_folders(index)):
            raise IndexDamagedError(f"{current} is missing")
        raise IndexMissingError(f"There is no index in “{index}”: build it with `rag-qa index PATH --index {index}`.")
    name = current.read_text("utf-8", errors="replace").strip()
    if not FOLDER_NAME.fullmatch(name):
        raise IndexDamagedError(f"{current} names no snapshot")
    return name


def open_current(index: Path, opening: Callable[[Snapshot], Opened]) -> Opened:
    """Opens the snapshot that answers, by a function that opens more of it.

    Should another one become current meanwhile, and this one be removed, that one is opened.
    """
    while True:
        name = current_name(index)
        try:
            return opening(Snapshot.open(index, index / "snapshots" / name))
        except IndexDamagedError:
            if current_name(index) == name:
                raise


def snapshot_folders(index: Path) -> Iterator[Path]:
    """The folder of every snapshot, whole or not."""
    with suppress(OSError):
        for folder in (index / "snapshots").iterdir():
            if FOLDER_NAME.fullmatch(folder.name):
                yield folder


def stored(index: Path) -> list[tuple[Path, Manifest]]:
    """The snapshots whose manifest can be read, newest first; of their files nothing is said."""
    found: list[tuple[Path, Manifest]] = []
    for folder in snapshot_folders(index):
        with suppress(SnapshotError):
            found.append((folder, read_manifest(folder)))
    return sorted(found, key=lambda each: each[1].sequence, reverse=True)


@contextmanager
def writing(index: Path, *, wait: bool = True, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
    """Holds the index for the one process that writes; the lock ends with its process.

    Args:
        index: folder of the index, made if it is missing.
        wait: until another process has finished; otherwise that is an error.
        on_wait: called before waiting.

    Raises:
        BusyError: another process writes, and nobody wants to wait.
    """
    make_folder(index)
    lock = FileLock(index / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if not wait:
            raise BusyError(
                f"Another process is writing the index in “{index}”: try again when it has finished, or leave out "
                "--no-wait."
            ) from None
        if on_wait:
            on_wait()
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def new_snapshot(index: Path) -> Iterator[SnapshotFolder]:
    """An empty folder to write a snapshot to; removed again unless `publish` has moved it. Needs `writing`."""
    _sweep(index)
    folder = index / "snapshots" / f".building-{secrets.token_hex(4)}"
    make_folder(folder)
    try:
        yield SnapshotFolder(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def publish(index: Path, folder: Path, manifest: Manifest, linked: Mapping[str, FileRecord], keep: int) -> Snapshot:
    """Seals a written folder with its manifest, makes it current and removes the oldest snapshots. Needs `writing`.

    Args:
        index: folder of the index.
        folder: what `new_snapshot` gave.
        manifest: without `sequence` and `files`.
        linked: the files that are hard links to those of a snapshot whose files were checked; they are not read.
        keep: how many snapshots there are afterwards, at most.
    """
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    for name, path in files.items():
        if name not in linked:
            sync(path)
    manifest = msgspec.structs.replace(
        manifest,
        sequence=1 + max((other.sequence for _, other in stored(index)), default=0),
        files={name: linked.get(name) or record_file(path) for name, path in files.items()},
    )
    name = write_manifest(folder, manifest)
    for path in (folder / MANIFEST, *(path for path in folder.rglob("*") if path.is_dir()), folder):
        sync(path)
    final = index / "snapshots" / name
    folder.rename(final)
    sync(final.parent)
    snapshot = Snapshot.open(index, final)
    make_current(snapshot)
    prune(index, keep)
    return snapshot


def make_current(snapshot: Snapshot) -> None:
    """Lets a snapshot answer, for which no process that writes need be waited for.

    Raises:
        IndexDamagedError: it is not there any more.
    """
    with FileLock(snapshot.index / "current.lock"):
        read_manifest(snapshot.folder)
        write_atomically(snapshot.index / "current", f"{snapshot.name}\n")


def prune(index: Path, keep: int) -> list[str]:
    """Removes all but the newest snapshots and the current one; gives the names of those removed. Needs `writing`.

    What cannot be read may be of another version and stays. Query encoders that no snapshot needs are removed too.
    """
    _sweep(index)
    with FileLock(index / "current.lock"):
        current = current_name(index)
        others = [folder for folder, _ in stored(index) if folder.name != current]
        removed = others[max(0, keep - 1) :]
        for folder in removed:
            remove(folder)
    left = stored(index)
    if len(left) == len(list(snapshot_folders(index))):
        needed = {manifest.encoder.digest for _, manifest in left}
        for folder in (index / "encoder").glob("*"):
            if folder.name not in needed:
                shutil.rmtree(folder, ignore_errors=True)
    return [folder.name for folder in removed]


def remove(folder: Path) -> None:
    """Removes a snapshot at once; its files may go later. Needs `writing`."""
    going = folder.with_name(f".removing-{folder.name}")
    folder.rename(going)
    shutil.rmtree(going, ignore_errors=True)


def _sweep(index: Path) -> None:
    """Removes what a run that was killed has left."""
    for pattern in (".building-*", ".removing-*"):
        for left_over in (index / "snapshots").glob(pattern):
            shutil.rmtree(left_over, ignore_errors=True)
