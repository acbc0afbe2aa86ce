"""A collection to a snapshot: documents pass through in batches, are encoded and written, and the whole is published.

At no time is more held than some files, a batch, and the vectors of one segment.
"""

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from rag_qa.errors import IndexDamagedError, WriteError
from rag_qa.files import shown_path
from rag_qa.index.local.manifest import FORMAT, Manifest
from rag_qa.index.local.segment.segment import Vectors
from rag_qa.index.local.snapshot.commit import new_snapshot, publish
from rag_qa.index.local.snapshot.document_table import ContentsWriter
from rag_qa.index.local.snapshot.layout import Snapshot
from rag_qa.index.local.snapshot.searcher import Corpus
from rag_qa.index.local.snapshot.writer import SnapshotWriter
from rag_qa.indexer.encode import CachedEncoder
from rag_qa.indexer.plan import SOME, Collection, Previous, Progress
from rag_qa.models.export import ExportedEncoder
from rag_qa.models.sentence_transformer import SentenceEncoder
from rag_qa.settings import IndexSettings, Settings
from rag_qa.types import ChunkedDocument, Counts, EncoderRecord, Passage

__all__ = ["Built", "make_snapshot"]

BATCH = 2048  # passages that are encoded and written together
STAGING = "staging.sqlite"


class Built(Struct, frozen=True):
    """The snapshot that there is now, or would be, and for how many passages something had to be encoded."""

    snapshot: str
    counts: Counts
    encoded: int


class _Foreseen:
    """Takes what a dry run would write, in the place of `SnapshotWriter`."""

    def __init__(self, contents: ContentsWriter) -> None:
        self._contents = contents

    def add(self, documents: Sequence[ChunkedDocument], vectors: Iterable[Vectors]) -> None:
        """Counts documents that are not written."""
        deque(vectors, maxlen=0)
        for stored in documents:
            self._contents.add(stored, segment=0, place=0, first_row=0)


def make_snapshot(
    collection: Collection,
    previous: Previous | None,
    index: Path,
    settings: Settings,
    encoder: SentenceEncoder,
    tell: Progress,
    *,
    dry_run: bool = False,
    cache: Path | None = None,
) -> Built | None:
    """Encodes what is new and publishes the collection, unless it is the one in use; None where it is empty.

    The vectors already made are in `cache`: by default that of the index, which it shares with no other.
    """
    with ExitStack() as held:
        exported = ExportedEncoder(encoder, index, tell)
        encoding = held.enter_context(CachedEncoder(exported, cache or index / "cache", tell))
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
        exported.ensure(texts)
        if previous is not None and previous.is_same(collection):
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
            paths=collection.paths,
            settings=settings.for_index(),
            encoder=EncoderRecord(
                encoder.name, encoder.digest, encoder.model_digest, encoder.precision, writer.dimension, encoder.window
            ),
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
    if previous is not None and not previous.is_same(collection):
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
) -> Built | None:
    """What the documents that were taken make, or None where there are none."""
    if previous is not None and previous.is_same(collection):
        return Built(previous.manifest.id, previous.manifest.counts, encoded=0)
    counts = Counts(*contents.totals())
    identity = _content_digest(contents.digests(), encoder, settings.for_index())
    return Built(identity, counts, encoding.touched) if counts.documents else None


def _check(snapshot: Snapshot) -> None:
    """Sees that a snapshot can be opened; where it cannot, it was not written as it should have been."""
    try:
        Corpus.open(snapshot).close()
    except IndexDamagedError as error:
        raise WriteError(snapshot.folder, error.what) from None


def _batches(documents: Iterable[ChunkedDocument], size: int) -> Iterator[list[ChunkedDocument]]:
    """Documents in lists that have so many passages or little more."""
    batch: list[ChunkedDocument] = []
    passages = 0
    for stored in documents:
        batch.append(stored)
        passages += len(stored.passages)
        if passages >= size:
            yield batch
            batch, passages = [], 0
    if batch:
        yield batch


def _content_digest(documents: Iterable[bytes], encoder: SentenceEncoder, settings: IndexSettings) -> str:
    """The snapshot's id: equal for equal documents, passages, encoder and settings, wherever the files lie."""
    others = {name: value for name, value in msgspec.structs.asdict(settings).items() if name != "encoder"}
    digest = hashlib.sha256(msgspec.msgpack.encode((FORMAT, encoder.digest, others)))
    for document in documents:
        digest.update(document)
    return digest.hexdigest()[:16]
