"""Writes snapshots, one process at a time and whole or not at all; makes one current, and removes old ones."""

import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import msgspec
from filelock import FileLock, Timeout

from rag_qa.errors import BusyError, InputError, SnapshotError, write_errors
from rag_qa.files import FileRecord, make_folder, record_file, sync, write_atomically
from rag_qa.index.local.manifest import MANIFEST, Manifest, read_manifest, write_manifest
from rag_qa.index.local.snapshot.layout import Snapshot, SnapshotFolder, current_name, snapshot_folders, stored

__all__ = ["commit_snapshot", "make_current", "new_snapshot", "prune", "remove", "writing"]

LOCK, SWITCH_LOCK = "lock", "current.lock"


@contextmanager
def writing(index: Path, *, wait: bool = True, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
    """Holds the index for the one process that writes; the lock ends with its process.

    Args:
        index: folder of the index, made if it is missing.
        wait: until another process has finished; otherwise that is an error.
        on_wait: called before waiting.

    Raises:
        BusyError: another process writes, and `wait` is False.
        InputError: there is a file of this name.
        WriteError: the disk takes no more, or cannot be written to, here or in what is done with the index.
    """
    if index.exists() and not index.is_dir():
        raise InputError(f"“{index}” is a file, and no folder for an index: choose another with --index.")
    with _index_written(index):
        make_folder(index)
        lock = FileLock(index / LOCK)
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
    """An empty folder to write a snapshot to; removed again unless `commit_snapshot` has moved it. Needs `writing`."""
    _sweep(index)
    folder = index / "snapshots" / f".building-{secrets.token_hex(4)}"
    make_folder(folder)
    try:
        yield SnapshotFolder(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def commit_snapshot(
    index: Path,
    folder: Path,
    manifest: Manifest,
    linked: Mapping[str, FileRecord],
    keep: int,
    check: Callable[[Snapshot], None],
) -> Snapshot:
    """Seals a written folder with its manifest, makes it current and removes the oldest snapshots. Needs `writing`.

    Args:
        index: folder of the index.
        folder: what `new_snapshot` gave.
        manifest: without `sequence` and `files`.
        linked: the files that are hard links to those of a snapshot whose files were checked; they are not read.
        keep: how many snapshots there are afterwards, at most.
        check: called before the snapshot is made current; raises an error where its parts disagree.
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
    try:
        sync(final.parent)
        snapshot = Snapshot.open(index, final)
        check(snapshot)
        make_current(snapshot)
    except BaseException:
        if not _is_current(index, name):
            remove(final)
        raise
    with suppress(OSError):  # what is not removed now is removed the next time
        prune(index, keep)
    return snapshot


def make_current(snapshot: Snapshot) -> None:
    """Makes a snapshot current; does not wait for a process that writes.

    Raises:
        IndexDamagedError: it is not there any more.
        WriteError: the disk takes no more, or cannot be written to.
    """
    with _index_written(snapshot.index), FileLock(snapshot.index / SWITCH_LOCK):
        read_manifest(snapshot.folder)
        write_atomically(snapshot.index / "current", f"{snapshot.name}\n")


def prune(index: Path, keep: int) -> list[str]:
    """Removes all but `keep` snapshots, the current one and the newest others; returns the names of the removed.

    Needs `writing`. What cannot be read may be of another version and stays. Exported encoders that no snapshot needs
    are removed too.
    """
    _sweep(index)
    with FileLock(index / SWITCH_LOCK):
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
    sync(folder.parent)
    shutil.rmtree(going, ignore_errors=True)


def _index_written(index: Path) -> AbstractContextManager[None]:
    """Raises WriteError where the disk takes no more."""
    return write_errors(f"The index in “{index}”", OSError, disk_only=True)


def _is_current(index: Path, name: str) -> bool:
    try:
        return current_name(index) == name
    except SnapshotError:
        return False


def _sweep(index: Path) -> None:
    """Removes what a run that was killed has left."""
    for pattern in (".building-*", ".removing-*"):
        for left_over in (index / "snapshots").glob(pattern):
            shutil.rmtree(left_over, ignore_errors=True)
