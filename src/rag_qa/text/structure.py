"""The structure of a text: titles, headings, lines and sentences, as offsets."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise

from sentencex import get_sentence_boundaries

from rag_qa.types import Heading

__all__ = ["LINE_END", "Outline", "line_of", "line_starts", "markdown_headings", "page_of", "sentences", "text_title"]

LONGEST_TITLE = 160
SECTION_JOINT = " › "
LOWEST_SECTION = 6  # what lies below is a table's header, and names no section
LINE_END = re.compile(r"\r\n|\r|\n")
# sentencex keeps quoted speech whole; a passage may be one long quotation, so quotes count as blanks.
QUOTES = str.maketrans(dict.fromkeys('"“”„«»()[]', " "))
WRAPPED_WIDTH = range(40, 131)
SHORTEST_SENTENCE = 3  # words


def line_starts(text: str) -> list[int]:
    """Offsets where lines begin; CR LF, CR and LF each end one line."""
    return [0, *(match.end() for match in LINE_END.finditer(text))]


def line_of(text: str, offset: int) -> int:
    """The 1-based line that an offset is in, without looking at the text behind it."""
    # One character more, so that CR LF around the offset is one line end.
    return 1 + sum(match.end() <= offset for match in LINE_END.finditer(text, 0, offset + 1))


def page_of(pages: Sequence[int], offset: int) -> int | None:
    """The 1-based page that an offset is in, by the starts of the pages; None where there are none."""
    return bisect_right(pages, offset) if pages else None


def text_title(text: str) -> str | None:
    """The first line with text, where it is short and something follows it; otherwise None."""
    first, _, rest = text.strip().partition("\n")
    return first.strip() if rest.strip() and len(first.strip()) <= LONGEST_TITLE else None


class Outline:
    """The headings of a document, asked by offset."""

    def __init__(self, headings: Sequence[Heading]) -> None:
        """Takes the headings in order."""
        self._starts = [heading.start for heading in headings]
        self._paths: list[tuple[Heading, ...]] = [()]  # in force before the first heading, and after each
        for heading in headings:
            kept = (above for above in self._paths[-1] if above.level < heading.level)
            self._paths.append((*kept, heading))

    def above(self, start: int) -> tuple[Heading, ...]:
        """The headings whose section holds an offset, outermost first; not one that begins there."""
        return self._paths[bisect_left(self._starts, start)]

    def section(self, start: int) -> str:
        """The titles of the sections that an offset is in, one that begins there included, for a citation."""
        headings = self._paths[bisect_right(self._starts, start)]
        return SECTION_JOINT.join(heading.title for heading in headings if heading.level <= LOWEST_SECTION)


def markdown_headings(text: str) -> tuple[Heading, ...]:
    """The headings of a Markdown text (CommonMark), in order."""
    from markdown_it import MarkdownIt

    starts = line_starts(text)
    tokens = MarkdownIt("commonmark").parse(text)
    return tuple(
        Heading(start=starts[opening.map[0]], level=int(opening.tag[1]), title=inline.content)
        for opening, inline in pairwise(tokens)
        if opening.type == "heading_open" and opening.map and inline.content
    )


def sentences(text: str) -> list[tuple[int, int]]:
    """Offsets of the sentences, without surrounding white space; a hard line end also ends a sentence.

    One of fewer than three words says nothing alone: it is joined to the one before it on the same line, or else to
    the next.
    """
    joined: list[tuple[int, int]] = []
    for start, end in _boundaries(text):
        before = joined[-1] if joined else None
        same_line = before is not None and not LINE_END.search(text, before[1], start)
        if before and (_is_short(text, *before) or (same_line and _is_short(text, start, end))):
            joined[-1] = (before[0], end)
        else:
            joined.append((start, end))
    if len(joined) > 1 and _is_short(text, *joined[-1]):
        joined[-2:] = [(joined[-2][0], joined[-1][1])]
    return joined


def _is_short(text: str, start: int, end: int) -> bool:
    return len(text[start:end].split()) < SHORTEST_SENTENCE


def _boundaries(text: str) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    for start, end in _paragraphs(text):
        for boundary in get_sentence_boundaries("en", text[start:end].translate(QUOTES)):
            piece = text[start + boundary["start_index"] : start + boundary["end_index"]]
            left = start + boundary["start_index"] + len(piece) - len(piece.lstrip())
            if piece.strip():
                spans.append((left, left + len(piece.strip())))
    return spans


def _paragraphs(text: str) -> list[tuple[int, int]]:
    """Spans between hard line ends; a line end within a sentence (wrapped text) is soft."""
    starts = [*line_starts(text), len(text)]
    lines = [(start, end) for start, end in pairwise(starts) if text[start:end].strip()]
    width = max((len(text[start:end].rstrip()) for start, end in lines), default=0)
    merged: list[tuple[int, int]] = []
    last = 0  # where the line before begins
    for start, end in lines:
        adjacent = merged and merged[-1][1] == start  # no blank line between
        if merged and _continues(text[last:start], text[start:end], width if adjacent else 0):
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
        last = start
    return merged


def _continues(before: str, line: str, width: int) -> bool:
    """Returns whether `line` goes on with the sentence of the line before it; `width` is that of wrapped text, or 0."""
    if line.lstrip()[0].islower():
        return True
    last = before.rstrip()
    wrapped = width in WRAPPED_WIDTH and len(last) >= 0.7 * width
    return wrapped and last[-1] not in ".!?:;" and line[0].isalnum()
