"""Abstention: measures how well confidence predicts whether the passages answer the question."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from rag_qa.evaluation.results import Abstention
from rag_qa.evaluation.statistics import aggregate, estimate

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["judge_abstention"]

BINS = 10


def judge_abstention(
    source: str, confidences: Sequence[float], answered: Sequence[bool], right: Sequence[bool]
) -> Abstention:
    """Measures confidence over all questions, including those that cannot be answered.

    Args:
        source: the source of the confidences, as `Abstention.confidence`.
        confidences: from 0 to 1; 0 where nothing was found.
        answered: whether the answer counts as an answer.
        right: whether its passages hold evidence.
    """
    sure, correct = np.asarray(confidences, dtype=float), np.asarray(right, dtype=bool)
    flags = np.asarray(answered, dtype=bool)
    found = {
        "auroc": estimate(_auroc, sure, correct),
        "accuracy": aggregate((flags == correct).astype(float).tolist()),
        "ece": estimate(_of_each(_calibration_error), sure, correct, biased=True),
        "aurc": estimate(_of_each(_area), sure, correct),
    }
    coverage, risk = _risk_coverage(sure, correct)
    return Abstention(
        source,
        {name: value for name, value in found.items() if value is not None},
        list(zip(coverage.tolist(), risk.tolist(), strict=True)),
    )


def _of_each(figure: "Callable[..., float]") -> "Callable[..., NDArray[np.float64]]":
    """Returns a function that computes a figure of n questions for each row of arrays of shape (..., n)."""
    return np.vectorize(figure, otypes=[float], signature="(n),(n)->()")


def _auroc(confidence: "NDArray[np.float64]", right: "NDArray[np.bool_]") -> "NDArray[np.float64]":
    """Returns the chance that a right answer has more confidence than a wrong one; ties count half (Mann, Whitney).

    Both arrays are of shape (..., questions); NaN where all answers are right, or all wrong.
    """
    positive = right.sum(axis=-1)
    pairs = positive * (right.shape[-1] - positive)
    ranks = np.where(right, stats.rankdata(confidence, axis=-1), 0.0).sum(axis=-1)
    with np.errstate(invalid="ignore"):
        chance: NDArray[np.float64] = (ranks - positive * (positive + 1) / 2) / pairs
    return chance


def _calibration_error(confidence: "NDArray[np.float64]", right: "NDArray[np.bool_]") -> float:
    """Returns the expected calibration error over ten bins of equal width (Naeini, Cooper and Hauskrecht 2015)."""
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    by_bin = np.argsort(bins, kind="stable")
    ends = np.cumsum(np.bincount(bins, minlength=BINS))[:-1]
    confidences, rights = np.split(confidence[by_bin], ends), np.split(right[by_bin], ends)
    gaps = [abs(float(sure.sum() - correct.sum())) for sure, correct in zip(confidences, rights, strict=True)]
    return sum(gaps) / len(confidence)


def _area(confidence: "NDArray[np.float64]", right: "NDArray[np.bool_]") -> float:
    """Returns the area under the risk-coverage curve (Geifman and El-Yaniv 2017): the mean risk over all coverages."""
    coverage, risk = _risk_coverage(confidence, right)
    return float(np.sum(risk * np.diff(coverage, prepend=0.0)))


def _risk_coverage(
    confidence: "NDArray[np.float64]", right: "NDArray[np.bool_]"
) -> "tuple[NDArray[np.float64], NDArray[np.float64]]":
    """Returns coverage and risk after each group of equally confident answers, most confident first."""
    order = np.argsort(-confidence, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(confidence[order]) != 0, True))
    wrong = np.cumsum(~right[order])[ends]
    return (ends + 1) / len(right), wrong / (ends + 1)
