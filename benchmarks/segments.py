"""Measures recall and cost of a segment's graph, with tombstones and filters, and the cost of merging segments.

    python benchmarks/segments.py VECTORS [--passages 131072]

VECTORS is a file of real vectors, such as scale.py writes (real.npy), between which the vectors of the passages are
made (stand_in.py). Prints three tables: efforts of a search, shares of allowed passages, and rules of merging.
"""

import argparse
import random
import tempfile
import time
from pathlib import Path

import numpy as np
from stand_in import StandInEncoder

from rag_qa.index.local.segment import vectors
from rag_qa.index.local.segment.vectors import VectorIndex, VectorWriter
from rag_qa.index.local.snapshot import merge_policy
from rag_qa.models.sentence_transformer import SentenceEncoder
from rag_qa.settings import DEFAULT_ENCODER

DEPTH, QUESTIONS, FILTERED_QUESTIONS = 100, 200, 20
SHARES = (1.0, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.3, 0.1)
GROWTHS = (2, 5, 10, 20)


def main() -> None:
    """Prints the tables."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("vectors", type=Path)
    arguments.add_argument("--passages", type=int, default=131_072)
    given = arguments.parse_args()
    encoder = StandInEncoder(SentenceEncoder.from_name(DEFAULT_ENCODER), np.load(given.vectors))
    questions = encoder.encode_passages([f"question {number}" for number in range(QUESTIONS)])
    with tempfile.TemporaryDirectory() as temporary:
        index = built(encoder, Path(temporary), given.passages, questions)
        shares(index, questions, given.passages)
    merging()


def built(encoder: StandInEncoder, folder: Path, passages: int, questions: np.ndarray) -> VectorIndex:
    """Builds a segment's vectors with their graph; prints the time, and a row for each effort."""
    writer = VectorWriter(folder)
    for first in range(0, passages, 4096):
        writer.add(encoder.encode_passages([f"passage {n}" for n in range(first, min(first + 4096, passages))]))
    started = time.perf_counter()
    graph = writer.seal(1, questions[: QUESTIONS // 2])
    seconds = time.perf_counter() - started
    size = (folder / "graph.faiss").stat().st_size / passages
    print(f"{passages} passages, graph built in {seconds:.0f} s, {size:.0f} bytes a passage, {graph}")
    index = VectorIndex.open(folder, passages, questions.shape[1], graph)
    print("effort   recall@100   lowest   ms by graph   ms exact")
    for effort in vectors.EFFORTS:
        index._effort = effort
        print(f"{effort:6} {row(index, questions, None)}")
    index._effort = graph.effort
    return index


def shares(index: VectorIndex, questions: np.ndarray, passages: int) -> None:
    """Prints recall and milliseconds where only a share of the passages is allowed."""
    print("share    recall@100   lowest   ms by graph   ms exact   (any of the passages, as with tombstones)")
    for share in SHARES:
        allowed = np.random.default_rng(0).random(passages) < share
        print(f"{share:6.0%} {row(index, questions, allowed)}")
    print(
        "share    recall@100   lowest   ms by graph   ms exact   (the farthest from a question, the worst of filters)"
    )
    every = index.vectors(range(passages))
    for share in SHARES[1:]:
        found = [
            row(index, questions[number : number + 1], farthest(every @ questions[number], share))
            for number in range(FILTERED_QUESTIONS)
        ]
        means = np.mean([[float(value) for value in each.split()] for each in found], axis=0)
        print(
            f"{share:6.0%} {means[0]:12.4f} {min(float(each.split()[1]) for each in found):8.2f} "
            f"{means[2]:13.2f} {means[3]:10.2f}"
        )


def farthest(nearness: np.ndarray, share: float) -> np.ndarray:
    """Returns which passages are in the given share of those least similar to the question."""
    return nearness <= np.quantile(nearness, share)


def row(index: VectorIndex, questions: np.ndarray, allowed: np.ndarray | None) -> str:
    """Returns recall, lowest recall, and milliseconds by graph and by exact search, as a row."""
    started = time.perf_counter()
    by_graph = [index.search(question, DEPTH, allowed) for question in questions]
    between = time.perf_counter()
    exact = [index.search(question, DEPTH, allowed, exact=True) for question in questions]
    ended = time.perf_counter()
    recalls = [len(one.keys() & other.keys()) / len(other) for one, other in zip(by_graph, exact, strict=True)]
    graph_ms, exact_ms = (
        (end - start) / len(questions) * 1000 for start, end in ((started, between), (between, ended))
    )
    return f"{np.mean(recalls):12.4f} {min(recalls):8.2f} {graph_ms:13.2f} {exact_ms:10.2f}"


def merging() -> None:
    """Prints the cost of a thousand small changes to 500,000 passages, by the rule of merging."""
    print("growth   segments, most   copies of a passage   largest copy but for the full")
    for growth in GROWTHS:
        merge_policy.GROWTH = growth
        chance = random.Random(0)
        segments = dict.fromkeys(range(3), (131072, 131072)) | {3: (106_784, 106_784)}
        fresh_in_all, copied, most, largest = 0, 0, 0, 0
        for number in range(4, 1004):
            fresh = chance.choice([1, 10, 100, 400])
            taken = sum(segments.pop(other)[0] for other in merge_policy.to_merge(segments, fresh, 131_072))
            segments[number] = (fresh + taken, fresh + taken)
            fresh_in_all, copied = fresh_in_all + fresh, copied + taken
            most, largest = max(most, len(segments)), max(largest, taken)
        print(f"{growth:6} {most:16} {copied / fresh_in_all:21.1f} {largest:31}")


if __name__ == "__main__":
    main()
