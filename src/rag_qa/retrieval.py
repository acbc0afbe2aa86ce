"""Candidates to one ranking: a weighted sum of how near a passage is, and how much of the question's words it covers.

No score is stretched to fit the candidates: as in the theoretical min-max scaling of Bruch, Gai and Ingber, "An
Analysis of Fusion Functions for Hybrid Retrieval" (2023), each is divided by the largest value it could have, so that
a question of which nothing is found has low scores only.
"""

from collections.abc import Iterable, Mapping

from msgspec import Struct, structs

from rag_qa.types import Coverage

__all__ = ["Candidate", "Weights", "best_readings", "fuse", "order"]

SCORE_DIGITS = 6  # scores that differ less are equal: encoding in another batch changes the seventh digit


class Weights(Struct, frozen=True):
    """What each part of the score counts; together 1."""

    dense: float
    bm25: float
    own: float
    """Of the share of the question's terms that the passage holds."""
    near: float
    """The same with its neighbours."""

    @classmethod
    def of(cls, dense: float, *, coverage: bool) -> "Weights":
        """Weights with so much for the dense score; coverage has the rest, or BM25 without it."""
        # Chosen by cross-validation over six collections: docs/decisions/0014-fusion.md.
        bm25, own, near = (0.0, 0.4, 0.6) if coverage else (1.0, 0.0, 0.0)
        return cls(dense, bm25 * (1 - dense), own * (1 - dense), near * (1 - dense))


class Candidate(Struct, frozen=True):
    """A passage's row number with its fused score in 0..1 and what it was made of."""

    row: int
    score: float
    dense: float
    lexical: float
    coverage: Coverage
    reading: int = 0
    """Which reading of the question it has its score by."""

    def with_score(self, score: float) -> "Candidate":
        """The same with another score."""
        return structs.replace(self, score=score)


def fuse(
    dense: Mapping[int, float],
    lexical: Mapping[int, float],
    coverage: Mapping[int, Coverage],
    highest: float,
    weights: Weights,
    reading: int = 0,
    factor: float = 1.0,
) -> dict[int, Candidate]:
    """The rows of `dense` with their scores.

    Args:
        dense: inner product of every candidate.
        lexical: BM25 score of the candidates that share a word with the question; the others count as 0.
        coverage: how much of the question's words each candidate covers.
        highest: the largest BM25 score that a passage can have.
        weights: what each part counts.
        reading: which reading of the question these are scores for.
        factor: what that reading's scores count.
    """
    candidates: dict[int, Candidate] = {}
    for row, near in dense.items():
        worded, covered = lexical.get(row, 0.0), coverage[row]
        score = (
            weights.dense * max(near, 0.0)
            + weights.bm25 * (worded / highest if highest else 0.0)
            + weights.own * covered.own
            + weights.near * covered.near
        )
        candidates[row] = Candidate(
            row=row,
            score=round(factor * score, SCORE_DIGITS),
            dense=round(near, SCORE_DIGITS),
            lexical=round(worded, SCORE_DIGITS),
            coverage=covered,
            reading=reading,
        )
    return candidates


def best_readings(readings: Iterable[Mapping[int, Candidate]]) -> dict[int, Candidate]:
    """Each row as that reading of the question has it that scores it highest; of equal ones the first."""
    best: dict[int, Candidate] = {}
    for candidates in readings:
        for row, candidate in candidates.items():
            if row not in best or candidate.score > best[row].score:
                best[row] = candidate
    return best


def order(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Best first; equal scores by row, which is by document and offset."""
    return sorted(candidates, key=lambda candidate: (-candidate.score, candidate.row))
