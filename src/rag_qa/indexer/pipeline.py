"""A plan to a snapshot: documents pass through in batches, are encoded and written, and the whole is committed.

At no time is more held than some files, a batch, and the vectors of one segment.
"""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from rag_qa.files import shown_path
from rag_qa.index.records import FORMAT, SnapshotInfo
from rag_qa.indexer.encode import CachedEncoder
from rag_qa.indexer.plan import Plan, renamed
from rag_qa.models.export import ExportedEncoder
from rag_qa.models.sentence_transformer import SentenceEncoder
from rag_qa.settings import IndexSettings, Settings
from rag_qa.types import ChunkedDocument, Counts, EncoderRecord, IndexedFile

if TYPE_CHECKING:
    from rag_qa.index import Progress
    from rag_qa.index.protocol import IndexWriter, SearchIndex

__all__ = ["Outcome", "run"]

BATCH = 2048  # passages that are encoded and written together
CHECKED_TEXTS = 32  # passages that a new export of the encoder is compared on


class Outcome(Struct, frozen=True):
    """The snapshot that there is after a run, or would be after a dry one."""

    files: list[IndexedFile]
    """Every file, with what became of it, by path."""
    snapshot: str | None
    """Id of the snapshot; None where there is no document, and the index is as it was."""
    counts: Counts
    encoded: int = 0
    """Passages of which something was, or would be, encoded."""


def run(
    plan: Plan,
    writer: "IndexWriter",
    settings: Settings,
    encoder: SentenceEncoder,
    progress: "Progress",
    *,
    dry_run: bool = False,
    cache: Path | None = None,
) -> Outcome:
    """Carries out a plan; where nothing has changed, nothing is committed.

    Args:
        plan: what is new and what is taken over.
        writer: takes the documents; a dry run's only counts.
        settings: of the index.
        encoder: makes the vectors.
        progress: called with stages and counts.
        dry_run: encode nothing, and write nothing.
        cache: where vectors that were made before are looked up and kept; by default that of the index.
    """
    with ExitStack() as held:
        exported = ExportedEncoder(encoder, writer.folder, progress)
        encoding = held.enter_context(CachedEncoder(exported, cache or writer.folder / "cache", progress))
        files = [*plan.known, *(file.now for file in plan.reused)]
        documents = held.enter_context(closing(plan.ingest(files.append)))
        texts: list[str] = []
        for batch in _batches(documents, min(BATCH, settings.segment_passages)):
            passages = [passage for document in batch for passage in document.passages]
            texts += [passage.text for passage in passages[: CHECKED_TEXTS - len(texts)]]
            writer.add(batch, encoding.foresee(passages) if dry_run else encoding.encode(passages))
        files.sort(key=lambda file: file.path)

        previous = writer.previous
        if previous is not None and plan.is_done(files, previous):
            if not dry_run:
                exported.ensure(texts or _first_texts(previous))
            return Outcome(files, previous.info.id, previous.info.counts)
        _take_over(plan, writer)
        counts = writer.counts()
        if not counts.documents:
            return Outcome(files, None, counts)
        identity = _content_digest(writer.digests(), encoder, settings.for_index())
        if not dry_run:
            exported.ensure(texts or (_first_texts(previous) if previous else []))
            encoding.keep()
            progress("writing", 0, 1)
            writer.commit(files, _info(identity, counts, plan, encoder, settings), settings.keep_snapshots)
            progress("writing", 1, 1)
        return Outcome(files, identity, counts, encoding.touched)


def _take_over(plan: Plan, writer: "IndexWriter") -> None:
    """Takes over the documents of files that are as they were, under the names that they have now."""
    for file in plan.reused:
        if file.moved:
            writer.rename(file.before.path, lambda document, now=file.now: renamed(document, now))  # type: ignore[misc]
    writer.keep({file.now.path for file in plan.reused if not file.moved})


def _first_texts(index: "SearchIndex") -> list[str]:
    """The texts of the first passages of a snapshot."""
    rows = range(min(CHECKED_TEXTS, index.info.counts.passages))
    return [passage.text for _, passage in index.passages(rows)]


def _info(identity: str, counts: Counts, plan: Plan, encoder: SentenceEncoder, settings: Settings) -> SnapshotInfo:
    """The facts about a new snapshot, but for those that the engine fills in."""
    return SnapshotInfo(
        id=identity,
        name="",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        counts=counts,
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
