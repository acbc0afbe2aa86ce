"""What to read: the files under the paths, compared with the snapshot in use, read only where they differ from it."""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cached_property
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Self

import msgspec
from msgspec import Struct

from rag_qa.chunking import CHUNKINGS, Chunker
from rag_qa.encoder import SentenceEncoder
from rag_qa.errors import InputError, SettingsError, SnapshotError
from rag_qa.files import file_sha256, shown_path
from rag_qa.readers import ReadFile, reading_digest
from rag_qa.readers.ocr import check_ocr
from rag_qa.readers.pool import ReaderPool
from rag_qa.settings import IndexSettings, Settings
from rag_qa.snapshot import Manifest, Snapshot
from rag_qa.sources import SourceFile, Sources
from rag_qa.store import DocumentStore, StoredDocument
from rag_qa.types import Document, FailedFile, IndexedFile, document_id

__all__ = ["Collection", "Previous", "Progress", "collect", "collection_of", "make_chunker"]

Progress = Callable[[str, int, int], None]
"""Called with the stage ("comparing", "reading", "cutting", "encoding", "writing"), what is done and what there is."""

SPLITTERS = ("semantic-text-splitter", "sentencex", "tokenizers", "tiktoken")


class Collection(Struct, frozen=True):
    """Every file, and the documents of those that gave some, both sorted by path."""

    files: list[IndexedFile]
    documents: list[StoredDocument]
    """Empty where the collection is unchanged."""
    unchanged: bool = False
    """Whether it is that of the snapshot in use."""


class Previous:
    """The snapshot in use, as what need not be read again."""

    def __init__(self, manifest: Manifest, store: DocumentStore) -> None:
        self.manifest = manifest
        self.files = store.files()
        self._store = store
        self._by_path = {file.path: file for file in self.files}
        self._by_content = {_content(file): file for file in self.files if file.sha256}

    @classmethod
    def open(cls, index: Path) -> Self | None:
        """The current snapshot, or None where there is none that could be used again."""
        try:
            snapshot = Snapshot.open_current(index)
            if not snapshot.is_whole():
                return None
            store = DocumentStore(snapshot.documents)
        except SnapshotError:
            return None
        try:
            return cls(snapshot.manifest, store)
        except SnapshotError:
            store.close()
            return None

    @cached_property
    def _ids(self) -> dict[str, list[str]]:
        """The ids of each file's documents; not needed where nothing has changed."""
        ids: dict[str, list[str]] = {}
        for info, _ in self._store.documents():
            ids.setdefault(info.file, []).append(info.id)
        return ids

    def find(self, now: IndexedFile) -> IndexedFile | None:
        """The file with this content, the one of the same path if possible."""
        same = self._by_path.get(now.path)
        return same if same is not None and _content(same) == _content(now) else self._by_content.get(_content(now))

    def is_same(self, files: Sequence[IndexedFile]) -> bool:
        """Whether these are all files there were, and lie where they lay."""
        return self.files == files and self.manifest.working_directory == shown_path(Path.cwd())

    def documents(self, before: IndexedFile, now: IndexedFile) -> list[StoredDocument]:
        """The documents of a file, as those of the file it is now.

        Raises:
            IndexDamagedError: they are not what was written.
        """
        stored = [self._store.stored(known) for known in self._ids.get(before.path, [])]
        return [StoredDocument(_moved(each.document, now), each.passages) for each in stored]

    def texts(self) -> list[str]:
        """The texts of all passages."""
        return [
            passage.text for ids in self._ids.values() for each in ids for passage in self._store.stored(each).passages
        ]

    def close(self) -> None:
        """Closes the snapshot."""
        self._store.close()


def collect(
    sources: Sources, previous: Previous | None, settings: Settings, encoder: SentenceEncoder, tell: Progress
) -> Collection:
    """Reads and cuts what differs from the previous snapshot, and takes the rest from there.

    Raises:
        SettingsError: OCR is on without Tesseract, or the passages would be longer than what the encoder reads.
        InputError: two documents would have the same name.
    """
    if settings.ocr:
        check_ocr(settings.ocr_language)
    chunker = make_chunker(encoder, settings)
    readings = _Readings(encoder, settings)
    files = [IndexedFile(path=failed.path, source=failed.path, reason=failed.reason) for failed in sources.failed]
    reused: list[tuple[IndexedFile, IndexedFile]] = []
    to_read: dict[str, IndexedFile] = {}
    for done, file in enumerate(sources.files):
        tell("comparing", done, len(sources.files))
        now = _look_at(file)
        before = previous.find(now) if previous else None
        if now.reason is not None:
            files.append(now)
        elif before is not None and before.reading == readings.of(before.reason):
            reused.append((before, _as_now(before, now)))
        else:
            to_read[now.path] = now
    tell("comparing", len(sources.files), len(sources.files))

    documents: list[StoredDocument] = []
    with ReaderPool(settings) as pool:
        for done, (file, read) in enumerate(pool.read([file for file in sources.files if file.document in to_read])):
            tell("reading", done, len(to_read))
            reading = readings.of(read.reason) if read.lasting else ""
            files.append(_as_read(to_read[file.document], read, reading))
            documents += [StoredDocument(document, tuple(chunker.cut(document))) for document in read.documents]
    tell("reading", len(to_read), len(to_read))
    files = sorted([*files, *(now for _, now in reused)], key=lambda file: file.path)
    if previous is not None and previous.is_same(files):
        return Collection(files, [], unchanged=True)
    for before, now in reused:
        if previous is not None:
            documents += previous.documents(before, now)
    return Collection(files, _in_order(documents))


