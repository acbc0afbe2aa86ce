"""Results and their evidence to an answer: what fits the budget, marked, cited, and with a confidence."""

from collections.abc import Sequence

from msgspec import Struct

from rag_qa.answering.citations import cite
from rag_qa.answering.confidence import Calibration
from rag_qa.answering.evidence import Evidence
from rag_qa.answering.highlights import Scorer, features, mark
from rag_qa.answering.why_not import why_not
from rag_qa.errors import QuestionError
from rag_qa.retrieval.query import Query
from rag_qa.retrieval.retriever import Result, Results
from rag_qa.types import Answer, Part, RankedPassage, Scores, Timings

__all__ = ["Found", "Scoring", "compose", "in_turns", "within_budget"]


class Found(Struct, frozen=True):
    """All that was found for a question, or for one half of it."""

    query: Query
    results: Results
    evidence: Evidence


class Scoring(Struct, frozen=True):
    """The fitted models of a snapshot's answers."""

    calibration: Calibration | None
    """None where no calibration belongs to the encoder and the settings; then there is no confidence."""
    scorer: Scorer
    """Chooses highlights."""
    snapshot: str
    """The id that answers bear."""


def compose(whole: Found, halves: Sequence[Found], k: int, max_tokens: int | None, scoring: Scoring) -> Answer:
    """Composes the answer of the `k` best results, in turns where a question has halves: of the whole, of each half.

    Args:
        whole: found for the question, with the evidence of at least the `k` best results.
        halves: found for its halves, if it has any.
        k: how many passages are shown, at most.
        max_tokens: a budget for their cl100k_base tokens together; a passage that does not fit is left out, and the
            others keep their rank numbers. Confidence is that of all of them.
        scoring: confidence and highlights.

    Returns:
        The answer; its total time is for the caller to fill in.

    Raises:
        QuestionError: no passage fits into the budget.
    """
    best = in_turns([whole, *halves], k)
    tokens = [result.passage.tokens for _, result in best]
    chosen = within_budget(tokens, max_tokens)
    if best and not chosen:
        raise QuestionError(
            f"No passage fits into max_tokens {max_tokens}: the shortest of the first {k} has {min(tokens)} tokens."
        )
    shown = [(position + 1, *best[position]) for position in chosen]
    weakest = min(halves or [whole], key=lambda found: _confidence(found, scoring.calibration) or 0.0)
    everything = [whole, *halves]
    answered = bool(chosen) and _answers(weakest, scoring.calibration)
    parts = [_part(half, shown, k, scoring.calibration) for half in halves]
    expansions = list(dict.fromkeys(expansion for found in everything for expansion in found.query.expansions))
    lacking = None
    if not answered:
        texts = [result.passage.in_context for _, _, result in shown]
        lacking = why_not(whole.query.question, whole.query.variants[0].shares, texts, expansions, parts)
    return Answer(
        question=whole.query.question,
        snapshot=scoring.snapshot,
        answered=answered,
        confidence=_confidence(weakest, scoring.calibration),
        passages=[_ranked(rank, found, result, scoring.scorer) for rank, found, result in shown],
        parts=parts,
        why_not=lacking,
        expansions=expansions,
        timings_ms=Timings(
            encode=round(sum(found.query.encode_ms for found in everything), 3),
            dense=round(sum(found.results.dense_ms for found in everything), 3),
            lexical=round(sum(found.results.bm25_ms for found in everything), 3),
            total=0.0,
        ),
    )


def in_turns(found: Sequence[Found], k: int) -> list[tuple[Found, Result]]:
    """The first `k` results of several rankings taken in turns, each with the ranking that it is of, and each once."""
    taken: list[tuple[Found, Result]] = []
    seen: set[tuple[str, int, int]] = set()
    for rank in range(k):
        for each in found:
            if rank < len(each.results.ranked) and seen.isdisjoint((result := each.results.ranked[rank]).spans):
                taken.append((each, result))
                seen.update(result.spans)
    return taken[:k]


def _part(half: Found, shown: Sequence[tuple[int, Found, Result]], k: int, calibration: Calibration | None) -> Part:
    """A half with the ranks of the shown passages that are among its `k` best."""
    own = {span for result in half.results.ranked[:k] for span in result.spans}
    return Part(
        question=half.query.question,
        passages=[rank for rank, _, result in shown if not own.isdisjoint(result.spans)],
        answered=_answers(half, calibration),
        confidence=_confidence(half, calibration),
    )


def _confidence(found: Found, calibration: Calibration | None) -> float | None:
    if calibration is None:
        return None
    return calibration.confidence(found.evidence.features) if found.evidence.features else 0.0


def _answers(found: Found, calibration: Calibration | None) -> bool:
    """Returns whether something was found, surely enough."""
    confidence = _confidence(found, calibration)
    enough = calibration is None or confidence is None or confidence >= calibration.threshold
    return bool(found.results.ranked) and enough


def _ranked(rank: int, found: Found, result: Result, scorer: Scorer) -> RankedPassage:
    return RankedPassage(
        rank=rank,
        score=result.hit.score,
        scores=Scores(result.hit.dense, result.hit.bm25, result.reranked),
        text=result.passage.text,
        tokens=result.passage.tokens,
        highlights=mark(result.passage, features(found.evidence.sentences[result.hit.row]), scorer),
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
