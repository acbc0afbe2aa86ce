"""Documents to a snapshot: what differs is read and cut (collecting.py), what is new encoded, the whole published.

Documents pass through in batches: at no time is more than a batch held, and the vectors of one segment.
"""

import errno
import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from rag_qa.changes import FileCounts, IndexReport, PassageCounts, changed_paths
from rag_qa.collecting import SOME, Collection, Previous, Progress, collect, collection_of
from rag_qa.contents import ContentsWriter
from rag_qa.encoder import SentenceEncoder
from rag_qa.encoding import CachedEncoder
from rag_qa.errors import IndexDamagedError, IndexMissingError, InputError, SnapshotError, WriteError
from rag_qa.files import shown_path
from rag_qa.manifest import FORMAT, Counts, EncoderRecord, Manifest
from rag_qa.query_encoder import OnnxQueryEncoder, export_query_encoder
from rag_qa.settings import IndexSettings, Settings
from rag_qa.snapshot import new_snapshot, publish, writing
from rag_qa.snapshot_writer import SnapshotWriter
from rag_qa.sources import IGNORE_FILE, Sources, check_paths, find_sources
from rag_qa.store import StoredDocument
from rag_qa.types import Document, FailedFile, IndexedFile

__all__ = ["Progress", "build", "index_documents"]

BATCH = 2048  # passages that are encoded and written together
STAGING = "staging.sqlite"
DISK_FAILURES = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS}


class _Built(Struct, frozen=True):
    """The snapshot that there is now, or would be, and for how many passages something had to be encoded."""

    snapshot: str
    counts: Counts
    encoded: int


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
        InputError: a path is missing, or none of the files could be read.
        EncoderError: the encoder cannot be used.
        SettingsError: OCR is on without Tesseract, or the passages would be longer than what the encoder reads.
        WorkerError: the processes that read files cannot be started.
        WriteError: the index cannot be written; it is as it was.
    """
    started = time.perf_counter()
    index, settings, tell = Path(index), settings or Settings(), progress or _silent
    places = [Path(path) for path in paths]
    check_paths(places)  # before a folder for the index is made
    encoder = encoder or SentenceEncoder.find(settings.encoder)
    with nullcontext() if dry_run else _writing(index, tell, wait=wait), _opened(index) as (previous, rebuilt):
        sources = find_sources(places, settings.max_file_mb, leave_out=index)
        collection = collect(sources, previous, settings, encoder, tell)
        made = _make(collection, previous, index, settings, encoder, tell, dry_run=dry_run)
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
    documents: Sequence[Document],
    index: Path,
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> IndexReport:
    """Makes `documents`, which are no files of their own, the whole collection of an index; see `build`."""
    started = time.perf_counter()
    settings, tell = settings or Settings(), progress or _silent
    encoder = SentenceEncoder.find(settings.encoder)
    with _writing(index, tell), _opened(index) as (previous, rebuilt):
        collection = collection_of(documents, previous, settings, encoder, tell)
        made = _make(collection, previous, index, settings, encoder, tell)
        if made is None:
            raise InputError("There is no document to index: the index is as it was.")
        before = previous.files if previous else []
    return _report(made, before, collection.files, started, rebuilt)


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
    except SnapshotError as error:
        yield None, str(error).removesuffix(".")
        return
    with closing(previous):
        yield previous, None


@contextmanager
def _writing(index: Path, tell: Progress, *, wait: bool = True) -> Iterator[None]:
    """Holds the index; a disk that takes no more is said in a sentence."""
    try:
        with writing(index, wait=wait, on_wait=lambda: tell("waiting", 0, 1)):
            yield
    except OSError as error:
        if error.errno in DISK_FAILURES:
            raise WriteError(f"The index in “{index}”", error.strerror) from None
        raise


def _make(
    collection: Collection,
    previous: Previous | None,
    index: Path,
    settings: Settings,
    encoder: SentenceEncoder,
    tell: Progress,
    *,
    dry_run: bool = False,
) -> _Built | None:
    """Encodes what is new and publishes the collection, unless it is the one in use; None where it is empty."""
    with ExitStack() as held:
        folder = None if dry_run else held.enter_context(new_snapshot(index))
        staging = folder.folder / STAGING if folder else None
        encoding = held.enter_context(CachedEncoder(encoder, index / "cache", tell))
        contents = ContentsWriter(staging)
        held.callback(contents.discard)
        writer = None
        if folder is not None:
            writer = SnapshotWriter(folder, contents, previous.corpus if previous else None, settings, tell)
            held.callback(writer.discard)

        texts = list[str]()
        for batch in _batches(collection.new, min(BATCH, settings.segment_passages)):
            passages = [passage for stored in batch for passage in stored.passages]
            texts += [passage.text for passage in passages[: SOME - len(texts)]]
            if writer is None:
                encoding.foresee(passages)
                contents.add_unwritten(batch)
            else:
                writer.add(batch, encoding.encode(passages))
        files = collection.files
        if previous is not None and previous.is_same(files):
            if not dry_run:
                _ensure_query_encoder(encoder, index, previous.some_texts)
            return _Built(previous.manifest.id, previous.manifest.counts, encoded=0)

        if previous is not None:
            for stored, vectors in previous.moved(collection.reused):
                if writer is None:
                    contents.add_unwritten([stored])
                else:
                    writer.add([stored], [vectors])
            contents.keep(previous.unmoved(collection.reused))
            texts = texts or previous.some_texts()
        counts = Counts(*contents.totals())
        if not counts.documents:
            return None
        identity = _content_digest(contents.digests(), encoder, settings.for_index())
        if folder is None or writer is None or staging is None:
            return _Built(identity, counts, encoding.touched)

        encoding.keep()
        tell("writing", 0, 1)
        segments, linked = writer.finish(files)
        contents.discard()
        staging.unlink()
        _ensure_query_encoder(encoder, index, lambda: texts)
        manifest = Manifest(
            id=identity,
            sequence=0,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            working_directory=shown_path(Path.cwd()),
            settings=settings.for_index(),
            encoder=EncoderRecord(encoder.name, encoder.digest, writer.dimension, encoder.window),
            counts=counts,
            segments=segments,
        )
        publish(index, folder.folder, manifest, linked, settings.keep_snapshots)
        tell("writing", 1, 1)
        return _Built(identity, counts, encoding.touched)


def _batches(documents: Iterable[StoredDocument], size: int) -> Iterator[list[StoredDocument]]:
    """Documents in lists that have so many passages or little more."""
    batch: list[StoredDocument] = []
    passages = 0
    for stored in documents:
        batch.append(stored)
        passages += len(stored.passages)
        if passages >= size:
            yield batch
            batch, passages = [], 0
    if batch:
        yield batch


def _report(
    made: _Built,
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


def _ensure_query_encoder(encoder: SentenceEncoder, index: Path, texts: Callable[[], Sequence[str]]) -> None:
    folder = index / "encoder" / encoder.digest
    if OnnxQueryEncoder.damage(folder):
        export_query_encoder(encoder, folder, texts())


def _content_digest(documents: Iterable[bytes], encoder: SentenceEncoder, settings: IndexSettings) -> str:
    """The snapshot's id: equal for equal documents, passages, encoder and settings, wherever the files lie."""
    others = {name: value for name, value in msgspec.structs.asdict(settings).items() if name != "encoder"}
    digest = hashlib.sha256(msgspec.msgpack.encode((FORMAT, encoder.digest, others)))
    for document in documents:
        digest.update(document)
    return digest.hexdigest()[:16]


def _silent(stage: str, done: int, total: int) -> None:
    """No progress wanted."""
