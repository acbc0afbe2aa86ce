"""Documents to a snapshot: what differs is read and cut (collecting.py), what is new encoded, the whole published."""

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from msgspec import Struct

from rag_qa.cache import VectorCache
from rag_qa.changes import FileCounts, IndexReport, PassageCounts, changed_paths
from rag_qa.collecting import Collection, Previous, Progress, collect, collection_of
from rag_qa.encoder import PassageEncoder, SentenceEncoder
from rag_qa.errors import InputError
from rag_qa.files import shown_path
from rag_qa.lexical import LexicalIndex
from rag_qa.query_encoder import OnnxQueryEncoder, export_query_encoder
from rag_qa.sentences import SentenceVectors
from rag_qa.settings import IndexSettings, Settings
from rag_qa.snapshot import (
    DOCUMENTS,
    FORMAT,
    LEXICAL,
    VECTORS,
    Counts,
    EncoderRecord,
    Manifest,
    Segment,
    new_snapshot,
    publish,
    segment_folder,
    writing,
)
from rag_qa.sources import IGNORE_FILE, Sources, check_paths, find_sources
from rag_qa.store import StoredDocument, write_store
from rag_qa.types import Document, FailedFile, IndexedFile, Passage
from rag_qa.vectors import VectorIndex

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Progress", "build", "index_documents"]

