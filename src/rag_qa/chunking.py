"""Documents to passages: offsets first, then slices.

semantic-text-splitter cuts at the highest boundary that fits (headings, paragraphs, lines, sentences,
words), counting in the encoder's own tokens.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import pairwise

from semantic_text_splitter import MarkdownSplitter, TextSplitter
from tokenizers import Tokenizer

from rag_qa.settings import IndexSettings
from rag_qa.structure import Outline, line_starts, sentences
from rag_qa.tokens import count_tokens
from rag_qa.types import Document, Passage

__all__ = ["CHUNKINGS", "Chunker"]

CHUNKINGS = 1  # raise it when a change here makes other passages of the same document

CHARACTERS_A_TOKEN = 10  # at most; English has about 4.5
JOINT_TOKENS = 2  # what the line end between context and text may cost
PASSAGE_SHARE = 2 / 3  # of the window is kept for the passage, however long its context


class Chunker:
    """Cuts documents into passages; holds the splitters, each of which costs tens of milliseconds to make."""

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
        self._splitters: dict[tuple[bool, bool], MarkdownSplitter | TextSplitter] = {}

    def cut(self, document: Document) -> list[Passage]:
        """The passages of a document, in order of their offsets.

        Every character that is not white space lies in a passage; no passage crosses a page.
        """
        contexts = _Contexts(document, self._tokenizer, self._longest_context)
        outline = Outline(document.headings)
        splitter = self._splitter(document.metadata.get("format") == "markdown", contexts.possible)
        slices = [
            (page, start + offset, start + offset + len(text))
            for page, start, end in _stretches(document)
            for offset, text in self._slices(splitter, document.text[start:end])
            if text.strip()
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

    def _slices(self, splitter: MarkdownSplitter | TextSplitter, text: str) -> Iterator[tuple[int, str]]:
        """Offsets and slices; a run without spaces, which is one unknown token however long, is cut by characters."""
        for offset, piece in splitter.chunk_indices(text):
            if len(piece) <= self._longest_slice:
                yield offset, piece
            else:
                yield from ((offset + inner, part) for inner, part in self._by_characters.chunk_indices(piece))

    def _splitter(self, markdown: bool, context: bool) -> MarkdownSplitter | TextSplitter:
        """The splitter for a kind of document; room is kept for a context only where there can be one."""
        if (markdown, context) not in self._splitters:
            taken = self._longest_context + JOINT_TOKENS if context else 0
            capacity = min(self._settings.passage_tokens, self._room - taken)
            self._splitters[markdown, context] = (
                MarkdownSplitter if markdown else TextSplitter
            ).from_huggingface_tokenizer(
                self._tokenizer, capacity, overlap=min(self._settings.overlap_tokens, capacity - 1)
            )
        return self._splitters[markdown, context]


def _stretches(document: Document) -> Iterator[tuple[int | None, int, int]]:
    """(1-based page or None, start, end) of each stretch that passages must stay within."""
    length = len(document.text)
    pages = [*document.pages, length] if document.pages else [0, length]
    breaks = sorted(document.breaks)
    for number, (first, last) in enumerate(pairwise(pages), start=1):
        inner = breaks[bisect_right(breaks, first) : bisect_left(breaks, last)]
        for start, end in pairwise([first, *inner, last]):
            yield (number if document.pages else None), start, end


class _Contexts:
    """Title and headings above an offset, cut to a number of tokens."""

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
