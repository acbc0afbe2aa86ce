"""Documents to a snapshot: what to read, chunk and encode, and what changed since the last time."""

import hashlib
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from msgspec import Struct

from rag_qa.cache import VectorCache
from rag_qa.changes import FileCounts, IndexReport, PassageCounts, changed_paths
from rag_qa.chunking import Chunker
from rag_qa.encoder import PassageEncoder, SentenceEncoder
from rag_qa.errors import InputError, ReadError, SettingsError, SnapshotError
from rag_qa.files import shown_path
from rag_qa.lexical import LexicalIndex
from rag_qa.query_encoder import OnnxQueryEncoder, export_query_encoder
from rag_qa.readers import find_files, read_document
from rag_qa.sentences import SentenceVectors
from rag_qa.settings import IndexSettings
from rag_qa.snapshot import (
    DOCUMENTS,
    FORMAT,
    LEXICAL,
    VECTORS,
    Counts,
    EncoderRecord,
    Manifest,
    Segment,
    Snapshot,
    new_snapshot,
    publish,
    segment_folder,
    writing,
)
from rag_qa.store import DocumentStore, write_store
from rag_qa.types import Document, DocumentInfo, FailedFile, Passage
from rag_qa.vectors import VectorIndex

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Progress", "build", "index_documents"]

Progress = Callable[[str, int, int], None]
"""Called with the stage ("reading", "cutting", "encoding", "writing"), what is done and what there is to do."""

COMMITTED_TOGETHER = 256  # texts encoded between two commits of the cache


def build(
    paths: Sequence[str | Path],
    index: str | Path,
    settings: IndexSettings | None = None,
    progress: Progress | None = None,
) -> IndexReport:
    """Makes the files under `paths` the whole collection of an index, and its snapshot current.

    Args:
        paths: folders or files; documents indexed earlier and not among them are removed.
        index: folder of the index, made if it is missing.
        settings: encoder and passage sizes.
        progress: told how far it is.

    Raises:
        InputError: a path is missing, or none of the files could be read.
        EncoderError: the encoder cannot be used.
    """
    started = time.perf_counter()
    index = Path(index)
    tell = progress or _silent
    files, failed = find_files([Path(path) for path in paths], leave_out=index)
    documents: list[Document] = []
    for done, file in enumerate(files):
        tell("reading", done, len(files))
        try:
            documents.append(read_document(file))
        except ReadError as error:
            failed.append(FailedFile(file.document, str(error)))
    tell("reading", len(files), len(files))
    if not documents:
        reasons = "; ".join(f"{file.path}: {file.reason}" for file in failed[:3]) or "there are no files"
        raise InputError(f"Nothing to index in {', '.join(map(str, paths))} ({reasons}): the index is as it was.")
    report = index_documents(documents, index, settings, tell, failed)
    return msgspec.structs.replace(report, seconds=round(time.perf_counter() - started, 3))


def index_documents(
    documents: Sequence[Document],
    index: Path,
    settings: IndexSettings | None = None,
    progress: Progress | None = None,
    failed: Sequence[FailedFile] = (),
) -> IndexReport:
    """Makes `documents` the whole collection of an index; see `build`."""
    with writing(index):
        return _index_documents(documents, index, settings or IndexSettings(), progress or _silent, failed)


