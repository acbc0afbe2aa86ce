"""The view of a document: a span around the citation, its outline, and matches of a search."""

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import islice

from markupsafe import Markup
from msgspec import Struct

from rag_qa.answering.verification import find_quote
from rag_qa.service.pages.markup import Anchor, Span, marked
from rag_qa.types import Answer, Citation, Document, Heading

__all__ = [
    "LONGEST_CITED",
    "LONGEST_SEARCH",
    "MOST_MATCHES",
    "Cited",
    "Match",
    "Stretch",
    "link",
    "matches",
    "other_spans",
    "outline",
    "stretch",
    "what_became_of",
]

SHOWN_WHOLE = 150_000  # characters: a longer document is shown in stretches, so that a browser has it at once
BEFORE, AFTER = 20_000, 80_000
SNAP = 1_000
"""Characters in which a stretch looks for a line end to begin or end at."""
MOST_HEADINGS = 200
MOST_MATCHES = 100
LONGEST_SEARCH = 100
"""Characters: a regular expression looks for them, in time that grows with their number times the text's."""
LONGEST_CITED = 20_000
MOST_OTHERS = 100
AROUND_MATCH = 60


class Cited(Struct, frozen=True):
    """State of a citation, in a sentence, and the present place of its quote."""

    state: str
    """`holds`, `moved`, `gone` or `unchecked`."""
    sentence: str
    span: Span | None


class Stretch(Struct, frozen=True):
    """A part of a document as HTML."""

    body: Markup
    earlier: int | None
    """Offset at which the page before begins."""
    later: int | None


class Match(Struct, frozen=True):
    """A place where what was searched stands, with the words around it."""

    start: int
    before: str
    text: str
    after: str


def what_became_of(document: Document, start: int, end: int, quote: str, *, newer: bool) -> Cited:
    """Finds a cited quote in the document as it is now.

    Args:
        document: as the snapshot that answers has it.
        start: of the quote, as cited.
        end: likewise.
        quote: the cited words, or nothing, if they were not given.
        newer: whether the citation is of another snapshot.
    """
    is_stretch = 0 <= start < end <= len(document.text)
    if not quote:
        span = (start, end) if is_stretch else None
        sentence = "The collection has changed since this was cited, and the link holds no quote: compare it yourself."
        if not is_stretch:
            return Cited("gone", "The document has no such characters.", None)
        return Cited("unchecked" if newer else "holds", sentence if newer else "", span)
    still = "The collection has changed since this was cited; the quote still stands exactly here."
    if is_stretch and document.text[start:end] == quote:
        return Cited("holds", still if newer else "", (start, end))
    found = find_quote(quote, start, [document])
    if found is None:
        return Cited("gone", "The quote is not in this document.", None)
    if (found.start, found.end) == (start, end):  # a form sends line ends in another way
        return Cited("holds", still if newer else "", (start, end))
    where = f"page {found.page}" if found.page is not None else f"line {found.line}"
    why = "The collection has changed since this was cited" if newer else "The link's characters are not its quote"
    sentence = f"{why}; the quote stands in {where}, characters {found.start} to {found.end}."
    return Cited("moved", sentence, (found.start, found.end))


def stretch(
    document: Document, focus: int, cited: Span | None, marks: Mapping[str, Sequence[Span]], found: Sequence["Match"]
) -> Stretch:
    """The document, or the part of it around an offset."""
    text = document.text
    whole = len(text) <= SHOWN_WHOLE
    start = 0 if whole else _line_end(text, max(0, focus - BEFORE))
    end = len(text) if whole else _line_end(text, min(len(text), focus + AFTER))
    unit = document.page_unit.capitalize()
    anchors: list[Anchor] = [
        *((offset, f"p{number}", f"{unit} {number}") for number, offset in enumerate(document.pages, start=1)),
        *((heading.start, f"h{heading.start}", "") for heading in document.headings),
        *((match.start, f"m{match.start}", "") for match in found),
    ]
    return Stretch(
        body=marked(text[start:end], start, cited, marks, anchors),
        earlier=max(0, start - AFTER + BEFORE) if start > 0 else None,
        later=end + BEFORE if end < len(text) else None,
    )


def outline(headings: Sequence[Heading], focus: int) -> Sequence[Heading]:
    """The headings for the side: all, or where there are very many those around an offset."""
    if len(headings) <= MOST_HEADINGS:
        return headings
    here = bisect_right(headings, focus, key=lambda heading: heading.start)
    first = max(0, min(here - MOST_HEADINGS // 2, len(headings) - MOST_HEADINGS))
    return headings[first : first + MOST_HEADINGS]


def matches(text: str, wanted: str) -> list[Match]:
    """Places of words in a text, whatever their case and white space; at most one more than is shown."""
    words = wanted.split()
    if not words:
        return []
    found: list[Match] = []
    for match in re.finditer(r"\s+".join(map(re.escape, words)), text, re.IGNORECASE):
        start, end = match.span()
        before, after = text[max(0, start - AROUND_MATCH) : start], text[end : end + AROUND_MATCH]
        if start > AROUND_MATCH:
            before = before.partition(" ")[2]  # from a whole word on
        if end + AROUND_MATCH < len(text):
            after = after.rpartition(" ")[0]
        found.append(Match(start, before, match[0], after))
        if len(found) > MOST_MATCHES:
            break
    return found


def other_spans(also: str) -> list[Span]:
    """Stretches as a link names them, `120-310,502-644`; what is no stretch, or one too many, is passed over."""
    named = re.finditer(r"(\d{1,12})-(\d{1,12})", also)
    return [(int(match[1]), int(match[2])) for match in islice(named, MOST_OTHERS)]


def link(citation: Citation, answer: Answer, quote: str, also: Sequence[Span] = ()) -> dict[str, str]:
    """The parameters that open a citation of an answer in the reader."""
    place = {"start": str(citation.start), "end": str(citation.end)}
    named = {"document": citation.document, "snapshot": answer.snapshot}
    parameters = place | named | {"quote": quote, "q": answer.question}
    return parameters | ({"also": ",".join(f"{start}-{end}" for start, end in also)} if also else {})


def _line_end(text: str, offset: int) -> int:
    """An offset near the given one at which a line ends, if there is one."""
    if not 0 < offset < len(text):
        return offset
    return text.rfind("\n", max(0, offset - SNAP), offset) + 1 or offset
