"""What to read: the files under the paths, compared with the snapshot in use, read only where they differ from it."""

import hashlib
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Self

import msgspec
from msgspec import Struct

from rag_qa.errors import IndexDamagedError, SnapshotError
from rag_qa.files import damaged, file_sha256, shown_path
from rag_qa.index.local.manifest import Manifest
from rag_qa.index.local.segment.segment import Vectors
from rag_qa.index.local.snapshot.document_table import Placed
from rag_qa.index.local.snapshot.searcher import Corpus
from rag_qa.ingest.chunk_ahead import chunk_ahead, make_chunker
from rag_qa.ingest.chunker import CHUNKER_VERSION
from rag_qa.ingest.parsers.dispatch import ParsedFile, parser_digest
from rag_qa.ingest.parsers.ocr import check_ocr
from rag_qa.ingest.parsers.pool import ParserPool
from rag_qa.ingest.sources import SourceFile, Sources
from rag_qa.models.sentence_transformer import SentenceEncoder
from rag_qa.settings import Settings
from rag_qa.text.acronyms.mentions import MENTIONS_VERSION
from rag_qa.types import ChunkedDocument, Document, FailedFile, IndexedFile, document_id

__all__ = ["Collection", "Previous", "Progress", "collect", "collection_of"]

Progress = Callable[[str, int, int], None]
"""Called with the stage ("comparing", "reading", "encoding", "merging", …), what is done and what there is."""

SOME = 32
"""Passages that a new export of the encoder is compared on."""
SPLITTERS = ("semantic-text-splitter", "sentencex", "tokenizers", "tiktoken")


class Reused(Struct, frozen=True):
    """A file whose documents are those of a file of the previous snapshot."""

    before: IndexedFile
    now: IndexedFile

    @property
    def moved(self) -> bool:
        """Whether it has another name now."""
        return (self.before.path, self.before.source) != (self.now.path, self.now.source)


class Previous:
    """The snapshot in use, as what need not be read again."""

    def __init__(self, corpus: Corpus) -> None:
        self.corpus = corpus
        self.files = corpus.files()
        self._by_path = {file.path: file for file in self.files}
        self._by_content = {_content(file): file for file in self.files if file.sha256}

    @classmethod
    def open(cls, index: Path) -> Self:
        """The current snapshot, of which every file is read.

        Raises:
            IndexMissingError: there is none.
            IndexDamagedError, IndexMismatchError: nothing can be built on it.
        """
        corpus = Corpus.open_current(index)
        try:
            if wrong := damaged(corpus.snapshot.folder, corpus.manifest.files):
                raise IndexDamagedError(f"{corpus.snapshot.folder / wrong[0]} is not what was written")
            return cls(corpus)
        except SnapshotError:
            corpus.close()
            raise

    @property
    def manifest(self) -> Manifest:
        """What the snapshot is made of."""
        return self.corpus.manifest

    def find(self, now: IndexedFile) -> IndexedFile | None:
        """The file with this content, the one of the same path if possible."""
        same = self._by_path.get(now.path)
        return same if same is not None and _content(same) == _content(now) else self._by_content.get(_content(now))

    def is_same(self, collection: "Collection") -> bool:
        """Whether its files are all there were, lie where they lay, and are named as they were."""
        place = self.manifest.working_directory, self.manifest.paths
        return self.files == collection.files and place == (shown_path(Path.cwd()), collection.paths)

    def unmoved(self, reused: Iterable[Reused]) -> Iterator[Placed]:
        """The documents of those files that have the names they had."""
        paths = {file.now.path for file in reused if not file.moved}
        return (placed for placed in self.corpus.each_placed() if placed.file in paths)

    def moved(self, reused: Iterable[Reused]) -> Iterator[tuple[ChunkedDocument, Vectors]]:
        """The documents of those files that have other names now, under these, with their vectors."""
        for file in reused:
            if file.moved:
                for placed in self.corpus.of_file(file.before.path):
                    stored, vectors = self.corpus.stored(placed)
                    yield msgspec.structs.replace(stored, document=_moved(stored.document, file.now)), vectors

    def some_texts(self) -> list[str]:
        """The texts of the first passages."""
        rows = range(min(SOME, self.manifest.counts.passages))
        return [passage.text for _, passage in self.corpus.passages(rows)]

    def close(self) -> None:
        """Closes the snapshot."""
        self.corpus.close()


