"""PDF: the text and its pages through kreuzberg; PDFium says what a file without text holds."""

from rag_qa.errors import ReadError
from rag_qa.ingest.parsers.kreuzberg import read_with_kreuzberg
from rag_qa.ingest.parsers.record import Record

__all__ = ["PDF", "read_pdf"]

PDF = frozenset({".pdf"})
DEEPEST = 4  # levels of forms within forms in which an image is looked for


def read_pdf(data: bytes, suffix: str, ocr_language: str | None) -> Record:
    """Parses a PDF with its pages.

    Raises:
        ReadError: it is encrypted, damaged or has no text; the reason says which.
    """
    record = read_with_kreuzberg(data, suffix, ocr_language)
    if record.text.strip():
        return record
    pictures = has_pictures(data)
    if pictures and ocr_language is None:
        raise ReadError("no text: scanned images; OCR is off")
    if pictures:
        raise ReadError("no text: nothing was recognised in its images")
    raise ReadError("no text: its pages are blank, drawings or empty forms")


def has_pictures(data: bytes) -> bool:
    """Returns whether a page of a PDF that can be opened shows an image."""
    import pypdfium2
    from pypdfium2.raw import FPDF_PAGEOBJ_IMAGE

    try:
        document = pypdfium2.PdfDocument(data)
        return any(
            thing.type == FPDF_PAGEOBJ_IMAGE for page in document for thing in page.get_objects(max_depth=DEEPEST)
        )
    except pypdfium2.PdfiumError:
        return False
