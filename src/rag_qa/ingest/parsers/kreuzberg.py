"""Everything that is read through kreuzberg, and the only file that imports it."""

import re
import secrets
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from rag_qa.errors import ReadError
from rag_qa.ingest.parsers.record import Record, locate_headings
from rag_qa.types import Heading

if TYPE_CHECKING:
    from kreuzberg import ExtractionResult

__all__ = [
    "FORMATS",
    "IMAGES",
    "KREUZBERG",
    "detect_language",
    "explicit_metadata",
    "extract",
    "read_image",
    "read_with_kreuzberg",
]

KREUZBERG = f"kreuzberg/{version('kreuzberg')}"
OFFICE = "application/vnd.openxmlformats-officedocument"
# What kreuzberg is given, and as what. The list is closed on purpose: for a file it takes for program
# code, kreuzberg would fetch a grammar from the network.
FORMATS = {
    ".doc": "application/msword",
    ".docx": f"{OFFICE}.wordprocessingml.document",
    ".eml": "message/rfc822",
    ".epub": "application/epub+zip",
    ".htm": "text/html",
    ".html": "text/html",
    ".msg": "application/vnd.ms-outlook",
    ".odt": "application/vnd.oasis.opendocument.text",
    ".pdf": "application/pdf",
    ".ppt": "application/vnd.ms-powerpoint",
    ".pptx": f"{OFFICE}.presentationml.presentation",
    ".rtf": "application/rtf",
    ".xhtml": "text/html",
    ".xls": "application/vnd.ms-excel",
    ".xlsx": f"{OFFICE}.spreadsheetml.sheet",
    ".xml": "application/xml",
}
IMAGES = {
    ".bmp": "image/bmp",
    ".gif": "image/gif",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".webp": "image/webp",
}
PAGED = {".pdf": "page", ".pptx": "slide"}
"""Formats with pages of their own, and what these are called. A DOCX has none until something lays it out."""
MAIL = frozenset({".eml", ".msg"})
STRUCTURED = frozenset({".docx", ".epub", ".htm", ".html", ".odt", ".rtf", ".xhtml"})
"""Formats whose headings are looked for."""
PAGE_BREAK = "\n\n"
LANGUAGE_SAMPLE = 5000  # characters
CONFIDENCE = 0.5  # of a guessed language


def read_with_kreuzberg(data: bytes, suffix: str, ocr_language: str | None = None) -> Record:
    """Parses a file of one of the `FORMATS`.

    Args:
        data: its bytes.
        suffix: its suffix in lower case.
        ocr_language: Tesseract's name of the language that images are read in; None reads no images.

    Raises:
        ReadError: it is encrypted, damaged or not what its name says.
    """
    marker = f"\ue000{secrets.token_hex(8)}:" if suffix in PAGED else None
    result = extract(data, suffix, marker, ocr_language)
    text, pages = _split(result.content, marker) if marker else (result.content, ())
    metadata = explicit_metadata(result, suffix)
    if suffix in MAIL:
        metadata["attachments"] = result.metadata.get("attachments")  # named, not read
    headings = _headings(result, text)
    title = result.metadata.get("subject" if suffix in MAIL else "title")
    return Record(
        text=text,
        parser=KREUZBERG,
        title=str(title) if title else None,
        pages=pages,
        page_unit=PAGED.get(suffix, "page"),
        breaks=tuple(h.start for h in headings if h.level == 1) if suffix == ".epub" else (),
        headings=headings,
        metadata=metadata,
    )


def read_image(data: bytes, suffix: str, ocr_language: str | None) -> Record:
    """Reads the text in a picture. Errors as `read_with_kreuzberg`."""
    if ocr_language is None:
        raise ReadError("no text: an image; OCR is off")
    result = extract(data, suffix, None, ocr_language)
    return Record(text=result.content, parser=KREUZBERG, metadata={"format": suffix.removeprefix(".")})


