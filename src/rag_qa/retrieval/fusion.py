"""Candidates to one ranking: a weighted sum of how near a passage is, and how much of the question's words it covers.

No score is stretched to fit the candidates: as in the theoretical min-max scaling of Bruch, Gai and Ingber, "An
Analysis of Fusion Functions for Hybrid Retrieval" (2023), each is divided by the largest value it could have, so that
a question of which nothing is found has low scores only.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct, structs

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Candidate", "Weights", "fuse", "order"]

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
    reading: int = 0
    """Which reading of the question it has its score by."""

    def with_score(self, score: float) -> "Candidate":
        """The same with another score."""
        return structs.replace(self, score=score)


def fuse(
    dense: "NDArray[np.floating[Any]]",
    lexical: "NDArray[np.float64]",
    coverage: "NDArray[np.float64]",
    highest: float,
    weights: Weights,
    factor: float = 1.0,
) -> "NDArray[np.float64]":
    """The scores of n candidates by one reading of a question, of shape (n,).

    Args:
        dense: their inner products, of shape (n,).
        lexical: their BM25 scores, of shape (n,); 0 for those that share no word with the question.
        coverage: how much of the question's words they cover, alone and with their neighbours, of shape (2, n).
        highest: the largest BM25 score that a passage can have.
        weights: what each part counts.
        factor: what this reading's scores count.
    """
    score = weights.dense * np.maximum(dense, 0.0) + weights.own * coverage[0] + weights.near * coverage[1]
    if highest:
        score = score + weights.bm25 * lexical / highest
    scores: NDArray[np.float64] = np.round(factor * score, SCORE_DIGITS)
    return scores


def order(
    rows: "NDArray[np.int64]",
    scores: "NDArray[np.float64]",
    dense: "NDArray[np.floating[Any]]",
    lexical: "NDArray[np.float64]",
) -> list[Candidate]:
    """Candidates best first, each by the reading that scores it highest, of equal ones the first.

    Equal scores are ordered by row, which is by document and offset.

    Args:
        rows: of n passages, of shape (n,).
        scores: by each of m readings, of shape (m, n).
        dense: inner products that they were made of, of the same shape.
        lexical: the same of BM25 scores.
    """
    every = np.arange(len(rows))
    reading = scores.argmax(axis=0)
    best = scores[reading, every]
    parts = (np.round(made_of[reading, every].astype(np.float64), SCORE_DIGITS) for made_of in (dense, lexical))
    ordered = np.lexsort((rows, -best))
    columns = (column[ordered].tolist() for column in (rows, best, *parts, reading))
    return [Candidate(*values) for values in zip(*columns, strict=True)]
