"""The result of a parser for a file."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from rag_qa.types import Heading

__all__ = ["Record", "locate_headings"]


class Record(Struct, frozen=True, kw_only=True):
    """The text of a file, or of one record of a feed, with what the file says about it."""

    text: str
    parser: str
    """Name and version of what turned the bytes into text."""
    title: str | None = None
    number: int | None = None
    """1-based line or place in the feed."""
    pages: tuple[int, ...] = ()
    page_unit: str = "page"
    breaks: tuple[int, ...] = ()
    """Offsets that no passage crosses, besides the pages."""
    headings: tuple[Heading, ...] = ()
    metadata: dict[str, Any] = {}
    """Metadata as the file has it; `metadata.normalised` gives it its final form."""


def locate_headings(text: str, titles: Sequence[tuple[int, str]]) -> tuple[Heading, ...]:
    """Offsets of headings, given as (level, title), that are lines of a text; those that are not found are left out."""
    headings: list[Heading] = []
    position = 0
    for level, title in titles:
        start = _find_line(text, title, position) if title else -1
        if start >= 0:
            headings.append(Heading(start, level, title))
            position = start + len(title)
    return tuple(headings)


def _find_line(text: str, line: str, position: int) -> int:
    start = text.find(line, position)
    while start >= 0:
        end = start + len(line)
        if (start == 0 or text[start - 1] in "\r\n") and (end == len(text) or text[end] in "\r\n"):
            return start
        start = text.find(line, start + 1)
    return -1
