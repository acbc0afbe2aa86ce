"""Compares filtered search with exact search over the allowed passages: recall@10 and milliseconds.

    python benchmarks/filtering.py TEXTS QUESTIONS FOLDER

TEXTS and QUESTIONS hold one text a line. Each text becomes a record of a feed in FOLDER/documents, with fields that
select 90 %, 10 %, 1 % and 0.01 % of the records; FOLDER/index is built of it, or reused.
"""

import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np

from rag_qa import Engine, build
from rag_qa.filters import Filters

SHARES = {
    "ninety": lambda number: number % 10 != 0,
    "ten": lambda number: number % 10 == 1,
    "one": lambda number: number % 100 == 1,
    "tiny": lambda number: number % 10_000 == 1,
}
DEPTH, K = 100, 10


def main() -> None:
    """Brings the index up to date, and prints a row for each share."""
    texts, questions, folder = (Path(argument) for argument in sys.argv[1:])
    feed = folder / "documents" / "feed.jsonl"
    feed.parent.mkdir(parents=True, exist_ok=True)
    with feed.open("w") as written:
        for number, text in enumerate(texts.read_text("utf-8").splitlines()):
            record = {"text": text} | {name: selects(number) for name, selects in SHARES.items()}
            written.write(json.dumps(record) + "\n")
    build([folder / "documents"], folder / "index")
    asked = questions.read_text("utf-8").splitlines()
    with Engine.open(folder / "index") as engine:
        print(f"{engine.manifest.counts.passages} passages, {len(asked)} questions")
        print("filter    allowed  recall@10  lowest  median ms")
        for name in SHARES:
            filters = Filters(metadata={name: True})
            allowed = engine._catalogue().allowed(filters)
            recalls, seconds = [], []
            for question in asked:
                started = time.perf_counter()
                ranking = engine.rank(question, K, filters)
                seconds.append(time.perf_counter() - started)
                found = {candidate.row for candidate in ranking.candidates[:K]}
                wanted = exact(engine, question, allowed)
                recalls.append(len(found & wanted) / len(wanted))
            milliseconds = statistics.median(seconds) * 1000
            share = allowed.mean()
            print(f"{name:8} {share:8.4%}  {np.mean(recalls):9.4f}  {min(recalls):6.2f}  {milliseconds:9.2f}")


def exact(engine: Engine, question: str, allowed: np.ndarray) -> set[int]:
    """Returns the rows of the K best passages, from scores of every allowed passage and from all BM25 hits."""
    corpus, search = engine._corpus, engine.finder.search
    rows = np.flatnonzero(allowed)
    readings = search.read(question).readings
    candidates: set[int] = set()
    worded = []
    for reading in readings:
        near = corpus.scores(reading.vector[np.newaxis], rows)[0]
        words = corpus.lexical.search(reading.text, len(allowed))
        worded.append(dict([(row, score) for row, score in words.items() if allowed[row]][:DEPTH]))
        candidates |= {*rows[np.argsort(-near, kind="stable")[:DEPTH]].tolist(), *worded[-1]}
    ordered = search.ordered(readings, np.array(sorted(candidates)), worded)
    return {candidate.row for candidate in ordered[:K]}


if __name__ == "__main__":
    main()