COMMITTED_TOGETHER = 256  # texts encoded between two commits of the cache


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

    Raises:
        InputError: a path is missing, or none of the files could be read.
        EncoderError: the encoder cannot be used.
        SettingsError: OCR is on without Tesseract, or the passages would be longer than what the encoder reads.
        WorkerError: the processes that read files cannot be started.
    """
    started = time.perf_counter()
    index, settings, tell = Path(index), settings or Settings(), progress or _silent
    places = [Path(path) for path in paths]
    check_paths(places)  # before a folder for the index is made
    encoder = encoder or SentenceEncoder.find(settings.encoder)
    with nullcontext() if dry_run else writing(index), _opened(index) as previous:
        sources = find_sources(places, settings.max_file_mb, leave_out=index)
        collection = collect(sources, previous, settings, encoder, tell)
        if not collection.unchanged and not collection.documents:
            reasons = "; ".join(f"{file.path}: {file.reason}" for file in collection.files[:3]) or "there are no files"
            if others := len(collection.files[3:]):
                reasons += f"; and {others} more"
            if sources.ignored:
                reasons += f"; {IGNORE_FILE} leaves out {len(sources.ignored)}"
            raise InputError(f"Nothing to index in {', '.join(map(str, paths))} ({reasons}): the index is as it was.")
        made = _make(collection, previous, index, settings, encoder, tell, dry_run=dry_run)
        before = previous.files if previous else []
    return _report(made, before, collection.files, started, sources)


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
    with writing(index), _opened(index) as previous:
        collection = collection_of(documents, previous, settings, encoder, tell)
        made = _make(collection, previous, index, settings, encoder, tell)
        before = previous.files if previous else []
    return _report(made, before, collection.files, started)


@contextmanager
def _opened(index: Path) -> Iterator[Previous | None]:
    previous = Previous.open(index)
    try:
        yield previous
    finally:
        if previous is not None:
            previous.close()


def _make(
    collection: Collection,
    previous: Previous | None,
    index: Path,
    settings: Settings,
    encoder: SentenceEncoder,
    tell: Progress,
    *,
    dry_run: bool = False,
) -> _Built:
    """Encodes what is new and publishes the collection, unless it is the one in use."""
    if collection.unchanged and previous is not None:
        if not dry_run:
            _ensure_query_encoder(encoder, index, previous.texts)
        return _Built(previous.manifest.id, previous.manifest.counts, encoded=0)
    cut = [stored.passages for stored in collection.documents]
    passages = [passage for listed in cut for passage in listed]
    identity = _content_digest(collection.documents, encoder, settings.for_index())
    counts = Counts(documents=len(cut), passages=len(passages), tokens=sum(passage.tokens for passage in passages))
    if dry_run:
        return _Built(identity, counts, _count_new(passages, index, encoder))
    vectors, encoded = _encode(encoder, passages, index, tell)
    _ensure_query_encoder(encoder, index, lambda: [passage.text for passage in passages])
    manifest = Manifest(
        id=identity,
        build=token_hex(4),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        working_directory=shown_path(Path.cwd()),
        settings=settings.for_index(),
        encoder=EncoderRecord(encoder.name, encoder.digest, vectors.passages.shape[1], encoder.window),
        counts=counts,
        segments=(Segment("0001", counts.passages),),
    )
    tell("writing", 0, 1)
    _write(index, manifest, collection, vectors)
    tell("writing", 1, 1)
    return _Built(identity, counts, encoded)


def _report(
    made: _Built,
    before: Sequence[IndexedFile],
    files: Sequence[IndexedFile],
    started: float,
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
        paths=paths,
    )


class _Vectors(Struct, frozen=True):
    """Unit vectors, float32: of the passages in context, and of all their sentences in order."""

    passages: "NDArray[np.float32]"
    sentences: "NDArray[np.float32]"


def _encode(encoder: PassageEncoder, passages: Sequence[Passage], index: Path, tell: Progress) -> tuple[_Vectors, int]:
    """The vectors, and for how many passages something had to be encoded; equal texts are encoded once."""
    texts = [passage.in_context for passage in passages]
    sentences = [sentence for passage in passages for sentence in passage.sentence_texts]
    with closing(VectorCache(index / "cache", encoder.digest)) as cache:
        wanted = dict.fromkeys([*texts, *sentences])
        known = cache.find(wanted)
        # Long texts first: texts of like length share a batch, and the progress bar errs on the safe side.
        missing = sorted((text for text in wanted if text not in known), key=lambda text: (-len(text), text))
        for first in range(0, len(missing), COMMITTED_TOGETHER):
            tell("encoding", first, len(missing))
            together = missing[first : first + COMMITTED_TOGETHER]
            vectors = encoder.encode_passages(together)
            cache.put(together, vectors)
            known |= dict(zip(together, vectors, strict=True))
        tell("encoding", len(missing), len(missing))
    return _Vectors(_stack(known, texts), _stack(known, sentences)), _count_touched(passages, set(missing))


def _count_new(passages: Sequence[Passage], index: Path, encoder: SentenceEncoder) -> int:
    """For how many passages something would have to be encoded."""
    wanted = {text for passage in passages for text in (passage.in_context, *passage.sentence_texts)}
    if VectorCache.exists(index / "cache"):
        with closing(VectorCache(index / "cache", encoder.digest)) as cache:
            wanted -= cache.find(wanted).keys()
    return _count_touched(passages, wanted)


def _count_touched(passages: Sequence[Passage], texts: set[str]) -> int:
    return sum(not texts.isdisjoint([passage.in_context, *passage.sentence_texts]) for passage in passages)


def _stack(vectors: dict[str, "NDArray[np.float32]"], texts: Sequence[str]) -> "NDArray[np.float32]":
    return np.stack([vectors[text] for text in texts])


def _ensure_query_encoder(encoder: SentenceEncoder, index: Path, texts: Callable[[], Sequence[str]]) -> None:
    folder = index / "encoder" / encoder.digest
    if not OnnxQueryEncoder.is_whole(folder):
        export_query_encoder(encoder, folder, texts())


def _content_digest(documents: Sequence[StoredDocument], encoder: SentenceEncoder, settings: IndexSettings) -> str:
    """The snapshot's id: equal for equal documents, passages, encoder and settings, wherever the files lie."""
    others = {name: value for name, value in msgspec.structs.asdict(settings).items() if name != "encoder"}
    digest = hashlib.sha256(msgspec.msgpack.encode((FORMAT, encoder.digest, others)))
    for stored in documents:
        info = msgspec.structs.replace(stored.document.info, source="")
        digest.update(msgspec.msgpack.encode((info, stored.document.text, stored.passages)))
    return digest.hexdigest()[:16]


def _write(index: Path, manifest: Manifest, collection: Collection, vectors: _Vectors) -> None:
    """Writes the snapshot beside the live one, opens it to see that its parts agree, and makes it current."""
    passages = [passage for stored in collection.documents for passage in stored.passages]
    (segment,) = manifest.segments
    dimension = manifest.encoder.dimension
    with new_snapshot(index) as folder:
        write_store(folder / DOCUMENTS, collection.files, collection.documents)
        base = segment_folder(folder, segment)
        (base / LEXICAL).mkdir(parents=True)
        VectorIndex.build(vectors.passages).save(base / VECTORS)
        SentenceVectors.save(base, vectors.sentences, [len(passage.sentences) for passage in passages])
        LexicalIndex.build(base / LEXICAL, [passage.in_context for passage in passages])
        VectorIndex.load(base / VECTORS, segment.passages, dimension)
        SentenceVectors.open(base, segment.passages, dimension)
        LexicalIndex.open(base / LEXICAL, segment.passages)
        publish(index, folder, manifest)


def _silent(stage: str, done: int, total: int) -> None:
    """No progress wanted."""
