"""Documents to a snapshot: what differs is read and cut (collecting.py), what is new encoded, the whole published.

Documents pass through in batches: at no time is more held than some files, a batch, and the vectors of one segment.
"""

import hashlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from rag_qa.changes import FileCounts, IndexReport, PassageCounts, changed_paths
from rag_qa.collecting import SOME, Collection, Previous, Progress, collect, collection_of
from rag_qa.contents import ContentsWriter
from rag_qa.corpus import Corpus
from rag_qa.encoder import SentenceEncoder
from rag_qa.encoding import CachedEncoder
from rag_qa.errors import (
    DISK_FAILURES,
    IndexDamagedError,
    IndexMissingError,
    InputError,
    SnapshotError,
    WriteError,
)
from rag_qa.files import shown_path
from rag_qa.manifest import FORMAT, Counts, EncoderRecord, Manifest
from rag_qa.publishing import new_snapshot, publish, writing
from rag_qa.query_encoder import OnnxQueryEncoder, export_query_encoder
from rag_qa.segments import Vectors
from rag_qa.settings import IndexSettings, Settings
from rag_qa.snapshot import Snapshot
from rag_qa.snapshot_writer import SnapshotWriter
from rag_qa.sources import IGNORE_FILE, Sources, check_paths, find_sources
from rag_qa.store import StoredDocument
from rag_qa.types import Document, FailedFile, IndexedFile, Passage

__all__ = ["Progress", "build", "index_documents"]

BATCH = 2048  # passages that are encoded and written together
STAGING = "staging.sqlite"


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
            raise WriteError(f"The index in “{index}”", error) from None
        raise


class _Foreseen:
    """Takes what a dry run would write, in the place of `SnapshotWriter`."""

    def __init__(self, contents: ContentsWriter) -> None:
        self._contents = contents

    def add(self, documents: Sequence[StoredDocument], vectors: Iterable[Vectors]) -> None:
        """Counts documents that are not written."""
        deque(vectors, maxlen=0)
        for stored in documents:
            self._contents.add(stored, segment=0, place=0, first_row=0)


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
        encoding = held.enter_context(CachedEncoder(encoder, index / "cache", tell))
        held.enter_context(closing(collection.new))
        if dry_run:
            contents = ContentsWriter(None)
            held.callback(contents.discard)
            _take(collection, previous, contents, _Foreseen(contents), encoding.foresee, settings)
            return _built(collection, previous, contents, encoder, encoding, settings)

        folder = held.enter_context(new_snapshot(index))
        staging = folder.folder / STAGING
        contents = ContentsWriter(staging)
        held.callback(contents.discard)
        writer = SnapshotWriter(folder, contents, previous.corpus if previous else None, settings, tell)
        held.callback(writer.discard)
        texts = _take(collection, previous, contents, writer, encoding.encode, settings)
        built = _built(collection, previous, contents, encoder, encoding, settings)
        if built is None:
            return None
        if previous is not None:
            texts = texts or previous.some_texts()
        _ensure_query_encoder(encoder, index, texts)
        if previous is not None and previous.is_same(collection.files):
            return built
        encoding.keep()
        tell("writing", 0, 1)
        segments, linked = writer.finish(collection.files)
        contents.discard()
        staging.unlink()
        manifest = Manifest(
            id=built.snapshot,
            sequence=0,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            working_directory=shown_path(Path.cwd()),
            settings=settings.for_index(),
            encoder=EncoderRecord(encoder.name, encoder.digest, writer.dimension, encoder.window),
            counts=built.counts,
            segments=segments,
        )
        publish(index, folder.folder, manifest, linked, settings.keep_snapshots, _check)
        tell("writing", 1, 1)
        return built


def _take(
    collection: Collection,
    previous: Previous | None,
    contents: ContentsWriter,
    writer: SnapshotWriter | _Foreseen,
    encode: Callable[[Sequence[Passage]], Iterable[Vectors]],
    settings: Settings,
) -> list[str]:
    """Takes all documents through to `writer` and `contents`, unless nothing has changed; gives some new texts."""
    texts: list[str] = []
    for batch in _batches(collection.new, min(BATCH, settings.segment_passages)):
        passages = [passage for stored in batch for passage in stored.passages]
        texts += [passage.text for passage in passages[: SOME - len(texts)]]
        writer.add(batch, encode(passages))
    if previous is not None and not previous.is_same(collection.files):
        for stored, vectors in previous.moved(collection.reused):
            writer.add([stored], [vectors])
        contents.keep(previous.unmoved(collection.reused))
    return texts


def _built(
    collection: Collection,
    previous: Previous | None,
    contents: ContentsWriter,
    encoder: SentenceEncoder,
    encoding: CachedEncoder,
    settings: Settings,
) -> _Built | None:
    """What the documents that were taken make, or None where there are none."""
    if previous is not None and previous.is_same(collection.files):
        return _Built(previous.manifest.id, previous.manifest.counts, encoded=0)
    counts = Counts(*contents.totals())
    identity = _content_digest(contents.digests(), encoder, settings.for_index())
    return _Built(identity, counts, encoding.touched) if counts.documents else None


def _check(snapshot: Snapshot) -> None:
    """Sees that a snapshot can be opened; where it cannot, it was not written as it should have been."""
    try:
        Corpus.open(snapshot).close()
    except IndexDamagedError as error:
        raise WriteError(snapshot.folder, error.what) from None


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


def _ensure_query_encoder(encoder: SentenceEncoder, index: Path, texts: Sequence[str]) -> None:
    folder = index / "encoder" / encoder.digest
    if OnnxQueryEncoder.damage(folder):
        export_query_encoder(encoder, folder, texts)


def _content_digest(documents: Iterable[bytes], encoder: SentenceEncoder, settings: IndexSettings) -> str:
    """The snapshot's id: equal for equal documents, passages, encoder and settings, wherever the files lie."""
    others = {name: value for name, value in msgspec.structs.asdict(settings).items() if name != "encoder"}
    digest = hashlib.sha256(msgspec.msgpack.encode((FORMAT, encoder.digest, others)))
    for document in documents:
        digest.update(document)
    return digest.hexdigest()[:16]


def _silent(stage: str, done: int, total: int) -> None:
    """No progress wanted."""
