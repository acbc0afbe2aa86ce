"""Candidates to one ranking: a weighted sum of a passage's similarity to the question and its coverage of the terms.

No score is stretched to fit the candidates: as in the theoretical min-max scaling of Bruch, Gai and Ingber, "An
Analysis of Fusion Functions for Hybrid Retrieval" (2023), each is divided by the largest value it could have, so that
a question of which nothing is found has low scores only.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct

from rag_qa.settings import Settings

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Hit", "Weights", "fuse", "order"]

SCORE_DIGITS = 6  # scores that differ less are equal: encoding in another batch changes the seventh digit
# Chosen by cross-validation over six collections: docs/decisions/0014-fusion.md.
OWN_SHARE, NEIGHBOURS_SHARE = 0.4, 0.6


class Weights(Struct, frozen=True):
    """Weights of the parts of a score; together 1."""

    dense: float
    bm25: float
    own: float
    """Weight of the share of the question's terms that the passage holds."""
    neighbours: float
    """Weight of the share that it holds with its neighbours."""

    @classmethod
    def from_settings(cls, settings: Settings) -> "Weights":
        """Weights in which coverage has what the dense score leaves, or BM25 where coverage does not count."""
        dense, rest = settings.dense_weight, 1 - settings.dense_weight
        if settings.word_coverage:
            return cls(dense, 0.0, OWN_SHARE * rest, NEIGHBOURS_SHARE * rest)
        return cls(dense, rest, 0.0, 0.0)


class Hit(Struct, frozen=True):
    """A passage's row with its fused score in 0..1, and the scores that it was made of."""

    row: int
    score: float
    dense: float
    bm25: float
    variant: int = 0
    """Number of the query's variant by which it has its score."""


def fuse(
    dense: "NDArray[np.floating[Any]]",
    bm25: "NDArray[np.float64]",
    coverage: "NDArray[np.float64]",
    bm25_max: float,
    weights: Weights,
    factor: float = 1.0,
) -> "NDArray[np.float64]":
    """The scores of n candidates by one variant of a query, of shape (n,).

    Args:
        dense: inner products, of shape (n,).
        bm25: BM25 scores, of shape (n,); 0 for candidates that share no term with the variant.
        coverage: shares of the variant's terms that the candidates hold, alone and with their neighbours, of shape
            (2, n).
        bm25_max: the largest BM25 score that a passage can have.
        weights: of these parts.
        factor: of the variant.
    """
    score = weights.dense * np.maximum(dense, 0.0) + weights.own * coverage[0] + weights.neighbours * coverage[1]
    if bm25_max:
        score = score + weights.bm25 * bm25 / bm25_max
    scores: NDArray[np.float64] = np.round(factor * score, SCORE_DIGITS)
    return scores


def order(
    rows: "NDArray[np.int64]",
    scores: "NDArray[np.float64]",
    dense: "NDArray[np.floating[Any]]",
    bm25: "NDArray[np.float64]",
) -> list[Hit]:
    """Hits best first, each by the variant that scores it highest, of equal ones the first.

    Equal scores are ordered by row, which is by document and offset.

    Args:
        rows: of n passages, of shape (n,).
        scores: by each of m variants, of shape (m, n).
        dense: inner products that the scores were made of, of the same shape.
        bm25: BM25 scores that the scores were made of, of the same shape.
    """
    every = np.arange(len(rows))
    variant = scores.argmax(axis=0)
    best = scores[variant, every]
    parts = (np.round(part[variant, every].astype(np.float64), SCORE_DIGITS) for part in (dense, bm25))
    ordered = np.lexsort((rows, -best))
    columns = (column[ordered].tolist() for column in (rows, best, *parts, variant))
    return [Hit(*values) for values in zip(*columns, strict=True)]
