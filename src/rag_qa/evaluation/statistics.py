"""Statistics over questions: bootstrap intervals, and paired randomization tests of differences (both scipy's)."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy import stats

from rag_qa.evaluation.results import Aggregate, Difference

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["SIGNIFICANT", "adjusted", "aggregate", "estimate", "paired_difference"]

LEVEL = 0.95
SIGNIFICANT = 0.05
RESAMPLES = 2000
CORRECTED_UP_TO = 1000  # questions: BCa needs memory for their square, and its correction vanishes with their number
PERMUTATIONS = 9999
AT_ONCE = 200  # resamples or permutations held in memory together
EQUAL = 1e-9  # values that differ by at most this are a tie


def aggregate(values: Sequence[float]) -> Aggregate:
    """Returns the mean with its BCa bootstrap interval (Efron 1987; percentile above 1,000 values).

    The seed is fixed, so the interval is the same in every run. Where all values are equal, the interval has no width.
    """
    mean = float(np.mean(values))
    if np.ptp(values) <= EQUAL:
        return Aggregate(mean, mean, mean)
    interval = _bootstrap(values, "BCa") if len(values) <= CORRECTED_UP_TO else (np.nan, np.nan)
    if not np.isfinite(interval).all():  # too many values for BCa, or too few different ones
        interval = _bootstrap(values, "percentile")
    return Aggregate(mean, *interval)


def estimate(
    statistic: "Callable[..., NDArray[np.float64]]", *columns: "ArrayLike", biased: bool = False
) -> Aggregate | None:
    """Returns a figure that is no mean, with its percentile bootstrap interval; None where it is not defined.

    Args:
        statistic: computes figures of shape (...) from arrays of shape (..., questions); NaN where one is not defined.
        columns: arrays of equal length, one value per question; a resample draws the same questions in all of them.
        biased: whether the figure rises as questions become fewer; the interval is then the reverse percentile
            interval, which may lie below the figure (Efron and Tibshirani 1993, section 13.4).
    """
    arrays = [np.asarray(column) for column in columns]
    value = float(statistic(*arrays))
    if not np.isfinite(value):
        return None
    random = np.random.default_rng(0)
    questions = len(arrays[0])
    values: list[NDArray[np.float64]] = []
    for _ in range(RESAMPLES // AT_ONCE):
        rows = random.integers(0, questions, (AT_ONCE, questions))
        values.append(statistic(*(array[rows] for array in arrays)))
    low, high = np.nanquantile(np.concatenate(values), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    if biased:
        low, high = max(0.0, 2 * value - high), max(0.0, 2 * value - low)
    return Aggregate(value, float(low), float(high))


def paired_difference(base: Sequence[float], other: Sequence[float]) -> Difference:
    """Returns the mean of `other - base` over questions, with its interval and a paired randomization test.

    The test flips the signs of the differences (Fisher 1935; Smucker, Allan and Carterette 2007, "A Comparison of
    Statistical Significance Tests for Information Retrieval Evaluation"): in all ways where there are few, otherwise
    in 9,999 random ways, the same in every run.
    """
    differences = np.asarray(other, dtype=float) - np.asarray(base, dtype=float)
    differences[np.abs(differences) <= EQUAL] = 0.0
    mean = aggregate(differences.tolist())
    wins, losses = int(np.sum(differences > 0)), int(np.sum(differences < 0))
    p = _sign_flips(differences) if wins + losses > 1 else 1.0  # one difference is as extreme with either sign
    return Difference(mean.value, mean.low, mean.high, p, wins, losses, len(differences) - wins - losses)


def adjusted(p_values: Sequence[float]) -> list[float]:
    """Adjusts the p values of a family of tests to control the false discovery rate (Benjamini and Hochberg 1995)."""
    return [float(p) for p in stats.false_discovery_control(p_values)] if p_values else []


def _bootstrap(values: Sequence[float], method: Literal["BCa", "percentile"]) -> tuple[float, float]:
    with np.errstate(all="ignore"):
        found = stats.bootstrap(
            (np.asarray(values, dtype=float),),
            np.mean,
            n_resamples=RESAMPLES,
            confidence_level=LEVEL,
            method=method,
            batch=AT_ONCE,
            rng=np.random.default_rng(0),
        ).confidence_interval
    return float(found.low), float(found.high)


def _sign_flips(differences: "NDArray[np.float64]") -> float:
    # Flipping the sign of a zero changes nothing, so ties are left out.
    nonzero = differences[differences != 0.0]
    found = stats.permutation_test(
        (nonzero,),
        _mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=PERMUTATIONS,
        batch=AT_ONCE,
        rng=np.random.default_rng(0),
    )
    return float(found.pvalue)


def _mean(values: "NDArray[np.float64]", axis: int) -> "NDArray[np.float64]":
    mean: NDArray[np.float64] = np.mean(values, axis=axis)
    return mean
