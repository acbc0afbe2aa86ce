"""Results and their evidence to an answer: what fits the budget, marked, cited, and with a confidence."""

from collections.abc import Sequence

from msgspec import Struct

from rag_qa.answering.citations import cite
from rag_qa.answering.confidence import Calibration
from rag_qa.answering.evidence import Evidence, SentenceEvidence
from rag_qa.answering.highlights import Scorer, features, mark
from rag_qa.errors import QuestionError
from rag_qa.retrieval.query import Query
from rag_qa.retrieval.retriever import Result, Results
from rag_qa.types import Answer, RankedPassage, Scores, Timings

__all__ = ["Scoring", "compose", "within_budget"]


class Scoring(Struct, frozen=True):
    """The fitted models of a snapshot's answers."""

    calibration: Calibration | None
    """None where no calibration belongs to the encoder and the settings; then there is no confidence."""
    scorer: Scorer
    """Chooses highlights."""
    snapshot: str
    """The id that answers bear."""


def compose(
    query: Query, results: Results, evidence: Evidence, k: int, max_tokens: int | None, scoring: Scoring
) -> Answer:
    """Composes the answer of the `k` best results.

    Args:
        query: the question.
        results: ranked.
        evidence: of at least the `k` best of them.
        k: how many passages are shown, at most.
        max_tokens: a budget for their cl100k_base tokens together; a passage that does not fit is left out, and the
            others keep their rank numbers. Confidence is that of all of them.
        scoring: confidence and highlights.

    Returns:
        The answer; its total time is for the caller to fill in.

    Raises:
        QuestionError: no passage fits into the budget.
    """
    best = results.ranked[:k]
    tokens = [result.passage.tokens for result in best]
    chosen = within_budget(tokens, max_tokens)
    if best and not chosen:
        raise QuestionError(
            f"No passage fits into max_tokens {max_tokens}: the shortest of the first {k} has {min(tokens)} tokens."
        )
    confidence = _confidence(evidence, scoring.calibration)
    enough = scoring.calibration is None or confidence is None or confidence >= scoring.calibration.threshold
    return Answer(
        question=query.question,
        snapshot=scoring.snapshot,
        answered=bool(chosen) and enough,
        confidence=confidence,
        passages=[
            _ranked(position + 1, best[position], evidence.sentences[best[position].hit.row], scoring.scorer)
            for position in chosen
        ],
        expansions=list(query.expansions),
        timings_ms=Timings(
            encode=round(query.encode_ms, 3),
            dense=round(results.dense_ms, 3),
            lexical=round(results.bm25_ms, 3),
            total=0.0,
        ),
    )


def _confidence(evidence: Evidence, calibration: Calibration | None) -> float | None:
    if calibration is None:
        return None
    return calibration.confidence(evidence.features) if evidence.features else 0.0


def _ranked(rank: int, result: Result, sentences: SentenceEvidence, scorer: Scorer) -> RankedPassage:
    return RankedPassage(
        rank=rank,
        score=result.hit.score,
        scores=Scores(result.hit.dense, result.hit.bm25, result.reranked),
        text=result.passage.text,
        tokens=result.passage.tokens,
        highlights=mark(result.passage, features(sentences), scorer),
        citation=cite(result.document, result.passage),
        also_in=[cite(document, passage) for document, passage in result.duplicates],
    )


def within_budget(tokens: Sequence[int], max_tokens: int | None) -> list[int]:
    """Positions of the best passages whose tokens together stay within the budget.

    Positions are taken in rank order; a passage that no longer fits is skipped for the next that does.
    """
    chosen: list[int] = []
    left = max_tokens
    for position, count in enumerate(tokens):
        if left is None:
            chosen.append(position)
        elif count <= left:
            chosen.append(position)
            left -= count
    return chosen
