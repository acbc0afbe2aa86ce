"""Ranking measures, by hand."""

import pytest

from rag_qa.evaluation.run.measures import ranking_measures


def test_ranking_measures_by_hand():
    relevant = {"a": {"x": 1, "y": 1}, "b": {"z": 1}, "c": {"z": 1}}
    scores = ranking_measures(relevant, {"a": ["n", "x", "m", "y"], "b": ["z"]})
    assert scores["a"]["hit@1"] == 0
    assert scores["a"]["hit@3"] == 1
    assert scores["a"]["recall@5"] == 1
    assert scores["a"]["mrr"] == 0.5
    assert scores["a"]["precision@5"] == 2 / 5
    assert scores["a"]["map"] == (1 / 2 + 2 / 4) / 2
    assert scores["a"]["ndcg@10"] == pytest.approx((0.63093 + 0.43068) / (1 + 0.63093), abs=1e-4)
    assert scores["b"]["ndcg@10"] == 1
    assert set(scores["c"].values()) == {0.0}  # a question without a result scores zero
