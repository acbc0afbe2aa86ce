"""Files to documents.

plain.py, tables.py, feeds.py, html.py, pdf.py and kreuzberg.py each turn the bytes of some formats into records;
`parse_file` chooses among them and makes the documents. pool.py runs it in worker processes (worker.py), so that no
file can take the run down with it.
"""

import hashlib
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import Struct

from rag_qa.errors import ReadError
from rag_qa.ingest.parsers import feeds, metadata, pdf, tables
from rag_qa.ingest.parsers.html import WEB, read_html
from rag_qa.ingest.parsers.kreuzberg import FORMATS, IMAGES, detect_language, read_image, read_with_kreuzberg
from rag_qa.ingest.parsers.plain import MARKDOWN, read_markdown, read_text
from rag_qa.ingest.parsers.record import Record
from rag_qa.ingest.sources import SourceFile
from rag_qa.settings import IndexSettings
from rag_qa.types import Document, FailedFile, document_id

__all__ = ["ParsedFile", "parse_file", "parser_digest"]

PARSERS_VERSION = 1  # raise it when a change here makes another document of the same file
TRIES = 3  # to read a file that changes at the same time
LIBRARIES = ("charset-normalizer", "kreuzberg", "langcodes", "lxml", "markdown-it-py", "pyyaml", "trafilatura")
ARCHIVES = frozenset(
    {".7z", ".ar", ".arc", ".bz2", ".cab", ".gz", ".jar", ".lz", ".lzma", ".pst", ".rar", ".tar"}
    | {".tbz", ".tgz", ".txz", ".xz", ".zip", ".zst"}
)
MAGIC = {b"%PDF-": ".pdf", b"PK\x03\x04": ".zip", b"\x1f\x8b": ".gz", b"7z\xbc\xaf\x27\x1c": ".7z", b"Rar!": ".rar"}
"""First bytes of files by format, for those whose suffix says nothing."""
PARSERS: dict[str, Callable[[bytes, str, str | None], Record]] = {
    ".txt": lambda data, _suffix, _ocr: read_text(data),
    **dict.fromkeys(MARKDOWN, lambda data, _suffix, _ocr: read_markdown(data)),
    **dict.fromkeys(FORMATS, read_with_kreuzberg),
    **dict.fromkeys(IMAGES, read_image),
    **dict.fromkeys(tables.CSV, lambda data, suffix, _ocr: tables.read_csv(data, suffix)),
    **dict.fromkeys(tables.WORKBOOKS, lambda data, suffix, _ocr: tables.read_workbook(data, suffix)),
    **dict.fromkeys(WEB, lambda data, suffix, _ocr: read_html(data, suffix)),
    **dict.fromkeys(pdf.PDF, pdf.read_pdf),
}
"""Parsers by suffix: from bytes, suffix and Tesseract's name of a language, or None, to a record."""


class ParsedFile(Struct, frozen=True, kw_only=True):
    """Result of parsing one file: its documents, or the reason why there is none."""

    sha256: str = ""
    """Digest of the bytes that were read; empty where they could not be."""
    sidecar_sha256: str | None = None
    documents: tuple[Document, ...] = ()
    reason: str | None = None
    lasting: bool = True
    """True if the same bytes would fail again."""
    broken: tuple[FailedFile, ...] = ()
    """Records of a feed, and a sidecar, that could not be used."""


def parser_digest() -> str:
    """Digest that changes when another version of a parser may make another document of the same bytes."""
    from importlib.metadata import version

    return hashlib.sha256(repr((PARSERS_VERSION, [version(name) for name in LIBRARIES])).encode()).hexdigest()[:16]


