"""Frozen records that pass between the stages and out to the user.

All offsets are Unicode code points into `Document.text`; `end` is exclusive.
"""

import hashlib
from typing import Any, Literal

from msgspec import Struct, field, msgpack, structs

__all__ = [
    "NO_MENTIONS",
    "Answer",
    "ChunkedDocument",
    "Citation",
    "Document",
    "DocumentInfo",
    "Expansion",
    "FailedFile",
    "Heading",
    "Highlight",
    "IndexedFile",
    "Mention",
    "Mentions",
    "Passage",
    "Precision",
    "RankedPassage",
    "Scores",
    "Timings",
    "document_id",
]

Precision = Literal["int8", "float32"]


class Heading(Struct, frozen=True):
    """A heading of a document, which applies from `start` to the next heading of its level or above."""

    start: int
    level: int
    title: str


class DocumentInfo(Struct, frozen=True, kw_only=True):
    """A document without its text."""

    id: str
    """Short slash-free digest of `path`, for URLs."""
    path: str
    """Path relative to the indexed folder, with `/` on every system."""
    title: str
    """The document's own title, or its path where it has none."""
    source: str
    """Path of the file as the user gave it when it was indexed."""
    sha256: str
    """Digest of the file's bytes."""
    parser: str = field(name="reader")
    """Name and version of the parser that turned the bytes into text."""
    record: int | None = None
    """1-based line or position of the record in its feed; None for a whole file."""
    characters: int
    pages: tuple[int, ...] = ()
    """Start of each page; empty for a document without pages."""
    page_unit: str = "page"
    """Kind of its pages: `page`, `slide` or `sheet`."""
    headings: tuple[Heading, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)
    """`authors`, `date` (ISO 8601), `language` (ISO 639-1), `url`, `format`, `size` (bytes), and more."""

    @property
    def file(self) -> str:
        """Path of its file: the document's path without the number of the record."""
        return self.path if self.record is None else self.path.removesuffix(f"#{self.record}")


class Document(DocumentInfo, frozen=True, kw_only=True):
    """A source file, or a record of a feed, as text."""

    text: str
    breaks: tuple[int, ...] = ()
    """Offsets, besides the page starts, that no passage crosses: rows of a table, chapters."""

    @property
    def info(self) -> DocumentInfo:
        """Copy of the document without its text."""
        return DocumentInfo(**{name: getattr(self, name) for name in DocumentInfo.__struct_fields__})


class FailedFile(Struct, frozen=True):
    """A file, or a record of a feed, that gave no document, with the reason."""

    path: str
    reason: str


def document_id(path: str) -> str:
    """Returns the id of the document with this path."""
    return hashlib.sha256(path.encode()).hexdigest()[:16]


class IndexedFile(Struct, frozen=True, kw_only=True):
    """A snapshot's record of a file, by which the next run decides whether to parse it again."""

    path: str
    """Path of its document; the documents of a feed add the number of the record."""
    source: str
    """Path of the file as the user gave it; `path` where it was refused."""
    sha256: str = ""
    """Digest of its bytes; empty where they could not be read."""
    sidecar_sha256: str | None = None
    inputs_digest: str = field(default="", name="reading")
    """Digest of all other inputs of its documents and passages: parsers, settings, encoder."""
    reason: str | None = None
    """Reason why it gave no document; None where it gave one."""
    broken: tuple[FailedFile, ...] = ()
    """Records of the feed, and a sidecar, that could not be used."""


class Passage(Struct, frozen=True, kw_only=True):
    """A slice of a document, `document.text[start:end] == text`, which never crosses a page."""

    start: int
    end: int
    text: str
    context: str
    """Title and headings above the passage: encoded and searched with it, but no part of the slice."""
    tokens: int
    """Length in tokens of cl100k_base, by which a client with a language model budgets."""
    line: int
    """1-based line of `start`."""
    page: int | None = None
    """1-based page; None for a document without pages."""
    section: str = ""
    """Headings above `start`, outermost first, joined by ` › `."""
    sentences: tuple[tuple[int, int], ...] = ()
    """Offsets of its sentences, in order; each sentence has a vector of its own."""

    @property
    def in_context(self) -> str:
        """Text as it is encoded and searched: the context, then the slice."""
        return f"{self.context}\n{self.text}" if self.context else self.text

    @property
    def sentence_texts(self) -> list[str]:
        """Texts of the sentences, as they are encoded and highlighted."""
        return [self.text[start - self.start : end - self.start] for start, end in self.sentences]


