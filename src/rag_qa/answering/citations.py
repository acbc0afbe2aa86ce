"""Citations: document, offsets, page, line and section of a span of text."""

from rag_qa.errors import NotFoundError
from rag_qa.text.structure import Outline, line_of, page_of
from rag_qa.types import Citation, Document, DocumentInfo, Passage

__all__ = ["check_span", "cite", "cite_span"]


def cite(document: DocumentInfo, passage: Passage) -> Citation:
    """The citation of a passage."""
    return _citation(document, passage.start, passage.end, passage.page, passage.line, passage.section)


def cite_span(document: Document, start: int, end: int) -> Citation:
    """The citation of any span of a document that has at least one character."""
    section = Outline(document.headings).section(start)
    return _citation(document, start, end, page_of(document.pages, start), line_of(document.text, start), section)


def _citation(document: DocumentInfo, start: int, end: int, page: int | None, line: int, section: str) -> Citation:
    return Citation(
        id=document.id,
        document=document.path,
        title=document.title,
        source=document.source,
        sha256=document.sha256,
        start=start,
        end=end,
        record=document.record,
        page=page,
        page_unit=document.page_unit if page else None,
        line=line,
        section=section,
    )


def check_span(document: Document, start: int, end: int) -> None:
    """Checks that a document has the characters from `start` to `end`.

    Raises:
        NotFoundError: it does not.
    """
    if not 0 <= start <= end <= len(document.text):
        raise NotFoundError(
            f"start {start} and end {end} are no stretch of this document, which has {len(document.text)} characters."
        )