def collection_of(
    documents: Sequence[Document],
    previous: Previous | None,
    settings: Settings,
    encoder: SentenceEncoder,
    tell: Progress,
) -> Collection:
    """The collection of documents that are at hand, cut unless they are those of the previous snapshot."""
    chunker = make_chunker(encoder, settings)
    reading = _Readings(encoder, settings).of(None)
    files = sorted(
        (IndexedFile(path=each.path, source=each.source, sha256=each.sha256, reading=reading) for each in documents),
        key=lambda file: file.path,
    )
    if previous is not None and previous.is_same(files):
        return Collection(files, [], unchanged=True)
    cut: list[StoredDocument] = []
    for done, document in enumerate(documents):
        tell("cutting", done, len(documents))
        cut.append(StoredDocument(document, tuple(chunker.cut(document))))
    tell("cutting", len(documents), len(documents))
    return Collection(files, _in_order(cut))


def _in_order(documents: Sequence[StoredDocument]) -> list[StoredDocument]:
    names = Counter(stored.document.path for stored in documents)
    if doubled := [name for name, count in names.items() if count > 1]:
        raise InputError(
            f"Two documents would both be called “{doubled[0]}”, a file and a record of a feed: rename the file."
        )
    return sorted(documents, key=lambda stored: (stored.document.file, stored.document.record or 0))


def make_chunker(encoder: SentenceEncoder, settings: IndexSettings) -> Chunker:
    """What cuts documents for an encoder.

    Raises:
        SettingsError: the passages would be longer than what the encoder reads.
    """
    if settings.passage_tokens > encoder.room:
        raise SettingsError(
            f"passage_tokens is {settings.passage_tokens}, but {encoder.name} reads {encoder.room} tokens of a text: "
            "set it to that or less."
        )
    return Chunker(encoder.tokenizer, encoder.room, settings)


class _Readings:
    """What documents and passages depend on besides the bytes of the file."""

    def __init__(self, encoder: SentenceEncoder, settings: Settings) -> None:
        libraries = [version(name) for name in SPLITTERS]
        made_with = (reading_digest(), CHUNKINGS, libraries, encoder.digest, settings.for_index())
        self._read = _digest(made_with)
        self._failed = _digest((made_with, settings.read_seconds, settings.read_memory_mb))

    def of(self, reason: str | None) -> str:
        """The digest for a file that was read, or that failed: then the limits count as well."""
        return self._read if reason is None else self._failed


def _look_at(file: SourceFile) -> IndexedFile:
    """A file as it is now, with the digests of its bytes and of its sidecar's."""
    try:
        digest = file_sha256(file.location)
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
        return IndexedFile(path=file.document, source=file.source, reason=reason)
    sidecar = None
    if file.sidecar is not None:
        with suppress(OSError):  # reading the file tells of it
            sidecar = file_sha256(file.sidecar)
    return IndexedFile(path=file.document, source=file.source, sha256=digest, sidecar_sha256=sidecar)


def _as_read(now: IndexedFile, read: ReadFile, reading: str) -> IndexedFile:
    """A file with what became of it; the digests are those of the bytes that were read, if any were."""
    if read.sha256:
        now = msgspec.structs.replace(now, sha256=read.sha256, sidecar_sha256=read.sidecar_sha256)
    return msgspec.structs.replace(now, reading=reading, reason=read.reason, broken=read.broken)


def _as_now(before: IndexedFile, now: IndexedFile) -> IndexedFile:
    """A file that was read before, under its name of now."""
    broken = tuple(
        FailedFile(now.path + failed.path.removeprefix(before.path), failed.reason) for failed in before.broken
    )
    return msgspec.structs.replace(before, path=now.path, source=now.source, broken=broken)


def _moved(document: Document, file: IndexedFile) -> Document:
    """A document under the name that its file has now."""
    path = file.path if document.record is None else f"{file.path}#{document.record}"
    return msgspec.structs.replace(
        document,
        id=document_id(path),
        path=path,
        source=file.source,
        title=path if document.title == document.path else document.title,
    )


def _content(file: IndexedFile) -> tuple[str, str, str | None]:
    """What makes two files the same but for their names; the suffix decides how the bytes are read."""
    return file.sha256, PurePosixPath(file.path).suffix.lower(), file.sidecar_sha256


def _digest(value: object) -> str:
    return hashlib.sha256(msgspec.msgpack.encode(value)).hexdigest()[:16]