class Citation(Struct, frozen=True, kw_only=True):
    """Location of a passage: together with the snapshot, all that is needed to check the quote."""

    id: str
    document: str
    title: str
    source: str
    sha256: str
    start: int
    end: int
    page: int | None
    line: int
    page_unit: str | None = None
    """Unit that `page` counts: `page`, `slide` or `sheet`; None where there are no pages."""
    record: int | None = None
    """1-based line or position of the record in its feed; None for a whole file."""
    section: str = ""
    """Headings above the passage, outermost first, joined by ` › `."""


class Highlight(Struct, frozen=True):
    """A sentence that answers the question, with its offsets in the document's text."""

    start: int
    end: int
    text: str


class Scores(Struct, frozen=True):
    """The scores behind a rank.

    `dense` is the inner product of unit vectors, with the passage or its most similar sentence, whichever is larger;
    `lexical` is BM25, 0 for a passage that is not among the candidates of lexical search.
    """

    dense: float
    lexical: float
    reranked: float | None = None
    """Score of the cross-encoder; None where there is none, or it did not score the passage in time."""


class RankedPassage(Struct, frozen=True, kw_only=True):
    """A passage of the answer; `score` in 0..1 is the fused score or, after reranking, the combined score."""

    rank: int
    score: float
    scores: Scores
    text: str
    tokens: int
    highlights: list[Highlight]
    citation: Citation
    also_in: list[Citation] = []


class Expansion(Struct, frozen=True, kw_only=True):
    """A term of the question that was also searched in another form, with the place of this form in a document."""

    term: str
    expanded: str
    document: str
    start: int
    end: int


class Part(Struct, frozen=True, kw_only=True):
    """One half of a question that asks two things, with the passages that were found for it."""

    question: str
    """The half, as it was asked."""
    passages: list[int]
    """Ranks of the answer's passages that are among the best for this half."""
    answered: bool
    confidence: float | None


class Timings(Struct, frozen=True, kw_only=True):
    """Milliseconds that each stage of answering took."""

    encode: float
    dense: float
    lexical: float
    total: float


class Answer(Struct, frozen=True, kw_only=True):
    """Ranked, cited passages for a question.

    `answered` false means that the collection does not answer the question; `confidence`, the calibrated probability
    that the passages answer it, is null where no calibration matches the encoder and the settings. Where a question
    asks two things, both are those of the half that is answered less surely.
    """

    question: str
    snapshot: str
    answered: bool
    confidence: float | None
    passages: list[RankedPassage]
    parts: list[Part] = []
    """The halves of a question that asks two things; empty for every other question."""
    why_not: str | None = None
    """Description of what the nearest passages lack, in one sentence; null where the question is answered."""
    expansions: list[Expansion]
    timings_ms: Timings


class Mention(Struct, frozen=True):
    """An acronym, and a long form of it with its offsets in the text."""

    acronym: str
    long_form: str
    start: int
    end: int


class Mentions(Struct, frozen=True):
    """The acronyms of a document."""

    defined: tuple[Mention, ...] = ()
    """Pairs that are defined in brackets, each once."""
    spelled: tuple[Mention, ...] = ()
    """Names without a bracket after them whose initials spell at least five letters, each once."""
    used: tuple[str, ...] = ()
    """Acronyms of at least five letters that occur, sorted."""


NO_MENTIONS = Mentions()


class ChunkedDocument(Struct, frozen=True):
    """A document with its passages in order, and its acronyms."""

    document: Document
    passages: tuple[Passage, ...]
    mentions: Mentions = NO_MENTIONS

    @property
    def digest(self) -> bytes:
        """Digest of the document and its passages, which does not depend on where the file lies."""
        info = structs.replace(self.document.info, source="")
        return hashlib.sha256(msgpack.encode((info, self.document.text, self.passages))).digest()

    @property
    def tokens(self) -> int:
        """Number of cl100k_base tokens of all its passages."""
        return sum(passage.tokens for passage in self.passages)
