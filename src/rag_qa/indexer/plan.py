"""The plan of a run: which files are taken over from the previous snapshot, and which are parsed and chunked."""

import hashlib
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from rag_qa.files import file_sha256, shown_path
from rag_qa.ingest.chunk_ahead import chunk_ahead, make_chunker
from rag_qa.ingest.chunker import CHUNKER_VERSION
from rag_qa.ingest.parsers.dispatch import parser_digest
from rag_qa.ingest.parsers.ocr import check_ocr
from rag_qa.ingest.parsers.pool import ParserPool
from rag_qa.ingest.sources import SourceFile, Sources
from rag_qa.models.sentence_transformer import SentenceEncoder
from rag_qa.settings import Settings
from rag_qa.text.acronyms.mentions import MENTIONS_VERSION
from rag_qa.types import ChunkedDocument, Document, FailedFile, IndexedFile, document_id

if TYPE_CHECKING:
    from rag_qa.index import Progress
    from rag_qa.index.protocol import SearchIndex

__all__ = ["Plan", "Reused", "plan_documents", "plan_files", "renamed"]

SPLITTERS = ("semantic-text-splitter", "sentencex", "tokenizers", "tiktoken")


class Reused(Struct, frozen=True):
    """A file whose documents are those of a file of the previous snapshot."""

    before: IndexedFile
    now: IndexedFile

    @property
    def moved(self) -> bool:
        """Returns whether it has another name now."""
        return (self.before.path, self.before.source) != (self.now.path, self.now.source)


class Plan(Struct, frozen=True, kw_only=True):
    """The treatment of every file by a run."""

    known: list[IndexedFile]
    """Files of which all is known beforehand; those that cannot be read are among them."""
    reused: list[Reused]
    ingest: Callable[[Callable[[IndexedFile], None]], Generator[ChunkedDocument]]
    """Parses and chunks the other files, once, and hands what became of each to its argument."""
    paths: tuple[str, ...] = ()
    """The paths of the collection, as they were named."""

    def is_done(self, files: list[IndexedFile], previous: "SearchIndex | None") -> bool:
        """Returns whether the previous snapshot holds just these files, in the places and with the names they have now.

        Args:
            files: what became of all files, by path.
            previous: the snapshot in use, if there is one.
        """
        if previous is None:
            return False
        named = previous.info.working_directory, previous.info.paths
        return previous.files() == files and named == (shown_path(Path.cwd()), self.paths)


def plan_files(
    sources: Sources, previous: "SearchIndex | None", settings: Settings, encoder: SentenceEncoder, progress: "Progress"
) -> Plan:
    """Compares files with the previous snapshot: those of the same bytes, made with the same inputs, are taken over.

    Raises:
        SettingsError: OCR is on without Tesseract, or the passages would be longer than the encoder's window.
    """
    if settings.ocr:
        check_ocr(settings.ocr_language)
    chunker = make_chunker(encoder, settings)
    inputs = _Inputs(encoder, settings)
    before = _PreviousFiles(previous)
    known = [IndexedFile(path=failed.path, source=failed.path, reason=failed.reason) for failed in sources.failed]
    reused: list[Reused] = []
    to_parse: dict[str, IndexedFile] = {}
    for done, file in enumerate(sources.files):
        progress("comparing", done, len(sources.files))
        now = _look_at(file)
        same = before.find(now)
        if now.reason is not None:
            known.append(now)
        elif same is not None and same.inputs_digest == inputs.digest(same.reason):
            reused.append(Reused(same, _as_now(same, now)))
        else:
            to_parse[now.path] = now
    progress("comparing", len(sources.files), len(sources.files))

    def parse(on_file: Callable[[IndexedFile], None]) -> Generator[Document]:
        wanted = [file for file in sources.files if file.path in to_parse]
        with ParserPool(settings) as pool:
            for done, (file, parsed) in enumerate(pool.read(wanted)):
                progress("reading", done, len(to_parse))
                now = to_parse[file.path]
                if parsed.sha256:  # of the bytes that were parsed, should the file have changed meanwhile
                    now = msgspec.structs.replace(now, sha256=parsed.sha256, sidecar_sha256=parsed.sidecar_sha256)
                digest = inputs.digest(parsed.reason) if parsed.lasting else ""
                on_file(msgspec.structs.replace(now, inputs_digest=digest, reason=parsed.reason, broken=parsed.broken))
                yield from parsed.documents
        progress("reading", len(to_parse), len(to_parse))

    return Plan(
        known=known,
        reused=reused,
        ingest=lambda on_file: chunk_ahead(parse(on_file), chunker),
        paths=sources.paths,
    )


