"""What an evaluation finds: records only."""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

__all__ = [
    "Abstention",
    "Aggregate",
    "Difference",
    "Evaluation",
    "Qrels",
    "QuestionResult",
    "Report",
    "Retrieved",
    "Span",
    "TagResult",
]

Qrels = Mapping[str, Mapping[str, int]]
"""By question, the relevant items and their grade."""


class Aggregate(Struct, frozen=True):
    """A figure over questions with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


class Difference(Struct, frozen=True):
    """How two runs differ over the same questions: the mean of the differences, and on how many each did better."""

    value: float
    low: float
    high: float
    p: float
    """Two-sided, of the paired randomization test."""
    wins: int
    losses: int
    ties: int


class Span(Struct, frozen=True):
    """Where a quote stands in the indexed text; of a BEIR collection a document, from 0 to 0."""

    document: str
    start: int
    end: int
    quote: str = ""

    def overlaps(self, document: str, start: int, end: int) -> bool:
        """Whether the stretch shares a character with this one."""
        return self.document == document and start < self.end and self.start < end

    def within(self, document: str, start: int, end: int) -> bool:
        """Whether all of it lies in the stretch."""
        return self.document == document and start <= self.start and self.end <= end


class Retrieved(Struct, frozen=True, kw_only=True):
    """A passage that was found, and how it was judged."""

    rank: int
    document: str
    start: int
    end: int
    score: float
    relevant: bool
    text: str
    highlights: list[tuple[int, int]] = []
    """Offsets of the marked sentences."""
    marked: bool | None = None
    """Whether a highlight overlaps an evidence quote; None where highlights are not judged."""
    marked_share: float | None = None
    """Share of its characters that is marked."""


class QuestionResult(Struct, frozen=True, kw_only=True):
    """One question: its measures (none for an unanswerable one) and the first passages that were found."""

    id: str
    question: str
    answerable: bool
    tags: tuple[str, ...]
    evidence: list[Span]
    measures: dict[str, float]
    confidence: float
    calibrated: bool
    """Whether the confidence is the answer's own; otherwise it is the best dense score."""
    answered: bool
    right: bool
    """Whether the question is answerable and the passages that a user gets by default hold evidence."""
    latency_ms: float
    """How long it took to answer, with the default number of passages."""
    retrieved: list[Retrieved]

    @property
    def first_relevant(self) -> int | None:
        """The rank of the first relevant item among the first 100."""
        reciprocal = self.measures.get("mrr", 0.0)
        return round(1 / reciprocal) if reciprocal else None


class Abstention(Struct, frozen=True):
    """How well confidence tells answered questions from the others.

    `metrics`: `auroc` (absent where all questions are of one kind), `accuracy` of the flag `answered`, `ece`, `aurc`.
    """

    confidence: str
    """What confidence is: `confidence` of the answer, or `dense`, the best dense score, where answers have none."""
    metrics: dict[str, Aggregate]
    curve: list[tuple[float, float]]
    """Coverage and risk: answering only the most confident share of the questions, how often the passages fail."""


class TagResult(Struct, frozen=True):
    """The answerable questions with a tag."""

    questions: int
    metrics: dict[str, Aggregate]


class Report(Struct, frozen=True, kw_only=True):
    """What an evaluation found; `metrics` are means over the answerable questions; latencies are over all."""

    collection: str
    snapshot: str
    documents: str
    """Digest of the documents' paths and bytes: equal where only settings differ."""
    settings: dict[str, Any]
    versions: dict[str, str]
    counts: dict[str, int]
    metrics: dict[str, Aggregate]
    tags: dict[str, TagResult]
    """Those of at least ten answerable questions."""
    abstention: Abstention
    questions: list[QuestionResult]

    @property
    def figures(self) -> dict[str, Aggregate]:
        """All aggregates by name, those of abstention among them."""
        return self.metrics | self.abstention.metrics


class Evaluation(Struct, frozen=True):
    """What came of every question, and what other tools need to compute its ranking measures."""

    questions: list[QuestionResult]
    qrels: Qrels
    run: Mapping[str, Sequence[tuple[str, float]]]
    """By question, items best first with their scores, down to rank 100."""
