"""(question, measure, value) first, aggregates after; a question without a result scores zero.

Ranking measures are trec_eval's, through ir-measures.
"""

from collections.abc import Mapping, Sequence

import ir_measures
import numpy as np
from ir_measures import RR, Measure, R, Success, nDCG
from msgspec import Struct
from scipy import stats

__all__ = ["DEEP_MEASURES", "MEASURES", "Aggregate", "aggregate", "ranking_measures"]

MEASURES: dict[str, Measure] = {
    "hit@1": Success @ 1,
    "hit@3": Success @ 3,
    "recall@5": R @ 5,
    "recall@10": R @ 10,
    "mrr": RR,
    "ndcg@10": nDCG @ 10,
}
DEEP_MEASURES: dict[str, Measure] = MEASURES | {"recall@100": R @ 100}
RESAMPLES = 2000


class Aggregate(Struct, frozen=True):
    """A mean over questions with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


def ranking_measures(
    relevant: Mapping[str, Mapping[str, int]],
    ranked: Mapping[str, Sequence[str]],
    measures: Mapping[str, Measure] = MEASURES,
) -> dict[str, dict[str, float]]:
    """Each question's ranking measures.

    Args:
        relevant: by question, the relevant items and their grade.
        ranked: by question, the items that were found, best first.
        measures: which, by name.
    """
    names = {measure: name for name, measure in measures.items()}
    scores = {question: dict.fromkeys(measures, 0.0) for question in relevant}
    # Ranks become scores, so that trec_eval's own breaking of ties changes no order.
    run = {question: {item: -float(rank) for rank, item in enumerate(items)} for question, items in ranked.items()}
    for metric in ir_measures.iter_calc(list(names), _plain(relevant), run):
        scores[metric.query_id][names[metric.measure]] = float(metric.value)
    return scores


def aggregate(values: Sequence[float]) -> Aggregate:
    """The mean with its percentile bootstrap interval (Efron 1979), the same at every run."""
    mean = float(np.mean(values))
    if len(set(values)) == 1:
        return Aggregate(mean, mean, mean)
    interval = stats.bootstrap(
        (np.asarray(values),),
        np.mean,
        n_resamples=RESAMPLES,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return Aggregate(mean, float(interval.low), float(interval.high))


def _plain(relevant: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    return {question: dict(items) for question, items in relevant.items()}
