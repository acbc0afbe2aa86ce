"""Storage and search of passages: one protocol, and a folder for each engine.

A location is a folder of this machine; another kind of location will name another engine.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from rag_qa.index.protocol import IndexWriter, SearchIndex, SnapshotHistory
    from rag_qa.settings import Settings

__all__ = ["Progress", "open_history", "open_index", "open_writer"]

Opened = TypeVar("Opened")
Progress = Callable[[str, int, int], None]
"""Function that takes a stage ("comparing", "reading", "encoding", "merging", …), the number done and the total."""


def open_index(location: str | Path, then: "Callable[[SearchIndex], Opened]") -> Opened:
    """Opens the current snapshot of an index and hands it over.

    Args:
        location: folder of the index.
        then: makes of the opened snapshot what is wanted. Should the snapshot be pruned meanwhile, because another one
            became current, it is called again with that one. The snapshot is closed where it raises.

    Raises:
        IndexMissingError: nothing was indexed there.
        IndexDamagedError: a file of the index is missing, truncated or altered.
        IndexMismatchError: another format version wrote it.
    """
    from rag_qa.index.local.snapshot.searcher import open_snapshot

    return open_snapshot(Path(location), then)


def open_writer(
    location: str | Path, settings: "Settings", progress: Progress, *, wait: bool = True, dry_run: bool = False
) -> "AbstractContextManager[IndexWriter]":
    """Opens an index for one new snapshot; leaving the context without `commit` leaves the index as it was.

    Args:
        location: folder of the index, made where it is missing.
        settings: sizes of segments and graphs.
        progress: called with stages and counts.
        wait: whether to wait while another process writes.
        dry_run: only count; nothing is written and no lock is taken.

    Raises:
        BusyError: another process writes, and `wait` is False.
        InputError: the location is a file.
        WriteError: the disk takes no more, here or in the body of the context.
    """
    from rag_qa.index.local.snapshot.transaction import open_local_writer

    return open_local_writer(Path(location), settings, progress, wait=wait, dry_run=dry_run)


def open_history(location: str | Path) -> "SnapshotHistory":
    """The snapshots of an index; nothing is read yet."""
    from rag_qa.index.local.snapshot.history import LocalHistory

    return LocalHistory(Path(location))