def extract(
    data: bytes, suffix: str, page_marker: str | None = None, ocr_language: str | None = None
) -> "ExtractionResult":
    """The result of kreuzberg for a file. Errors as `read_with_kreuzberg`.

    Args:
        data: its bytes.
        suffix: its suffix in lower case.
        page_marker: what stands before the number of each page in the content, with U+E001 after it.
        ocr_language: as `read_with_kreuzberg`.
    """
    import kreuzberg

    config = kreuzberg.ExtractionConfig(
        pages=kreuzberg.PageConfig(
            extract_pages=True,
            insert_page_markers=page_marker is not None,
            marker_format=f"{PAGE_BREAK}{page_marker}{{page_num}}\ue001{PAGE_BREAK}",
        ),
        use_cache=False,
        enable_quality_processing=False,
        include_document_structure=suffix in STRUCTURED,
        ocr=kreuzberg.OcrConfig(backend="tesseract", language=ocr_language) if ocr_language else None,
        disable_ocr=ocr_language is None,  # type: ignore[call-arg] # missing from its stub
        tree_sitter=kreuzberg.TreeSitterConfig(enabled=False),
    )
    try:
        return kreuzberg.extract_bytes_sync(data, FORMATS.get(suffix) or IMAGES[suffix], config)
    except kreuzberg.KreuzbergError as error:
        raise ReadError(_reason(data, suffix, str(error))) from None


def explicit_metadata(result: "ExtractionResult", suffix: str) -> dict[str, Any]:
    """Metadata of the file, and its format."""
    stored = result.metadata
    authors = stored.get("authors") or stored.get("from_name") or stored.get("from_email")
    return {
        "authors": authors,
        "date": stored.get("created_at") or stored.get("modified_at"),
        "language": stored.get("language"),
        "format": suffix.removeprefix("."),
    }


def detect_language(text: str) -> str | None:
    """The code of the language a text is in (ISO 639-3), or None where that is not clear."""
    import kreuzberg

    config = kreuzberg.ExtractionConfig(
        use_cache=False,
        enable_quality_processing=False,
        language_detection=kreuzberg.LanguageDetectionConfig(enabled=True, min_confidence=CONFIDENCE),
    )
    try:
        found = kreuzberg.extract_bytes_sync(text[:LANGUAGE_SAMPLE].encode(), "text/plain", config).detected_languages
    except kreuzberg.KreuzbergError:
        return None
    return found[0] if found else None


def _split(content: str, marker: str) -> tuple[str, tuple[int, ...]]:
    """The text without markers, and the start of each page; a page that has no marker is empty."""
    first, *parts = re.split(f"\\s*{re.escape(marker)}(\\d+)\ue001\\s*", content)
    text = first  # nothing, in every file seen; were there something, it would count to the first page
    starts: list[int] = []
    for number, page in zip(map(int, parts[::2]), parts[1::2], strict=True):
        text += PAGE_BREAK if text else ""
        starts += [len(text) if starts else 0] * (number - len(starts))
        text += page
    return text, tuple(starts)


def _headings(result: "ExtractionResult", text: str) -> tuple[Heading, ...]:
    nodes = result.document["nodes"] if result.document else []
    contents: list[Any] = [node["content"] for node in nodes]
    return locate_headings(text, [(c["level"], c["text"]) for c in contents if c["node_type"] == "heading"])


def _reason(data: bytes, suffix: str, message: str) -> str:
    """One clear reason from what kreuzberg says, which often says it twice."""
    lowered = message.lower()
    encrypted_office = b"E\0n\0c\0r\0y\0p\0t\0e\0d\0P\0a\0c\0k\0a\0g\0e" in data
    if "password" in lowered or "encrypted" in lowered or encrypted_office:
        return "encrypted: save a copy without the password"
    message = re.sub(r"^(\w+Error: )+", "", message)
    told = ": ".join(dict.fromkeys(part.strip() for part in message.split(": ")))
    if "security limit" in lowered:
        return f"too much is packed in it, or it was made to do harm: {told}"
    return f"damaged, truncated or no {suffix.removeprefix('.').upper()}: {told}"
