"""Files to a snapshot: what differs is read and cut (plan.py), and the whole made and published (pipeline.py)."""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from pathlib import Path

from msgspec import structs

from rag_qa.errors import (
    IndexDamagedError,
    IndexMismatchError,
    IndexMissingError,
    InputError,
    SettingsError,
    SnapshotError,
)
from rag_qa.files import shown_path
from rag_qa.index.local.manifest import read_manifest
from rag_qa.index.local.snapshot.commit import writing
from rag_qa.index.local.snapshot.layout import current_name
from rag_qa.indexer.pipeline import Built, make_snapshot
from rag_qa.indexer.plan import Previous, Progress, collect, collection_of
from rag_qa.indexer.report import FileCounts, IndexReport, PassageCounts, changed_paths
from rag_qa.ingest.sources import IGNORE_FILE, Sources, check_paths, find_sources
from rag_qa.models.hardware import best_precision
from rag_qa.models.sentence_transformer import SentenceEncoder
from rag_qa.settings import Settings
from rag_qa.types import Document, EncoderRecord, FailedFile, IndexedFile, Precision

__all__ = ["Progress", "build", "find_encoder", "index_documents"]


def build(
    paths: Sequence[str | Path],
    index: str | Path,
    settings: Settings | None = None,
    progress: Progress | None = None,
    *,
    dry_run: bool = False,
    encoder: SentenceEncoder | None = None,
    wait: bool = True,
) -> IndexReport:
    """Makes the files under `paths` the whole collection of an index, and its snapshot current.

    Only what differs from the snapshot in use is read, and only new texts are encoded.

    Args:
        paths: folders or files; documents indexed earlier and not among them are removed.
        index: folder of the index, made if it is missing.
        settings: encoder, sizes, and how files are read.
        progress: told how far it is.
        dry_run: only report what would be done; nothing is written.
        encoder: the encoder that the settings name, where it is loaded already.
        wait: while another process writes the index; otherwise that is an error.

    Raises:
        BusyError: another process writes the index, and nobody wants to wait.
        InputError: a path is missing or lies in the index, or none of the files could be read.
        EncoderError: the encoder cannot be used.
        SettingsError: OCR is on without Tesseract, or the passages would be longer than what the encoder reads.
        WorkerError: the processes that read files cannot be started.
        WriteError: the index cannot be written; it is as it was.
    """
    started = time.perf_counter()
    index, settings, tell = Path(index), settings or Settings(), progress or _silent
    places = [Path(path) for path in paths]
    check_paths(places)  # before a folder for the index is made
    for place in places:
        if place.resolve().is_relative_to(index.resolve()):
            raise InputError(f"“{shown_path(place)}” is, or lies in, the index itself: give another folder as --index.")
    encoder = encoder or find_encoder(index, settings)
    if settings.precision not in {"auto", encoder.precision}:
        raise SettingsError(
            f"precision is {settings.precision}, and the encoder that is given has {encoder.precision}."
        )
    settings = structs.replace(settings, precision=encoder.precision)
    with nullcontext() if dry_run else _writing(index, tell, wait=wait), _opened(index) as (previous, rebuilt):
        sources = find_sources(places, settings.max_file_mb, leave_out=index)
        collection = collect(sources, previous, settings, encoder, tell)
        made = make_snapshot(collection, previous, index, settings, encoder, tell, dry_run=dry_run)
        if made is None:
            reasons = "; ".join(f"{file.path}: {file.reason}" for file in collection.files[:3]) or "there are no files"
            if others := len(collection.files[3:]):
                reasons += f"; and {others} more"
            if sources.ignored:
                reasons += f"; {IGNORE_FILE} leaves out {len(sources.ignored)}"
            raise InputError(f"Nothing to index in {', '.join(map(str, paths))} ({reasons}): the index is as it was.")
        before = previous.files if previous else []
    return _report(made, before, collection.files, started, rebuilt, sources)


def index_documents(
    documents: Iterable[Document],
    index: Path,
    settings: Settings | None = None,
    progress: Progress | None = None,
    *,
    cache: Path | None = None,
) -> IndexReport:
    """Makes `documents`, which are no files of their own, the whole collection of an index; see `build`.

    Args:
        documents: gone through twice, and not held.
        index: folder of the index.
        settings: encoder and sizes.
        progress: told how far it is.
        cache: where vectors already made are looked up and kept; it may be that of another index.
    """
    started = time.perf_counter()
    settings, tell = settings or Settings(), progress or _silent
    encoder = find_encoder(index, settings)
    settings = structs.replace(settings, precision=encoder.precision)
    with _writing(index, tell), _opened(index) as (previous, rebuilt):
        collection = collection_of(documents, previous, settings, encoder, tell)
        made = make_snapshot(collection, previous, index, settings, encoder, tell, cache=cache)
        if made is None:
            raise InputError("There is no document to index: the index is as it was.")
        before = previous.files if previous else []
    return _report(made, before, collection.files, started, rebuilt)


def find_encoder(index: Path, settings: Settings) -> SentenceEncoder:
    """The encoder that the settings name, in their precision, or in the best one for the index; errors as `build`."""
    precision: Precision
    if settings.precision != "auto":
        precision = settings.precision
    elif before := _current_encoder(index):
        precision = before.precision
    else:
        precision = best_precision()
    return SentenceEncoder.find(settings.encoder, precision)


def _current_encoder(index: Path) -> EncoderRecord | None:
    """What made the vectors of the snapshot in use, if there is one that can be read."""
    try:
        return read_manifest(index / "snapshots" / current_name(index)).encoder
    except SnapshotError:
        return None


@contextmanager
def _opened(index: Path) -> Iterator[tuple[Previous | None, str | None]]:
    """The snapshot to build on, or why there is none although there is an index."""
    try:
        previous = Previous.open(index)
    except IndexMissingError:
        yield None, None
        return
    except IndexDamagedError as error:
        yield None, error.what
        return
    except IndexMismatchError as error:
        yield None, f"the snapshot that answered has format {error.found}"
        return
    with closing(previous):
        yield previous, None


def _writing(index: Path, tell: Progress, *, wait: bool = True) -> AbstractContextManager[None]:
    return writing(index, wait=wait, on_wait=lambda: tell("waiting", 0, 1))


def _report(
    made: Built,
    before: Sequence[IndexedFile],
    files: Sequence[IndexedFile],
    started: float,
    rebuilt: str | None,
    sources: Sources | None = None,
) -> IndexReport:
    paths = changed_paths(before, files)
    if sources is not None:
        paths |= {"ignored": sources.ignored, "sidecars": sources.sidecars}
    return IndexReport(
        snapshot=made.snapshot,
        files=FileCounts(**{name: len(listed) for name, listed in paths.items()}),
        failed=[FailedFile(file.path, file.reason) for file in files if file.reason is not None],
        failed_records=[failed for file in files for failed in file.broken],
        documents=made.counts.documents,
        passages=PassageCounts(made.counts.passages, made.encoded, made.counts.passages - made.encoded),
        tokens=made.counts.tokens,
        seconds=round(time.perf_counter() - started, 3),
        rebuilt=rebuilt,
        paths=paths,
    )


def _silent(stage: str, done: int, total: int) -> None:
    """No progress wanted."""
