"""Checks the statistics of `rag-qa eval` on simulated runs with and without a true difference.

    python benchmarks/significance.py [--simulations 1000] [--questions 300] [--runs BASE.json OTHER.json]

Values are nDCG@10 of questions with one relevant passage, drawn from an invented distribution of ranks; with --runs,
from those of two real runs (`rag-qa eval --json`). Without a true difference, the values of the two runs are swapped at
random for each question. With one, the second run is also better by .05. The number of questions needed to detect this
depends on the spread of the differences, which is printed.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

from rag_qa.evaluation.compare.comparison import load_reports
from rag_qa.evaluation.run.abstention import judge_abstention
from rag_qa.evaluation.statistics import SIGNIFICANT, aggregate, estimate, paired_difference

GAIN = 0.05
MEASURE = "ndcg@10"
POPULATION = 4_000
Pairs = tuple[np.ndarray, np.ndarray]


def made_up(size: int, random: np.random.Generator) -> Pairs:
    """Returns two simulated runs that agree on seven of ten questions."""
    gains = np.append(1 / np.log2(1 + np.arange(1, 11)), 0.0)
    chances = np.append(0.45 * 0.45 ** np.arange(10), 0.0)
    chances[-1] = 1 - chances.sum()
    first, second = (random.choice(gains, size, p=chances) for _ in range(2))
    return first, np.where(random.random(size) < 0.7, first, second)


def real(paths: list[Path]) -> Pairs:
    """Returns the values of the questions that two real runs share."""
    first, second = (
        {each.id: each.measures[MEASURE] for each in load_reports(path)[0].questions if each.answerable}
        for path in paths
    )
    shared = [name for name in first if name in second]
    return np.array([first[name] for name in shared]), np.array([second[name] for name in shared])


def without_difference(pairs: Pairs, random: np.random.Generator) -> Pairs:
    """Returns the pairs, each swapped at random."""
    swapped = random.random(len(pairs[0])) < 0.5
    return np.where(swapped, pairs[1], pairs[0]), np.where(swapped, pairs[0], pairs[1])


def with_difference(pairs: Pairs, random: np.random.Generator) -> Pairs:
    """Returns the pairs, each swapped at random, with a gain of .05 for the second run."""
    first, second = without_difference(pairs, random)
    return first, second + GAIN


def rejected(
    change: Callable[[Pairs, np.random.Generator], Pairs],
    pairs: Pairs,
    questions: int,
    simulations: int,
    random: np.random.Generator,
) -> float:
    """Returns the share of the simulations in which the test finds a difference."""
    found = 0
    for _ in range(simulations):
        drawn = random.integers(0, len(pairs[0]), questions)
        first, second = change((pairs[0][drawn], pairs[1][drawn]), random)
        found += paired_difference(first.tolist(), second.tolist()).p < SIGNIFICANT
    return found / simulations


def covered(values: np.ndarray, questions: int, simulations: int, random: np.random.Generator) -> float:
    """Returns the share of the simulations in which the interval holds the mean of all values."""
    found = 0
    for _ in range(simulations):
        interval = aggregate(random.choice(values, questions).tolist())
        found += interval.low <= values.mean() <= interval.high
    return found / simulations


def others_covered(questions: int, simulations: int, random: np.random.Generator) -> dict[str, float]:
    """Returns these shares for figures other than means: those of a slightly miscalibrated system, and latency."""
    confidence = random.beta(3, 1.5, POPULATION)
    right = random.random(POPULATION) < np.clip(1.15 * confidence - 0.1, 0, 1)
    latency = random.lognormal(2, 0.4, POPULATION)
    figures = judge_abstention("", confidence.tolist(), [True] * POPULATION, right.tolist()).metrics
    truth = {name: each.value for name, each in figures.items()} | {"latency_p95": float(np.percentile(latency, 95))}
    found = dict.fromkeys(truth, 0)
    for _ in range(simulations):
        drawn = random.integers(0, POPULATION, questions)
        abstention = judge_abstention("", confidence[drawn], [True] * questions, right[drawn])
        p95 = estimate(lambda values: np.percentile(values, 95, axis=-1), latency[drawn])
        for name, each in (abstention.metrics | {"latency_p95": p95}).items():
            found[name] += each.low <= truth[name] <= each.high
    return {name: count / simulations for name, count in found.items()}


def main() -> None:
    """Simulates and prints the shares."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=1000)
    parser.add_argument("--questions", type=int, default=300)
    parser.add_argument("--runs", nargs=2, type=Path)
    given = parser.parse_args()
    random = np.random.default_rng(7)
    pairs = real(given.runs) if given.runs else made_up(100_000, random)
    spread = float(np.std(pairs[1] - pairs[0]))
    print(f"{given.simulations} simulations; the runs differ by {spread:.3f} (standard deviation) a question")
    for name, change in {"no true difference": without_difference, f"gain of {GAIN}": with_difference}.items():
        share = rejected(change, pairs, given.questions, given.simulations, random)
        print(f"paired test, {given.questions} questions, {name:20} significant in {share:.1%}")
    for questions in (50, 100, given.questions):
        share = covered(pairs[0], questions, given.simulations, random)
        print(f"interval,    {questions:3} questions  {'':20} holds the mean in {share:.1%}")
    for questions in (68, given.questions):
        for name, share in others_covered(questions, given.simulations // 5, random).items():
            print(f"interval,    {questions:3} questions  {name:20} holds the true value in {share:.1%}")


if __name__ == "__main__":
    main()
