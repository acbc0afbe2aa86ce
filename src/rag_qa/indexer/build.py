"""Runs an indexing: compares files with the snapshot in use (plan.py), and makes a new one of them (pipeline.py)."""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import structs

from rag_qa.errors import InputError, SettingsError, SnapshotError
from rag_qa.files import shown_path
from rag_qa.index import Progress, open_history, open_writer
from rag_qa.index.records import EncoderRecord
from rag_qa.indexer.pipeline import Outcome, foresee, run
from rag_qa.indexer.plan import plan_documents, plan_files
from rag_qa.indexer.report import FileCounts, IndexReport, PassageCounts, changed_paths
from rag_qa.ingest.sources import IGNORE_FILE, Sources, check_paths, find_sources
from rag_qa.models.hardware import best_precision
from rag_qa.models.sentence_transformer import SentenceEncoder
from rag_qa.settings import Settings
from rag_qa.types import Document, FailedFile, Precision

if TYPE_CHECKING:
    from rag_qa.index.protocol import IndexWriter

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
        progress: called with stages and counts.
        dry_run: only report what would be done; nothing is written.
        encoder: the encoder that the settings name, where it is loaded already.
        wait: whether to wait while another process writes the index.

    Raises:
        BusyError: another process writes the index, and `wait` is False.
        InputError: a path is missing or lies in the index, or none of the files could be read.
        EncoderError: the encoder cannot be used.
        SettingsError: OCR is on without Tesseract, or the passages would be longer than the encoder's window.
        WorkerError: the processes that parse files cannot be started.
        WriteError: the index cannot be written; it is as it was.
    """
    started = time.perf_counter()
    index, settings, progress = Path(index), settings or Settings(), progress or _silent
    folders = [Path(path) for path in paths]
    check_paths(folders)  # before a folder for the index is made
    for folder in folders:
        if folder.resolve().is_relative_to(index.resolve()):
            raise InputError(
                f"“{shown_path(folder)}” is, or lies in, the index itself: give another folder as --index."
            )
    encoder = encoder or find_encoder(index, settings)
    if settings.precision not in {"auto", encoder.precision}:
        raise SettingsError(
            f"precision is {settings.precision}, and the encoder that is given has {encoder.precision}."
        )
    settings = structs.replace(settings, precision=encoder.precision)
    with open_writer(index, settings, progress, wait=wait, dry_run=dry_run) as writer:
        sources = find_sources(folders, settings.max_file_mb, leave_out=index)
        plan = plan_files(sources, writer.previous, settings, encoder, progress)
        outcome = (foresee if dry_run else run)(plan, writer, settings, encoder, progress)
        if outcome.snapshot is None:
            reasons = "; ".join(f"{file.path}: {file.reason}" for file in outcome.files[:3]) or "there are no files"
            if others := len(outcome.files[3:]):
                reasons += f"; and {others} more"
            if sources.ignored:
                reasons += f"; {IGNORE_FILE} leaves out {len(sources.ignored)}"
            raise InputError(f"Nothing to index in {', '.join(map(str, paths))} ({reasons}): the index is as it was.")
        return _report(outcome, outcome.snapshot, writer, started, sources)


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
        documents: iterated twice, and not held.
        index: folder of the index.
        settings: encoder and sizes.
        progress: called with stages and counts.
        cache: where vectors already made are looked up and kept; it may be that of another index.
    """
    started = time.perf_counter()
    settings, progress = settings or Settings(), progress or _silent
    encoder = find_encoder(index, settings)
    settings = structs.replace(settings, precision=encoder.precision)
    with open_writer(index, settings, progress) as writer:
        plan = plan_documents(documents, writer.previous, settings, encoder, progress)
        outcome = run(plan, writer, settings, encoder, progress, cache=cache)
        if outcome.snapshot is None:
            raise InputError("There is no document to index: the index is as it was.")
        return _report(outcome, outcome.snapshot, writer, started)


def find_encoder(index: Path, settings: Settings) -> SentenceEncoder:
    """The encoder that the settings name, in their precision, or in the best one for the index; errors as `build`."""
    precision: Precision
    if settings.precision != "auto":
        precision = settings.precision
    elif before := _current_encoder(index):
        precision = before.precision
    else:
        precision = best_precision()
    return SentenceEncoder.from_name(settings.encoder, precision)


def _current_encoder(index: Path) -> EncoderRecord | None:
    """The encoder that made the vectors of the snapshot in use, if there is one that can be read."""
    history = open_history(index)
    try:
        return history.details(history.current()).info.encoder
    except SnapshotError:
        return None


def _report(
    outcome: Outcome, snapshot: str, writer: "IndexWriter", started: float, sources: Sources | None = None
) -> IndexReport:
    files, counts = outcome.files, outcome.counts
    paths = changed_paths(writer.previous.files() if writer.previous else [], files)
    if sources is not None:
        paths |= {"ignored": sources.ignored, "sidecars": sources.sidecars}
    return IndexReport(
        snapshot=snapshot,
        files=FileCounts(**{name: len(listed) for name, listed in paths.items()}),
        failed=[FailedFile(file.path, file.reason) for file in files if file.reason is not None],
        failed_records=[failed for file in files for failed in file.broken],
        documents=counts.documents,
        passages=PassageCounts(counts.passages, outcome.encoded, counts.passages - outcome.encoded),
        tokens=counts.tokens,
        seconds=round(time.perf_counter() - started, 3),
        rebuilt=writer.rebuilt,
        paths=paths,
    )


def _silent(stage: str, done: int, total: int) -> None:
    """Ignores progress."""
