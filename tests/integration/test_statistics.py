"""Intervals and tests by simulation, with a truth that is known."""

import numpy as np

from rag_qa.evaluation import statistics
from rag_qa.evaluation.statistics import aggregate, paired_difference

GAINS = np.append(1 / np.log2(1 + np.arange(1, 11)), 0.0)


def draw(random, size):
    """nDCG@10 of questions with one relevant passage."""
    return random.choice(GAINS, size, p=np.append(0.45 * 0.45 ** np.arange(10), 1 - 0.45 * (1 - 0.45**10) / 0.55))


def test_intervals_hold_the_true_mean_in_about_95_of_100_samples():
    random = np.random.default_rng(3)
    everything = draw(random, 50_000)
    for questions in (50, 300):
        found = [aggregate(random.choice(everything, questions).tolist()) for _ in range(300)]
        covered = np.mean([each.low <= everything.mean() <= each.high for each in found])
        assert 0.92 <= covered <= 0.98, questions


def test_chance_is_seldom_taken_for_a_difference_and_a_gain_is_mostly_found(monkeypatch):
    monkeypatch.setattr(statistics, "PERMUTATIONS", 999)
    monkeypatch.setattr(statistics, "RESAMPLES", 50)  # the intervals are not looked at
    random = np.random.default_rng(5)
    false, true = [], []
    for _ in range(100):
        first, second = draw(random, 300), draw(random, 300)
        second = np.where(random.random(300) < 0.7, first, second)
        false.append(paired_difference(first, second).p < 0.05)
        true.append(paired_difference(first, second + 0.05).p < 0.05)
    assert np.mean(false) <= 0.07
    assert np.mean(true) >= 0.80
