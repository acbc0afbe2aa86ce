"""Candidates to one ranking: weighted sum of min-max normalised scores.

A convex combination as in Bruch, Gai and Ingber, "An Analysis of Fusion Functions for Hybrid Retrieval" (2023), with
the observed minimum and maximum of the candidates.
"""

from collections.abc import Mapping

from msgspec import Struct

__all__ = ["Candidate", "fuse"]

SCORE_DIGITS = 6  # scores that differ less are equal: encoding in another batch changes the seventh digit


class Candidate(Struct, frozen=True):
    """A passage's row number with its fused score in 0..1 and the scores behind it."""

    row: int
    score: float
    dense: float
    lexical: float


def fuse(dense: Mapping[int, float], lexical: Mapping[int, float], dense_weight: float) -> list[Candidate]:
    """Ranks the rows of `dense`, best first; equal scores by row, which is by document and offset.

    Args:
        dense: inner product of every candidate.
        lexical: BM25 score of the candidates that share a word with the question; the others count as 0.
        dense_weight: weight of the dense score; the lexical score has the rest.
    """
    near = _normalised(dense)
    worded = _normalised({row: lexical.get(row, 0.0) for row in dense})
    candidates = [
        Candidate(
            row=row,
            score=round(dense_weight * near[row] + (1 - dense_weight) * worded[row], SCORE_DIGITS),
            dense=round(dense[row], SCORE_DIGITS),
            lexical=round(lexical.get(row, 0.0), SCORE_DIGITS),
        )
        for row in dense
    ]
    return sorted(candidates, key=lambda candidate: (-candidate.score, candidate.row))


def _normalised(scores: Mapping[int, float]) -> dict[int, float]:
    """Scores stretched to 0..1; equal ones say nothing about order and become 1, or 0 where all are 0."""
    lowest, highest = min(scores.values(), default=0.0), max(scores.values(), default=0.0)
    if highest == lowest:
        return dict.fromkeys(scores, 1.0 if highest else 0.0)
    return {row: (score - lowest) / (highest - lowest) for row, score in scores.items()}
