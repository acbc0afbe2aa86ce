"""Ranking measures of each question, computed by trec_eval through ir-measures."""

from collections.abc import Mapping, Sequence

import ir_measures
from ir_measures import AP, RR, Measure, P, R, Success, nDCG

from rag_qa.evaluation.names import CUTOFFS, RANKING
from rag_qa.evaluation.results import Qrels

__all__ = ["ranking_measures"]

MEASURES: dict[str, Measure] = {
    **{f"hit@{k}": Success @ k for k in CUTOFFS},
    **{f"recall@{k}": R @ k for k in CUTOFFS},
    "precision@5": P @ 5,
    "mrr": RR,
    "map": AP,
    "ndcg@10": nDCG @ 10,
}


def ranking_measures(relevant: Qrels, ranked: Mapping[str, Sequence[str]]) -> dict[str, dict[str, float]]:
    """Returns the ranking measures by question; a question without a result scores zero.

    Args:
        relevant: by question, the grade of each relevant item.
        ranked: by question, the retrieved items, best first.
    """
    names = {MEASURES[name]: name for name in RANKING}
    scores = {question: dict.fromkeys(RANKING, 0.0) for question in relevant}
    # Ranks serve as scores: they have no ties, which trec_eval would break in an order of its own.
    run = {question: {item: -float(rank) for rank, item in enumerate(items)} for question, items in ranked.items()}
    plain = {question: dict(items) for question, items in relevant.items()}
    for metric in ir_measures.iter_calc(list(names), plain, run):
        scores[metric.query_id][names[metric.measure]] = float(metric.value)
    return scores
