"""The vocabulary: frozen records that pass between the stages and out to the user.

All offsets are Unicode code points into `Document.text`; `end` is exclusive.
"""

import hashlib
from typing import Any, Literal

import msgspec
from msgspec import Struct, field

__all__ = [
    "NO_MENTIONS",
    "Answer",
    "ChunkedDocument",
    "Citation",
    "Counts",
    "Document",
    "DocumentInfo",
    "EncoderRecord",
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
    """A heading of a document: it applies from `start` to the next heading of its level or above."""

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
    """The file as it was named when it was indexed."""
    sha256: str
    """Digest of the file's bytes."""
    parser: str = field(name="reader")
    """Name and version of what turned the bytes into text."""
    record: int | None = None
    """1-based line or place in its feed; None for a whole file."""
    characters: int
    pages: tuple[int, ...] = ()
    """Start of each page; empty for a document without pages."""
    page_unit: str = "page"
    """What its pages are: `page`, `slide` or `sheet`."""
    headings: tuple[Heading, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)
    """`authors`, `date` (ISO 8601), `language` (ISO 639-1), `url`, `format`, `size` (bytes), and more."""

    @property
    def file(self) -> str:
        """The path of its file: that of the document without the number of the record."""
        return self.path if self.record is None else self.path.removesuffix(f"#{self.record}")


class Document(DocumentInfo, frozen=True, kw_only=True):
    """One source file, or one record of a feed, as text."""

    text: str
    breaks: tuple[int, ...] = ()
    """Offsets besides the page starts that no passage crosses: rows of a table, chapters."""

    @property
    def info(self) -> DocumentInfo:
        """The document without its text."""
        return DocumentInfo(**{name: getattr(self, name) for name in DocumentInfo.__struct_fields__})


class FailedFile(Struct, frozen=True):
    """A file, or a record of a feed, that gave no document, and why."""

    path: str
    reason: str


def document_id(path: str) -> str:
    """The id of the document of this path."""
    return hashlib.sha256(path.encode()).hexdigest()[:16]


class IndexedFile(Struct, frozen=True, kw_only=True):
    """What a snapshot knows of a file: enough to tell whether it has to be read again."""

    path: str
    """What its document is called; the documents of a feed add the number of the record."""
    source: str
    """The file as it was named when it was indexed; its path where it was refused."""
    sha256: str = ""
    """Digest of its bytes; empty where they could not be read."""
    sidecar_sha256: str | None = None
    inputs_digest: str = field(default="", name="reading")
    """Digest of all that its documents and passages depend on besides the bytes: parsers, settings, encoder."""
    reason: str | None = None
    """Why it gave no document."""
    broken: tuple[FailedFile, ...] = ()
    """Records of the feed, and a sidecar, that could not be used."""


class Passage(Struct, frozen=True, kw_only=True):
    """A slice of a document: `document.text[start:end] == text`; it never crosses a page."""

    start: int
    end: int
    text: str
    context: str
    """Title and headings above the passage: encoded and searched with it, no part of the slice."""
    tokens: int
    """Length in tokens of cl100k_base, what a client with a language model pays."""
    line: int
    """1-based line of `start`."""
    page: int | None = None
    """1-based page; None for a document without pages."""
    section: str = ""
    """The headings above `start`, outermost first, with ` › ` between."""
    sentences: tuple[tuple[int, int], ...] = ()
    """Offsets of its sentences, in order; each has its own vector."""

    @property
    def in_context(self) -> str:
        """The text as it is encoded and searched."""
        return f"{self.context}\n{self.text}" if self.context else self.text

    @property
    def sentence_texts(self) -> list[str]:
        """The sentences as they are encoded and marked."""
        return [self.text[start - self.start : end - self.start] for start, end in self.sentences]


class Citation(Struct, frozen=True, kw_only=True):
    """Where a passage stands: with the snapshot, enough for a stranger to check the quote."""

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
    """What `page` counts: `page`, `slide` or `sheet`; None where there are no pages."""
    record: int | None = None
    """1-based line or place of the record in its feed; None for a whole file."""
    section: str = ""
    """The headings above the passage, outermost first, with ` › ` between."""


class Highlight(Struct, frozen=True):
    """A sentence that answers; offsets are into the document's text."""

    start: int
    end: int
    text: str


class Scores(Struct, frozen=True):
    """The evidence behind a rank.

    `dense` is the inner product of unit vectors, with the passage or its nearest sentence, whichever is larger;
    `lexical` is BM25, 0 where it is not among the first that were found by words.
    """

    dense: float
    lexical: float
    reranked: float | None = None
    """By the cross-encoder, where there is one and it got so far."""


class RankedPassage(Struct, frozen=True, kw_only=True):
    """A passage of the answer; `score` is the fused score in 0..1, after reranking the combined one."""

    rank: int
    score: float
    scores: Scores
    text: str
    tokens: int
    highlights: list[Highlight]
    citation: Citation
    also_in: list[Citation] = []


class Expansion(Struct, frozen=True, kw_only=True):
    """A term of the question that was also searched in another form, and where that form was found."""

    term: str
    expanded: str
    document: str
    start: int
    end: int


class Timings(Struct, frozen=True, kw_only=True):
    """Milliseconds spent answering."""

    encode: float
    dense: float
    lexical: float
    total: float


class Answer(Struct, frozen=True, kw_only=True):
    """Ranked, cited passages for a question.

    `answered` false means that the collection does not answer the question; `confidence`, the calibrated probability
    that the passages do, is null where no calibration belongs to the encoder and the settings.
    """

    question: str
    snapshot: str
    answered: bool
    confidence: float | None
    passages: list[RankedPassage]
    expansions: list[Expansion]
    timings_ms: Timings


class Mention(Struct, frozen=True):
    """An acronym, and a long form of it that stands in a text; offsets are code points."""

    acronym: str
    long_form: str
    start: int
    end: int


class Mentions(Struct, frozen=True):
    """What one document says."""

    defined: tuple[Mention, ...] = ()
    """Pairs that a bracket joins, each once."""
    spelled: tuple[Mention, ...] = ()
    """Names that no bracket follows and that spell at least five letters, each once."""
    used: tuple[str, ...] = ()
    """The acronyms of at least five letters that occur, sorted."""


NO_MENTIONS = Mentions()


class ChunkedDocument(msgspec.Struct, frozen=True):
    """A document with its passages in order, and what it says of acronyms."""

    document: Document
    passages: tuple[Passage, ...]
    mentions: Mentions = NO_MENTIONS

    @property
    def digest(self) -> bytes:
        """Equal for equal documents and passages, wherever the file lies."""
        info = msgspec.structs.replace(self.document.info, source="")
        return hashlib.sha256(msgspec.msgpack.encode((info, self.document.text, self.passages))).digest()

    @property
    def tokens(self) -> int:
        """The cl100k_base tokens of its passages together."""
        return sum(passage.tokens for passage in self.passages)


class EncoderRecord(Struct, frozen=True):
    """The encoder that made the vectors."""

    name: str
    digest: str
    """Of the model and the precision that it was used in."""
    model: str
    """The digest of the model alone."""
    precision: Precision
    dimension: int
    window: int


class Counts(Struct, frozen=True):
    """How much there is; tokens are those of cl100k_base."""

    documents: int
    passages: int
    tokens: int
