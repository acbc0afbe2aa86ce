"""Records of the results of an evaluation."""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct, field

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
"""Relevance judgements: the grade of each relevant item, by question."""


class Aggregate(Struct, frozen=True):
    """A figure over questions, with the bounds of its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


class Difference(Struct, frozen=True):
    """The mean difference of two runs over the same questions, its interval, and its test."""

    value: float
    low: float
    high: float
    p: float
    """Two-sided p value of the paired randomization test."""
    wins: int
    losses: int
    ties: int


class Span(Struct, frozen=True):
    """Location of a quote in the indexed text; in a BEIR collection a whole document, as offsets 0 to 0."""

    path: str = field(name="document")
    """Path of the document."""
    start: int
    end: int
    quote: str = ""

    def overlaps(self, path: str, start: int, end: int) -> bool:
        """Returns whether this span shares a character with the given one."""
        return self.path == path and start < self.end and self.start < end

    def within(self, path: str, start: int, end: int) -> bool:
        """Returns whether this span lies wholly within the given one."""
        return self.path == path and start <= self.start and self.end <= end


class Retrieved(Struct, frozen=True, kw_only=True):
    """A retrieved passage, with its judgement."""

    rank: int
    document: str
    start: int
    end: int
    score: float
    relevant: bool
    text: str
    highlights: list[tuple[int, int]] = []
    """Offsets of the highlighted sentences."""
    marked: bool | None = None
    """True if a highlight overlaps an evidence quote; None where highlights are not judged."""
    marked_share: float | None = None
    """Share of its characters that is highlighted; None where highlights are not judged."""


class QuestionResult(Struct, frozen=True, kw_only=True):
    """The measures of a question (none for an unanswerable one), and its first retrieved passages."""

    id: str
    question: str
    answerable: bool
    tags: tuple[str, ...]
    evidence: list[Span]
    measures: dict[str, float]
    confidence: float
    calibrated: bool
    """True if `confidence` is that of the answer; otherwise it is the best dense score."""
    answered: bool
    right: bool
    """True if the question is answerable, and the passages that a user gets by default hold evidence."""
    latency_ms: float
    """Milliseconds of the answer with the default number of passages."""
    retrieved: list[Retrieved]

    @property
    def first_relevant(self) -> int | None:
        """Rank of the first relevant item among the first 100; None where there is none."""
        reciprocal = self.measures.get("mrr", 0.0)
        return round(1 / reciprocal) if reciprocal else None


class Abstention(Struct, frozen=True):
    """Measures of how well confidence separates rightly answered questions from the others.

    `metrics`: `auroc` (absent where all questions are of one kind), `accuracy` of the flag `answered`, `ece`, `aurc`.
    """

    confidence: str
    """Source of the confidence: `confidence` of the answer or, where it has none, `dense`, the best dense score."""
    metrics: dict[str, Aggregate]
    curve: list[tuple[float, float]]
    """Pairs of coverage, the most confident share of the questions, and risk, the share of failures among them."""


class TagResult(Struct, frozen=True):
    """Measures of the answerable questions with a tag."""

    questions: int
    metrics: dict[str, Aggregate]


class Report(Struct, frozen=True, kw_only=True):
    """Results of an evaluation; `metrics` are means over the answerable questions, latencies percentiles over all."""

    collection: str
    snapshot: str
    documents: str
    """Digest of the documents' paths and bytes, which does not depend on settings."""
    settings: dict[str, Any]
    versions: dict[str, str]
    counts: dict[str, int]
    metrics: dict[str, Aggregate]
    tags: dict[str, TagResult]
    """Results by tag, for tags of at least ten answerable questions."""
    abstention: Abstention
    questions: list[QuestionResult]

    @property
    def figures(self) -> dict[str, Aggregate]:
        """All aggregates by name, including those of abstention."""
        return self.metrics | self.abstention.metrics


class Evaluation(Struct, frozen=True):
    """Results of all questions, with the qrels and the run from which ranking measures are computed."""

    questions: list[QuestionResult]
    qrels: Qrels
    run: Mapping[str, Sequence[tuple[str, float]]]
    """Ranked items by question, with their scores, best first, down to rank 100."""