def _index_documents(
    documents: Sequence[Document], index: Path, settings: IndexSettings, tell: Progress, failed: Sequence[FailedFile]
) -> IndexReport:
    started = time.perf_counter()
    documents = sorted(documents, key=lambda document: document.path)
    encoder = SentenceEncoder.find(settings.encoder)
    if settings.passage_tokens > encoder.room:
        raise SettingsError(
            f"passage_tokens is {settings.passage_tokens}, but {encoder.name} reads {encoder.room} tokens of a text: "
            "set it to that or less."
        )
    chunker = Chunker(encoder.tokenizer, encoder.room, settings)
    cut: list[list[Passage]] = []
    for done, document in enumerate(documents):
        tell("cutting", done, len(documents))
        cut.append(chunker.cut(document))
    tell("cutting", len(documents), len(documents))
    all_passages = [passage for passages in cut for passage in passages]
    vectors, encoded = _encode(encoder, all_passages, index, tell)
    _ensure_query_encoder(encoder, index, [passage.text for passage in all_passages])

    counts = Counts(
        documents=len(documents),
        passages=len(all_passages),
        tokens=sum(passage.tokens for passage in all_passages),
    )
    manifest = Manifest(
        id=_content_digest(documents, cut, encoder, settings),
        build=token_hex(4),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        working_directory=shown_path(Path.cwd()),
        settings=settings,
        encoder=EncoderRecord(encoder.name, encoder.digest, vectors.passages.shape[1], encoder.window),
        counts=counts,
        segments=(Segment("0001", counts.passages),),
        failed=tuple(failed),
    )
    before = _current(index)
    if before is None or not _same(*before, manifest, documents):
        tell("writing", 0, 1)
        _write(index, manifest, documents, cut, vectors)
        tell("writing", 1, 1)
    paths = changed_paths(before[1] if before else [], documents, failed)
    return IndexReport(
        snapshot=manifest.id,
        files=FileCounts(**{name: len(listed) for name, listed in paths.items()}),
        failed=sorted(failed, key=lambda file: file.path),
        documents=counts.documents,
        passages=PassageCounts(counts.passages, encoded, counts.passages - encoded),
        tokens=counts.tokens,
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
        known = {text: vector for text in wanted if (vector := cache.get(text)) is not None}
        # Long texts first: texts of like length share a batch, and the progress bar errs on the safe side.
        missing = sorted((text for text in wanted if text not in known), key=lambda text: (-len(text), text))
        for first in range(0, len(missing), COMMITTED_TOGETHER):
            tell("encoding", first, len(missing))
            together = missing[first : first + COMMITTED_TOGETHER]
            vectors = encoder.encode_passages(together)
            cache.put(together, vectors)
            known |= dict(zip(together, vectors, strict=True))
        tell("encoding", len(missing), len(missing))
    new = set(missing)
    encoded = sum(not new.isdisjoint([passage.in_context, *passage.sentence_texts]) for passage in passages)
    return _Vectors(_stack(known, texts), _stack(known, sentences)), encoded


def _stack(vectors: dict[str, "NDArray[np.float32]"], texts: Sequence[str]) -> "NDArray[np.float32]":
    return np.stack([vectors[text] for text in texts])


def _ensure_query_encoder(encoder: SentenceEncoder, index: Path, texts: Sequence[str]) -> None:
    folder = index / "encoder" / encoder.digest
    if not OnnxQueryEncoder.is_whole(folder):
        export_query_encoder(encoder, folder, texts)


def _content_digest(
    documents: Sequence[Document],
    cut: Sequence[Sequence[Passage]],
    encoder: SentenceEncoder,
    settings: IndexSettings,
) -> str:
    """The snapshot's id: equal for equal documents, passages, encoder and settings, wherever the files lie."""
    sizes = {name: value for name, value in msgspec.structs.asdict(settings).items() if name != "encoder"}
    digest = hashlib.sha256(msgspec.msgpack.encode((FORMAT, encoder.digest, sizes)))
    for document, passages in zip(documents, cut, strict=True):
        digest.update(msgspec.msgpack.encode((msgspec.structs.replace(document, source=""), passages)))
    return digest.hexdigest()[:16]


def _current(index: Path) -> tuple[Manifest, list[DocumentInfo]] | None:
    """The snapshot in use and its documents, or None where there is none that could be used again."""
    try:
        snapshot = Snapshot.open_current(index)
        if not snapshot.is_whole():
            return None
        with closing(DocumentStore(snapshot.documents)) as store:
            return snapshot.manifest, [info for info, _ in store.documents()]
    except SnapshotError:
        return None


def _same(before: Manifest, infos: Sequence[DocumentInfo], now: Manifest, documents: Sequence[Document]) -> bool:
    """Whether the snapshot in use says all that the new one would, down to where the files lie."""
    told = [(m.id, m.settings, m.encoder, m.failed, m.working_directory) for m in (before, now)]
    return told[0] == told[1] and [info.source for info in infos] == [document.source for document in documents]


def _write(
    index: Path,
    manifest: Manifest,
    documents: Sequence[Document],
    cut: Sequence[Sequence[Passage]],
    vectors: _Vectors,
) -> None:
    """Writes the snapshot beside the live one, opens it to see that its parts agree, and makes it current."""
    passages = [passage for listed in cut for passage in listed]
    (segment,) = manifest.segments
    dimension = manifest.encoder.dimension
    with new_snapshot(index) as folder:
        write_store(folder / DOCUMENTS, zip(documents, cut, strict=True))
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
