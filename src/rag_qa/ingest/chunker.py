"""Documents to passages: offsets first, then slices.

A passage is made of whole sentences, as many as fit, counted in the encoder's own tokens. A sentence that is too long
alone is split by semantic-text-splitter, at the highest boundary that fits (lines, clauses, words).
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import ceil

from msgspec import Struct
from semantic_text_splitter import TextSplitter
from tokenizers import Tokenizer

from rag_qa.ingest.packing import pack
from rag_qa.settings import IndexSettings
from rag_qa.text.structure import LINE_END, Outline, line_starts, sentences
from rag_qa.text.tokens import count_tokens
from rag_qa.types import Document, Passage

__all__ = ["CHUNKER_VERSION", "Chunker"]

CHUNKER_VERSION = 2  # raise it when a change here makes other passages of the same document

CHARACTERS_A_TOKEN = 10  # at most; English has about 4.5
JOINT_TOKENS = 2  # what the line end between context and text may cost
PASSAGE_SHARE = 2 / 3  # of the window is kept for the passage, however long its context
COUNTED_TOGETHER = 1024  # pieces of text
BEGINS_PARAGRAPH, BEGINS_LINE, BEGINS_SENTENCE = 0.05, 0.1, 0.2
"""Cost of beginning a passage there; with a heading, nothing."""


class _Piece(Struct, frozen=True):
    """A sentence, or a part of a long one."""

    start: int
    end: int
    tokens: int
    """White space that follows included; not less than the characters speak for, where a token is unknown."""


class Chunker:
    """Splits documents into passages; holds the splitters, each of which costs tens of milliseconds to make."""

    def __init__(self, tokenizer: Tokenizer, room: int, settings: IndexSettings) -> None:
        """Sets the sizes.

        Args:
            tokenizer: the encoder's, without truncation and padding.
            room: tokens that the encoder's window leaves for context and text together.
            settings: sizes in the encoder's tokens.
        """
        self._tokenizer = tokenizer
        self._room = room
        self._settings = settings
        self._longest_context = min(settings.context_tokens, int(room * (1 - PASSAGE_SHARE)))
        self._longest_slice = settings.passage_tokens * CHARACTERS_A_TOKEN
        self._by_characters = TextSplitter(self._longest_slice)
        self._splitters: dict[int, TextSplitter] = {}

    def chunk(self, document: Document) -> list[Passage]:
        """The passages of a document, in order of their offsets.

        Every character that is not white space lies in a passage; no passage crosses a page.
        """
        contexts = _Contexts(document, self._tokenizer, self._longest_context)
        outline = Outline(document.headings)
        taken = self._longest_context + JOINT_TOKENS if contexts.possible else 0
        capacity = min(self._settings.passage_tokens, self._room - taken)
        headings = sorted({heading.start for heading in document.headings})
        slices = [
            (page, start, end)
            for page, first, last in _stretches(document)
            for start, end in self._slices(document, headings, first, last, capacity)
        ]
        lines = line_starts(document.text)
        tokens = count_tokens([document.text[start:end] for _, start, end in slices])
        return [
            Passage(
                start=start,
                end=end,
                text=document.text[start:end],
                context=contexts.above(start),
                tokens=count,
                line=bisect_right(lines, start),
                page=page,
                section=outline.section(start),
                sentences=tuple((start + left, start + right) for left, right in sentences(document.text[start:end])),
            )
            for (page, start, end), count in zip(slices, tokens, strict=True)
        ]

    def _slices(
        self, document: Document, headings: Sequence[int], first: int, last: int, capacity: int
    ) -> Iterator[tuple[int, int]]:
        """Offsets of the passages of a span; `headings` are the offsets of all, in order."""
        sections = [first, *headings[bisect_right(headings, first) : bisect_left(headings, last)], last]
        pieces = [
            piece for start, end in pairwise(sections) for piece in self._pieces(document.text, start, end, capacity)
        ]
        if not pieces:
            return
        overlap = min(self._settings.overlap_tokens, capacity - 1)
        inside = frozenset(sections)
        begins_heading = [piece.start in inside for piece in pieces]
        gaps = ["", *(document.text[before.end : piece.start] for before, piece in pairwise(pieces))]
        penalties = [0 if heading else _penalty(gap) for heading, gap in zip(begins_heading, gaps, strict=True)]
        lengths = [piece.tokens for piece in pieces]
        for packed in pack(lengths, penalties, begins_heading, capacity - overlap):
            begin = packed.start
            if sum(lengths[begin : packed.stop]) <= capacity - overlap:
                begin = _reached_back(lengths, begin, overlap)
            yield pieces[begin].start, pieces[packed.stop - 1].end

    def _pieces(self, text: str, first: int, last: int, capacity: int) -> list[_Piece]:
        """The sentences of a section, those that do not fit into a passage in parts."""
        spans = [(first + start, first + end) for start, end in sentences(text[first:last])]
        pieces: list[_Piece] = []
        for piece in self._counted(text, spans, last):
            if piece.tokens <= capacity:
                pieces.append(piece)
            else:
                parts = [
                    (piece.start + offset, piece.start + offset + len(part))
                    for offset, part in self._parts(text[piece.start : piece.end], capacity)
                    if part.strip()
                ]
                pieces += self._counted(text, parts, piece.end)
        return pieces

    def _counted(self, text: str, spans: Sequence[tuple[int, int]], last: int) -> Iterator[_Piece]:
        """Spans with their tokens, counted as if each reached to the next, or the last to `last`."""
        reaching = [(start, after) for (start, _), (after, _) in pairwise([*spans, (last, last)])]
        for some in range(0, len(spans), COUNTED_TOGETHER):
            together = slice(some, some + COUNTED_TOGETHER)
            texts = [text[start:after] for start, after in reaching[together]]
            encoded = self._tokenizer.encode_batch(texts, add_special_tokens=False)
            for (start, end), tokens in zip(spans[together], encoded, strict=True):
                yield _Piece(start, end, max(len(tokens), ceil((end - start) / CHARACTERS_A_TOKEN)))

    def _parts(self, text: str, capacity: int) -> Iterator[tuple[int, str]]:
        """Offsets and slices; a run without spaces, which is one unknown token however long, is split by characters."""
        if capacity not in self._splitters:
            self._splitters[capacity] = TextSplitter.from_huggingface_tokenizer(self._tokenizer, capacity)
        for offset, piece in self._splitters[capacity].chunk_indices(text):
            if len(piece) <= self._longest_slice:
                yield offset, piece
            else:
                yield from ((offset + inner, part) for inner, part in self._by_characters.chunk_indices(piece))


def _penalty(gap: str) -> float:
    """Cost of beginning a passage after such white space."""
    ends = len(LINE_END.findall(gap))
    return BEGINS_SENTENCE if not ends else BEGINS_LINE if ends == 1 else BEGINS_PARAGRAPH


def _reached_back(lengths: Sequence[int], begin: int, overlap: int) -> int:
    """The piece that a passage begins with where it shares up to `overlap` tokens with the one before it."""
    shared = 0
    while begin and shared + lengths[begin - 1] <= overlap:
        begin -= 1
        shared += lengths[begin]
    return begin


def _stretches(document: Document) -> Iterator[tuple[int | None, int, int]]:
    """(1-based page or None, start, end) of each span that passages must stay within."""
    length = len(document.text)
    pages = [*document.pages, length] if document.pages else [0, length]
    breaks = sorted(document.breaks)
    for number, (first, last) in enumerate(pairwise(pages), start=1):
        inner = breaks[bisect_right(breaks, first) : bisect_left(breaks, last)]
        for start, end in pairwise([first, *inner, last]):
            yield (number if document.pages else None), start, end


class _Contexts:
    """Title and headings above an offset, truncated to a number of tokens."""

    def __init__(self, document: Document, tokenizer: Tokenizer, budget: int) -> None:
        self.document = document
        self.tokenizer = tokenizer
        self.budget = budget
        self.title = document.title if document.title != document.path else ""
        self._outline = Outline(document.headings)
        self.possible = budget > 0 and bool(self.title or document.headings)

    def above(self, start: int) -> str:
        """The title, then the headings whose section holds `start`, outermost first."""
        parts: list[str] = []
        if self.title and not self.document.text.startswith(self.title, start):
            parts.append(self.title)
        parts += [heading.title for heading in self._outline.above(start) if heading.title != self.title]
        return self._cut("\n".join(parts))

    def _cut(self, context: str) -> str:
        if not self.possible:
            return ""
        offsets = self.tokenizer.encode(context, add_special_tokens=False).offsets
        return context if len(offsets) <= self.budget else context[: offsets[self.budget][0]].rstrip()
