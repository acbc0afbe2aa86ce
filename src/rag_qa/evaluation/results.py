"""What an evaluation finds: records only."""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from rag_qa.evaluation.abstention import Abstention
from rag_qa.evaluation.gold import Span
from rag_qa.evaluation.measures import Qrels
from rag_qa.evaluation.statistics import Aggregate

__all__ = ["Evaluation", "QuestionResult", "Report", "Retrieved", "TagResult"]


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
    """Where the gold says that the answer stands; of a BEIR collection its documents, from 0 to 0."""
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
