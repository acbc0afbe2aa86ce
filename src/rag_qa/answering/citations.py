"""What is shown of a ranked passage: its citation, and whether there is room for it."""

from collections.abc import Sequence

from rag_qa.errors import NotFoundError
from rag_qa.text.structure import Outline, line_of, page_of
from rag_qa.types import Citation, Document, DocumentInfo, Passage

__all__ = ["check_stretch", "cite", "cite_stretch", "within_budget"]


def cite(document: DocumentInfo, passage: Passage) -> Citation:
    """Where the passage stands."""
    return _citation(document, passage.start, passage.end, passage.page, passage.line, passage.section)


def cite_stretch(document: Document, start: int, end: int) -> Citation:
    """Where any stretch of a document stands, which has at least one character."""
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


def check_stretch(document: Document, start: int, end: int) -> None:
    """Sees that a document has the characters from `start` to `end`.

    Raises:
        NotFoundError: it has not.
    """
    if not 0 <= start <= end <= len(document.text):
        raise NotFoundError(
            f"start {start} and end {end} are no stretch of this document, which has {len(document.text)} characters."
        )


def within_budget(tokens: Sequence[int], max_tokens: int | None) -> list[int]:
    """Positions of the best passages whose tokens together stay within the budget.

    Positions are taken in rank order; one that no longer fits is passed over for the next that does.
    """
    chosen: list[int] = []
    left = max_tokens
    for position, count in enumerate(tokens):
        if left is None:
            chosen.append(position)
        elif count <= left:
            chosen.append(position)
            left -= count
    return chosen
