"""Files to documents: plain text and Markdown natively, other formats through kreuzberg.

A text file is read unchanged: its decoded content without a byte order mark, line ends as they are, so
that offsets hold in the user's own file.
"""

import codecs
import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from charset_normalizer import from_bytes, is_binary
from msgspec import Struct

from rag_qa.errors import InputError, ReadError
from rag_qa.files import shown_path
from rag_qa.structure import markdown_headings, text_title
from rag_qa.types import Document, FailedFile, Heading

__all__ = ["SourceFile", "find_files", "read_document"]

NATIVE_READER = "text/1"
MARKDOWN = frozenset({".md", ".markdown", ".mdown"})
# What kreuzberg is given, and as what. The list is closed on purpose: for a file it takes for program
# code, kreuzberg would fetch a grammar from the network.
KREUZBERG_TYPES = {
    ".csv": "text/csv",
    ".doc": "application/msword",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".eml": "message/rfc822",
    ".epub": "application/epub+zip",
    ".htm": "text/html",
    ".html": "text/html",
    ".json": "application/json",
    ".msg": "application/vnd.ms-outlook",
    ".odt": "application/vnd.oasis.opendocument.text",
    ".pdf": "application/pdf",
    ".ppt": "application/vnd.ms-powerpoint",
    ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ".rtf": "application/rtf",
    ".xhtml": "text/html",
    ".xls": "application/vnd.ms-excel",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".xml": "application/xml",
}
BYTE_ORDER_MARKS = (  # UTF-32 first: its little-endian mark begins with that of UTF-16
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
PAGE_BREAK = "\n\n"


class SourceFile(Struct, frozen=True):
    """A file to be read: where it lies, what its document is called, how the user named it."""

    location: Path
    document: str
    source: str


class _Text(Struct, frozen=True):
    """What a reader makes of a file's bytes."""

    text: str
    reader: str
    title: str | None = None
    pages: tuple[int, ...] = ()
    headings: tuple[Heading, ...] = ()
    metadata: dict[str, Any] = {}


def find_files(paths: Sequence[Path], leave_out: Path | None = None) -> tuple[list[SourceFile], list[FailedFile]]:
    """All files under the paths, sorted by document path, and those that cannot be files to read.

    With one path, documents are named relative to it; with several, the name begins with the last part
    of each path.

    Args:
        paths: folders or files.
        leave_out: a folder whose content is not looked at (the index).

    Raises:
        InputError: a path does not exist, or two paths end in the same name.
    """
    names = [path.resolve().name for path in paths]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"Two of the paths end in “{name}”, so documents could not be told apart: rename one.")
    found: list[SourceFile] = []
    failed: list[FailedFile] = []
    for path, name in zip(paths, names, strict=True):
        if not path.exists():
            raise InputError(f"There is no file or folder “{shown_path(path)}”: check the path.")
        prefix = PurePosixPath(name) if len(paths) > 1 or path.is_file() else PurePosixPath()
        unlistable: list[OSError] = []
        for location in _walk(path, leave_out.resolve() if leave_out else None, unlistable):
            relative = prefix if location == path else prefix / location.relative_to(path).as_posix()
            document = shown_path(relative)
            if reason := _unreadable(location):
                failed.append(FailedFile(document, reason))
            else:
                found.append(SourceFile(location, document, shown_path(PurePosixPath(location.as_posix()))))
        for error in unlistable:
            folder = prefix / Path(error.filename).relative_to(path).as_posix()
            failed.append(FailedFile(shown_path(folder), f"the folder cannot be read: {error.strerror}"))
    return sorted(found, key=lambda file: file.document), sorted(failed, key=lambda file: file.path)


def read_document(file: SourceFile) -> Document:
    """Reads one file.

    Raises:
        ReadError: the file gave no text; the message is the reason.
    """
    try:
        data = file.location.read_bytes()
    except OSError as error:
        raise ReadError(f"cannot be read: {error.strerror}") from None
    suffix = file.location.suffix.lower()
    read = _read_kreuzberg(data, suffix) if suffix in KREUZBERG_TYPES else _read_text(data, suffix)
    if not read.text.strip():
        raise ReadError("no text: the file is empty" if not data.strip() else "no text found in it")
    return Document(
        id=hashlib.sha256(file.document.encode()).hexdigest()[:16],
        path=file.document,
        title=read.title or file.document,
        source=file.source,
        sha256=hashlib.sha256(data).hexdigest(),
        reader=read.reader,
        characters=len(read.text),
        pages=read.pages,
        headings=read.headings,
        metadata={"bytes": len(data), **read.metadata},
        text=read.text,
    )