class Collection:
    """What the new snapshot is to hold: documents to take over, and documents to read, which can be read once."""

    def __init__(
        self,
        files: list[IndexedFile],
        reused: list[Reused],
        new: Generator[ChunkedDocument],
        paths: tuple[str, ...] = (),
    ) -> None:
        self._files = files
        self.paths = paths
        """What the collection is made of, as it was named."""
        self.reused = reused
        self.new = new
        """The documents that are no longer or not yet what a snapshot has, cut, as they come."""

    @property
    def files(self) -> list[IndexedFile]:
        """Every file, by path; complete when all new documents have come."""
        return sorted([*self._files, *(file.now for file in self.reused)], key=lambda file: file.path)


def collect(
    sources: Sources, previous: Previous | None, settings: Settings, encoder: SentenceEncoder, tell: Progress
) -> Collection:
    """Compares the files with the previous snapshot; what differs is read and cut when it is asked for.

    Raises:
        SettingsError: OCR is on without Tesseract, or the passages would be longer than what the encoder reads.
    """
    if settings.ocr:
        check_ocr(settings.ocr_language)
    chunker = make_chunker(encoder, settings)
    readings = _Readings(encoder, settings)
    files = [IndexedFile(path=failed.path, source=failed.path, reason=failed.reason) for failed in sources.failed]
    reused: list[Reused] = []
    to_read: dict[str, IndexedFile] = {}
    for done, file in enumerate(sources.files):
        tell("comparing", done, len(sources.files))
        now = _look_at(file)
        before = previous.find(now) if previous else None
        if now.reason is not None:
            files.append(now)
        elif before is not None and before.inputs_digest == readings.of(before.reason):
            reused.append(Reused(before, _as_now(before, now)))
        else:
            to_read[now.path] = now
    tell("comparing", len(sources.files), len(sources.files))

    def read() -> Generator[Document]:
        with ParserPool(settings) as pool:
            wanted = [file for file in sources.files if file.document in to_read]
            for done, (file, read) in enumerate(pool.read(wanted)):
                tell("reading", done, len(to_read))
                reading = readings.of(read.reason) if read.lasting else ""
                files.append(_as_read(to_read[file.document], read, reading))
                yield from read.documents
        tell("reading", len(to_read), len(to_read))

    return Collection(files, reused, chunk_ahead(read(), chunker), sources.paths)


def collection_of(
    documents: Iterable[Document],
    previous: Previous | None,
    settings: Settings,
    encoder: SentenceEncoder,
    tell: Progress,
) -> Collection:
    """The collection of documents that are at hand; those of the previous snapshot are taken over.

    They are gone through twice, so that they need not be held: they must be the same each time.
    """
    chunker = make_chunker(encoder, settings)
    reading = _Readings(encoder, settings).of(None)
    files: list[IndexedFile] = []
    reused: list[Reused] = []
    to_cut: set[str] = set()
    for each in documents:
        now = IndexedFile(path=each.path, source=each.source, sha256=each.sha256, inputs_digest=reading)
        before = previous.find(now) if previous else None
        if before is not None and before.path == now.path and before.inputs_digest == reading:
            reused.append(Reused(before, now))
        else:
            files.append(now)
            to_cut.add(each.path)

    def read() -> Generator[Document]:
        new = (document for document in documents if document.path in to_cut)
        for done, document in enumerate(new):
            tell("cutting", done, len(to_cut))
            yield document
        tell("cutting", len(to_cut), len(to_cut))

    return Collection(files, reused, chunk_ahead(read(), chunker))


class _Readings:
    """What documents and passages depend on besides the bytes of the file."""

    def __init__(self, encoder: SentenceEncoder, settings: Settings) -> None:
        libraries = [version(name) for name in SPLITTERS]
        made_with = (
            parser_digest(),
            CHUNKER_VERSION,
            MENTIONS_VERSION,
            libraries,
            encoder.digest,
            settings.for_index(),
        )
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


def _as_read(now: IndexedFile, read: ParsedFile, reading: str) -> IndexedFile:
    """A file with what became of it; the digests are those of the bytes that were read, if any were."""
    if read.sha256:
        now = msgspec.structs.replace(now, sha256=read.sha256, sidecar_sha256=read.sidecar_sha256)
    return msgspec.structs.replace(now, inputs_digest=reading, reason=read.reason, broken=read.broken)


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