def plan_documents(
    documents: Iterable[Document],
    previous: "SearchIndex | None",
    settings: Settings,
    encoder: SentenceEncoder,
    progress: "Progress",
) -> Plan:
    """Compares documents that are at hand with the previous snapshot.

    They are iterated twice, so that they need not be held: they must be the same each time.
    """
    chunker = make_chunker(encoder, settings)
    digest = _Inputs(encoder, settings).digest(None)
    before = _PreviousFiles(previous)
    known: list[IndexedFile] = []
    reused: list[Reused] = []
    to_chunk: set[str] = set()
    for each in documents:
        now = IndexedFile(path=each.path, source=each.source, sha256=each.sha256, inputs_digest=digest)
        same = before.find(now)
        if same is not None and same.path == now.path and same.inputs_digest == digest:
            reused.append(Reused(same, now))
        else:
            known.append(now)
            to_chunk.add(each.path)

    def read() -> Generator[Document]:
        new = (document for document in documents if document.path in to_chunk)
        for done, document in enumerate(new):
            progress("cutting", done, len(to_chunk))
            yield document
        progress("cutting", len(to_chunk), len(to_chunk))

    return Plan(known=known, reused=reused, ingest=lambda _: chunk_ahead(read(), chunker))


class _PreviousFiles:
    """The files of the previous snapshot, by path and by content."""

    def __init__(self, index: "SearchIndex | None") -> None:
        files = index.files() if index else []
        self._by_path = {file.path: file for file in files}
        self._by_content = {_content(file): file for file in files if file.sha256}

    def find(self, now: IndexedFile) -> IndexedFile | None:
        """The file with this content, the one of the same path if possible."""
        same = self._by_path.get(now.path)
        return same if same is not None and _content(same) == _content(now) else self._by_content.get(_content(now))


class _Inputs:
    """All that documents and passages depend on besides the bytes of the file."""

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
        self._parsed = _digest(made_with)
        self._failed = _digest((made_with, settings.read_seconds, settings.read_memory_mb))

    def digest(self, reason: str | None) -> str:
        """The digest for a file that was parsed, or that failed for a reason: then the limits count as well."""
        return self._parsed if reason is None else self._failed


def _look_at(file: SourceFile) -> IndexedFile:
    """A file as it is now, with the digests of its bytes and of its sidecar's."""
    try:
        digest = file_sha256(file.location)
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
        return IndexedFile(path=file.path, source=file.source, reason=reason)
    sidecar = None
    if file.sidecar is not None:
        with suppress(OSError):  # parsing the file tells of it
            sidecar = file_sha256(file.sidecar)
    return IndexedFile(path=file.path, source=file.source, sha256=digest, sidecar_sha256=sidecar)


def _as_now(before: IndexedFile, now: IndexedFile) -> IndexedFile:
    """A file that was read before, under its name of now."""
    broken = tuple(
        FailedFile(now.path + failed.path.removeprefix(before.path), failed.reason) for failed in before.broken
    )
    return msgspec.structs.replace(before, path=now.path, source=now.source, broken=broken)


def renamed(document: Document, file: IndexedFile) -> Document:
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
    """A key that is equal for files that differ only in name; the suffix decides how the bytes are parsed."""
    return file.sha256, PurePosixPath(file.path).suffix.lower(), file.sidecar_sha256


def _digest(value: object) -> str:
    return hashlib.sha256(msgspec.msgpack.encode(value)).hexdigest()[:16]