def _walk(path: Path, leave_out: Path | None, unlistable: list[OSError]) -> Iterator[Path]:
    """The files under a path; folders that cannot be listed are added to `unlistable`."""
    if path.is_file():
        yield path
        return
    for folder, subfolders, files in os.walk(path, onerror=unlistable.append):
        here = Path(folder)
        links = [name for name in subfolders if (here / name).is_symlink()]
        subfolders[:] = sorted(
            name for name in subfolders if name not in links and (here / name).resolve() != leave_out
        )
        yield from (here / name for name in sorted(files + links))


def _unreadable(location: Path) -> str | None:
    """Why this is no file to open, or None; a pipe or device would block or never end."""
    try:
        mode = location.stat().st_mode
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if stat.S_ISDIR(mode):
        return "a symbolic link to a folder: index that folder itself"
    return None if stat.S_ISREG(mode) else "not a regular file"


def _read_text(data: bytes, suffix: str) -> _Text:
    text, metadata = _decode(data)
    if suffix in MARKDOWN:
        headings = markdown_headings(text)
        title = next((h.title for h in headings if h.level == 1), None) or text_title(text)
        return _Text(text, NATIVE_READER, title, headings=headings, metadata={"format": "markdown", **metadata})
    return _Text(text, NATIVE_READER, text_title(text), metadata={"format": "text", **metadata})


def _decode(data: bytes) -> tuple[str, dict[str, Any]]:
    for mark, encoding in BYTE_ORDER_MARKS:
        if data.startswith(mark):
            try:
                return data[len(mark) :].decode(encoding), {"encoding": encoding}
            except UnicodeDecodeError:
                raise ReadError(f"begins as {encoding} text but is not: damaged or binary") from None
    if b"\0" in data:
        raise ReadError("binary data, not text")
    try:
        return data.decode("utf-8"), {"encoding": "utf-8"}
    except UnicodeDecodeError:
        pass
    guess = None if is_binary(data) else from_bytes(data).best()
    if guess is None:
        raise ReadError("binary data, or text in an encoding that could not be told")
    return data.decode(guess.encoding), {"encoding": guess.encoding, "encoding_guessed": True}


def _read_kreuzberg(data: bytes, suffix: str) -> _Text:
    import kreuzberg

    config = kreuzberg.ExtractionConfig(
        pages=kreuzberg.PageConfig(extract_pages=True),
        use_cache=False,
        enable_quality_processing=False,
        tree_sitter=kreuzberg.TreeSitterConfig(enabled=False),
    )
    try:
        result = kreuzberg.extract_bytes_sync(data, KREUZBERG_TYPES[suffix], config)
    except kreuzberg.KreuzbergError as error:
        reason = str(error).removeprefix(f"{type(error).__name__}: ")
        raise ReadError(f"cannot be read as {suffix.removeprefix('.')}: {reason}") from None
    contents = [page["content"] for page in result.pages or []]
    text, pages = result.content, tuple[int, ...]()
    if _letters(PAGE_BREAK.join(contents)) == _letters(result.content):
        # Joined here, the page starts are exact by construction; where pages lose text, there are none.
        text, pages = _join_pages(contents)
    metadata: dict[str, Any] = {"format": suffix.removeprefix(".")}
    for name in ("authors", "created_at", "language"):
        if value := result.metadata.get(name):
            metadata[name] = value
    return _Text(text, f"kreuzberg/{kreuzberg.__version__}", result.metadata.get("title"), pages, metadata=metadata)


def _letters(text: str) -> str:
    """Letters and digits only: pages and whole text may differ in white space and soft hyphens."""
    return "".join(filter(str.isalnum, text))


def _join_pages(contents: list[str]) -> tuple[str, tuple[int, ...]]:
    starts: list[int] = []
    position = 0
    for content in contents:
        starts.append(position)
        position += len(content) + len(PAGE_BREAK)
    return PAGE_BREAK.join(contents), tuple(starts)
