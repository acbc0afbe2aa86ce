"""What is shown of a ranked passage: its citation, and whether there is room for it."""

from bisect import bisect_right
from collections.abc import Sequence

from rag_qa.errors import InputError
from rag_qa.structure import Outline, line_starts
from rag_qa.types import Citation, Document, DocumentInfo, Passage

__all__ = ["check_stretch", "cite", "cite_stretch", "within_budget"]


def cite(document: DocumentInfo, passage: Passage) -> Citation:
    """Where the passage stands."""
    return Citation(
        id=document.id,
        document=document.path,
        title=document.title,
        source=document.source,
        sha256=document.sha256,
        start=passage.start,
        end=passage.end,
        record=document.record,
        page=passage.page,
        page_unit=document.page_unit if passage.page else None,
        line=passage.line,
        section=passage.section,
    )


def check_stretch(document: Document, start: int, end: int) -> None:
    """Sees that a document has the characters from `start` to `end`.

    Raises:
        InputError: it has not.
    """
    if not 0 <= start <= end <= len(document.text):
        raise InputError(
            f"start {start} and end {end} are no stretch of this document, which has {len(document.text)} characters."
        )


def cite_stretch(document: Document, start: int, end: int) -> Citation:
    """Where any stretch of a document stands."""
    page = bisect_right(document.pages, start) if document.pages else None
    line = bisect_right(line_starts(document.text[:start]), start)
    section = Outline(document.headings).section(start)
    text = document.text[start:end]
    stretch = Passage(start=start, end=end, text=text, context="", tokens=0, line=line, page=page, section=section)
    return cite(document, stretch)


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
