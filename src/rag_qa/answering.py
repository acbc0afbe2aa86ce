"""What is shown of a ranked passage: its citation, and whether there is room for it."""

from collections.abc import Sequence

from rag_qa.types import Citation, DocumentInfo, Passage

__all__ = ["cite", "within_budget"]


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
