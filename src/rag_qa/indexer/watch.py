"""Keeps an index current while its files change."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Event

from watchfiles import Change
from watchfiles import watch as changes_of

from rag_qa.errors import InputError, RagQaError
from rag_qa.indexer.build import Progress, build, find_encoder
from rag_qa.indexer.report import IndexReport
from rag_qa.ingest.sources import check_paths
from rag_qa.settings import Settings

__all__ = ["watch"]

QUIET_MS = 200  # a burst of changes is over when nothing has changed for so long
LONGEST_BURST_MS = 2000
HEARTBEAT_MS = 1000

_Roots = list[tuple[int, int] | None]


def watch(
    paths: Sequence[Path],
    index: Path,
    settings: Settings,
    progress: Progress | None = None,
    stop: Event | None = None,
    *,
    wait: bool = True,
) -> Iterator[IndexReport | RagQaError]:
    """Builds the index, and again after every burst of changes, until it is stopped.

    Args:
        paths: folders or files, as `build` takes them.
        index: folder of the index; what changes in it counts for nothing.
        settings: as `build` takes them.
        progress: called with stages and counts.
        stop: ends the watch when it is set.
        wait: as `build` takes it; a change that comes while another process writes is then followed with the next one.

    Yields:
        The report of each run, or why it could not be done; the next change is a new try.

    Raises:
        EncoderError: the encoder cannot be used.
        InputError: one of the paths is missing at the start, or there is nothing to index.
        SettingsError: as `build`.
    """
    encoder = find_encoder(index, settings)
    own = index.resolve()
    check_paths(paths)

    def concerns(change: Change, path: str) -> bool:  # noqa: ARG001 - the form that watchfiles asks for
        return not Path(path).resolve().is_relative_to(own)

    runs = 0
    roots: _Roots | None = None
    while stop is None or not stop.is_set():
        for changed in changes_of(
            *paths,
            watch_filter=concerns,
            step=QUIET_MS,
            debounce=LONGEST_BURST_MS,
            rust_timeout=HEARTBEAT_MS,
            yield_on_timeout=True,
            stop_event=stop,
        ):
            before, roots = roots, _identities(paths)
            if not changed and before == roots:
                continue  # a heartbeat; the first one starts the first run, with the watch already on
            runs += 1
            try:
                yield build(paths, index, settings, progress, encoder=encoder, wait=wait)
            except (RagQaError, OSError) as error:
                if runs == 1:
                    raise
                failure = InputError(f"The index was not brought up to date: {error}.")
                yield error if isinstance(error, RagQaError) else failure
            if before is not None and before != roots and None not in roots:
                break  # a path was removed and made again: the old watch sees nothing of it


def _identities(paths: Sequence[Path]) -> _Roots:
    """Device and inode of each path, which tell a folder from a later one of its name; None where it is missing."""
    found: _Roots = []
    for path in paths:
        try:
            status = path.stat()
            found.append((status.st_dev, status.st_ino))
        except OSError:
            found.append(None)
    return found