def parse_file(file: SourceFile, settings: IndexSettings) -> ParsedFile:
    """Parses one file in this process; an error becomes a reason in the result."""
    try:
        data = _read_bytes(file.location)
    except ReadError as error:
        return ParsedFile(reason=str(error), lasting=False)
    sidecar_fields, sidecar_sha256, failed = _read_sidecar(file)
    sha256 = hashlib.sha256(data).hexdigest()
    read = partial(ParsedFile, sha256=sha256, sidecar_sha256=sidecar_sha256)
    try:
        records, broken = _records(data, _suffix(file.location, data), settings)
    except ReadError as error:
        return read(reason=str(error), broken=tuple(failed))
    failed = [*failed, *(FailedFile(f"{file.path}#{each.number}", each.reason) for each in broken)]
    documents = tuple(_document(file, record, sidecar_fields, sha256, len(data)) for record in records)
    return read(documents=documents, broken=tuple(failed))


def _read_sidecar(file: SourceFile) -> tuple[dict[str, Any], str | None, list[FailedFile]]:
    """The metadata that a sidecar may set, its digest, and a complaint where it cannot be used."""
    if file.sidecar is None:
        return {}, None, []
    sha256 = None
    try:
        data = _read_bytes(file.sidecar)
        sha256 = hashlib.sha256(data).hexdigest()
        fields = metadata.normalised(metadata.sidecar_fields(data))
        return {name: value for name, value in fields.items() if name not in metadata.RESERVED}, sha256, []
    except ReadError as error:
        path = file.path + file.sidecar.name.removeprefix(file.location.name)
        return {}, sha256, [FailedFile(path, f"{error}: its document was read without it")]


def _records(data: bytes, suffix: str, settings: IndexSettings) -> tuple[list[Record], list[feeds.BrokenRecord]]:
    """The records of a file, and its broken records.

    Raises:
        ReadError: no text could be had from it.
    """
    if not data.strip():
        raise ReadError("no text: the file is empty")
    if suffix in ARCHIVES:
        raise ReadError("an archive: unpack it, and index the folder")
    if suffix in feeds.FEEDS:
        records, broken = feeds.read_feed(data, suffix, settings)
    else:
        read = PARSERS.get(suffix, PARSERS[".txt"])
        records, broken = [read(data, suffix, settings.ocr_language if settings.ocr else None)], []
    if not any(any(map(str.isalnum, record.text)) for record in records):
        raise ReadError("no text found in it")
    return records, broken


def _document(file: SourceFile, record: Record, sidecar_fields: dict[str, Any], sha256: str, size: int) -> Document:
    path = file.path if record.number is None else f"{file.path}#{record.number}"
    fields = {**metadata.normalised(record.metadata), **sidecar_fields, "size": size}
    # A sidecar speaks of its whole file: the title of a feed is not that of each record.
    named_title = fields.get("title") if record.number is None else None
    title = " ".join(str(named_title if isinstance(named_title, str | int) else record.title or "").split())
    if "language" not in fields and (guess := detect_language(record.text)):
        fields["language"] = metadata.language_code(guess)
        fields["language_guessed"] = True
    return Document(
        id=document_id(path),
        path=path,
        title=title or path,
        source=file.source,
        sha256=sha256,
        parser=record.parser,
        record=record.number,
        characters=len(record.text),
        pages=record.pages,
        page_unit=record.page_unit,
        breaks=record.breaks,
        headings=record.headings,
        metadata={name: value for name, value in fields.items() if name != "title"},
        text=record.text,
    )


def _read_bytes(location: Path) -> bytes:
    """The bytes of a file at one moment.

    Raises:
        ReadError: it cannot be read, or changes again and again.
    """
    try:
        for _ in range(TRIES):
            with location.open("rb") as opened:
                before = os.fstat(opened.fileno())
                data = opened.read()
            after = location.stat()
            if _moment(before) == _moment(after) and len(data) == after.st_size:
                return data
    except OSError as error:
        raise ReadError(f"cannot be read: {error.strerror}") from None
    raise ReadError("it changed while it was read: index again when it rests")


def _moment(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_mtime_ns, status.st_size


def _suffix(location: Path, data: bytes) -> str:
    """The suffix in lower case, or that of the format the file begins like where its own says nothing."""
    suffix = location.suffix.lower()
    if suffix in PARSERS or suffix in feeds.FEEDS or suffix in ARCHIVES:
        return suffix
    return next((known for magic, known in MAGIC.items() if data.startswith(magic)), suffix)
