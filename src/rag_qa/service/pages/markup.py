"""Text as HTML: never markup itself, with stretches of it marked, and anchors where something begins."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from markupsafe import Markup, escape

__all__ = ["Anchor", "Span", "marked"]

Span = tuple[int, int]
"""Start and end (exclusive) of a stretch, in code points of the document."""

Anchor = tuple[int, str, str]

CITED = "cited"


def marked(
    text: str,
    first: int = 0,
    cited: Span | None = None,
    marks: Mapping[str, Sequence[Span]] | None = None,
    anchors: Iterable[Anchor] = (),
) -> Markup:
    """A stretch of a document as HTML.

    Args:
        text: the stretch.
        first: where in the document it begins; all other offsets are the document's, and may lie outside of it.
        cited: one stretch that gets the id `cited`, in one element, so that its text content is the quote.
        marks: stretches by the class that they get; they may overlap.
        anchors: offset, id and label of what begins somewhere.
    """
    inside = {CITED: _clipped([cited] if cited else [], first, text)}
    inside |= {name: _clipped(spans, first, text) for name, spans in (marks or {}).items()}
    there: dict[int, str] = defaultdict(str)
    for offset, name, label in anchors:
        if 0 <= offset - first < len(text):
            there[offset - first] += _anchor(name, label)
    cuts = sorted({0, len(text), *there, *(cut for spans in inside.values() for span in spans for cut in span)})
    parts: list[str] = []
    is_open = False
    for start, end in pairwise(cuts):
        names = [name for name, spans in inside.items() if any(a <= start < b for a, b in spans)]
        if is_open and CITED not in names:
            parts.append("</mark>")
        if start in there:
            parts.append(there[start])
        if not is_open and CITED in names:
            parts.append(f'<mark id="{CITED}" class="{CITED}" tabindex="-1">')
        is_open = CITED in names
        classes = " ".join(name for name in names if name != CITED)
        shown = str(escape(text[start:end]))
        parts.append(f'<mark class="{escape(classes)}">{shown}</mark>' if classes else shown)
    if is_open:
        parts.append("</mark>")
    return Markup("".join(parts))  # noqa: S704 - every piece of text was escaped above


def _anchor(name: str, label: str) -> str:
    """An empty element, whose label the style sheet shows, so that the text stays the document's."""
    return f'<span id="{escape(name)}" class="anchor" data-label="{escape(label)}"></span>'


def _clipped(spans: Iterable[Span], first: int, text: str) -> list[Span]:
    shifted = ((max(0, start - first), min(len(text), end - first)) for start, end in spans)
    return [(start, end) for start, end in shifted if start < end]
