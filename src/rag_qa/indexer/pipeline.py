"""A plan to a snapshot: documents pass through in batches, are encoded and written, and the whole is committed.

At no time is more held than some files, a batch, and the vectors of one segment.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from rag_qa.files import shown_path
from rag_qa.index.records import FORMAT, Counts, EncoderRecord, SnapshotInfo
from rag_qa.indexer.encode import CachedEncoder
from rag_qa.indexer.plan import Plan, renamed
from rag_qa.models.export import ExportedEncoder
from rag_qa.models.sentence_transformer import SentenceEncoder
from rag_qa.settings import IndexSettings, Settings
from rag_qa.types import ChunkedDocument, IndexedFile, Passage

if TYPE_CHECKING:
    from rag_qa.index import Progress
    from rag_qa.index.protocol import IndexWriter, SearchIndex

__all__ = ["Outcome", "foresee", "run"]

BATCH = 2048  # passages that are encoded and written together
CHECKED_TEXTS = 32  # passages that a new export of the encoder is compared on


class Outcome(Struct, frozen=True):
    """The snapshot that there is after a run."""

    files: list[IndexedFile]
    """Every file, with what became of it, by path."""
    snapshot: str | None
    """Id of the snapshot; None where there is no document, and the index is as it was."""
    counts: Counts
    encoded: int = 0
    """Passages of which something was encoded."""
    changed: bool = False
    """Whether it is another snapshot than before."""


def run(
    plan: Plan,
    writer: "IndexWriter",
    settings: Settings,
    encoder: SentenceEncoder,
    progress: "Progress",
    *,
    cache: Path | None = None,
) -> Outcome:
    """Carries out a plan; where nothing has changed, nothing is committed.

    Args:
        plan: what is new and what is taken over.
        writer: takes the documents.
        settings: of the index.
        encoder: makes the vectors.
        progress: called with stages and counts.
        cache: where vectors that were made before are looked up and kept; by default that of the index.
    """
    exported = ExportedEncoder(encoder, writer.folder, progress)
    texts: list[str] = []
    with CachedEncoder(exported, cache or writer.folder / "cache", progress) as encoding:

        def write(batch: list[ChunkedDocument], passages: list[Passage]) -> None:
            texts.extend(passage.text for passage in passages[: CHECKED_TEXTS - len(texts)])
            writer.add(batch, encoding.encode(passages))

        files = _ingest(plan, settings, write)
        outcome = _outcome(plan, files, encoding.touched, writer, encoder, settings)
        if outcome.snapshot is not None:
            exported.ensure(texts or _first_texts(writer.previous))
        if outcome.changed:
            encoding.keep()
            progress("writing", 0, 1)
            writer.commit(files, _info(outcome, plan, encoder, settings), settings.keep_snapshots)
            progress("writing", 1, 1)
        return outcome


def foresee(
    plan: Plan, writer: "IndexWriter", settings: Settings, encoder: SentenceEncoder, progress: "Progress"
) -> Outcome:
    """Finds the outcome that a run would have, without encoding or writing anything.

    Args:
        plan: what is new and what is taken over.
        writer: a dry run's, which only counts.
        settings: of the index.
        encoder: would make the vectors.
        progress: called with stages and counts.
    """
    with CachedEncoder(encoder, writer.folder / "cache", progress) as encoding:

        def count(batch: list[ChunkedDocument], passages: list[Passage]) -> None:
            encoding.count(passages)
            writer.add(batch, ())

        files = _ingest(plan, settings, count)
        return _outcome(plan, files, encoding.touched, writer, encoder, settings)


def _ingest(
    plan: Plan, settings: Settings, take: Callable[[list[ChunkedDocument], list[Passage]], None]
) -> list[IndexedFile]:
    """Hands the new documents on in batches, with the passages of each batch; returns all files by path."""
    files = [*plan.known, *(file.now for file in plan.reused)]
    with closing(plan.ingest(files.append)) as documents:
        for batch in _batches(documents, min(BATCH, settings.segment_passages)):
            take(batch, [passage for document in batch for passage in document.passages])
    return sorted(files, key=lambda file: file.path)


def _outcome(
    plan: Plan,
    files: list[IndexedFile],
    encoded: int,
    writer: "IndexWriter",
    encoder: SentenceEncoder,
    settings: Settings,
) -> Outcome:
    """The outcome once all new documents have been added; what is taken over is added too, where there is a change."""
    previous = writer.previous
    if previous is not None and plan.is_done(files, previous):
        return Outcome(files, previous.info.id, previous.info.counts)
    _take_over(plan, writer)
    counts = writer.counts()
    if not counts.documents:
        return Outcome(files, None, counts)
    identity = _content_digest(writer.digests(), encoder, settings.for_index())
    return Outcome(files, identity, counts, encoded, changed=True)


def _take_over(plan: Plan, writer: "IndexWriter") -> None:
    """Takes over the documents of files that are as they were, under the names that they have now."""
    for file in plan.reused:
        if file.moved:
            writer.rename(file.before.path, lambda document, now=file.now: renamed(document, now))  # type: ignore[misc]
    writer.keep({file.now.path for file in plan.reused if not file.moved})


def _first_texts(index: "SearchIndex | None") -> list[str]:
    """The texts of the first passages of a snapshot, if there is one."""
    if index is None:
        return []
    rows = range(min(CHECKED_TEXTS, index.info.counts.passages))
    return [passage.text for _, passage in index.passages(rows)]


def _info(outcome: Outcome, plan: Plan, encoder: SentenceEncoder, settings: Settings) -> SnapshotInfo:
    """The facts about a new snapshot, but for those that the engine fills in."""
    assert outcome.snapshot is not None  # noqa: S101 - there is a new one
    return SnapshotInfo(
        id=outcome.snapshot,
        name="",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        counts=outcome.counts,
        encoder=EncoderRecord(
            encoder.name, encoder.digest, encoder.model_digest, encoder.precision, dimension=0, window=encoder.window
        ),
        settings=settings.for_index(),
        working_directory=shown_path(Path.cwd()),
        paths=plan.paths,
    )


def _batches(documents: Iterable[ChunkedDocument], size: int) -> Iterator[list[ChunkedDocument]]:
    """Documents in lists that have so many passages or little more."""
    batch: list[ChunkedDocument] = []
    passages = 0
    for document in documents:
        batch.append(document)
        passages += len(document.passages)
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
