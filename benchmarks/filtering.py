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
from msgspec import structs

from rag_qa import Engine, build
from rag_qa.filters import Filters, matcher
from rag_qa.index.records import SearchOptions
from rag_qa.retrieval.fusion import fuse, order
from rag_qa.retrieval.query import read_query
from rag_qa.retrieval.retriever import search

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
        print(f"{engine.info.counts.passages} passages, {len(asked)} questions")
        print("filter    allowed  recall@10  lowest  median ms")
        for name in SHARES:
            filters = Filters(metadata={name: True})
            allowed = passing(engine, filters)
            recalls, seconds = [], []
            for question in asked:
                started = time.perf_counter()
                hits = search(read_query(question, engine.searcher), DEPTH, filters, engine.searcher).hits
                seconds.append(time.perf_counter() - started)
                found = {hit.row for hit in hits[:K]}
                wanted = exact(engine, question, allowed)
                recalls.append(len(found & wanted) / len(wanted))
            milliseconds = statistics.median(seconds) * 1000
            share = allowed.mean()
            print(f"{name:8} {share:8.4%}  {np.mean(recalls):9.4f}  {min(recalls):6.2f}  {milliseconds:9.2f}")


def passing(engine: Engine, filters: Filters) -> np.ndarray:
    """Returns whether the document of each row passes, of shape (passages,)."""
    documents = engine.index.documents()
    passes = matcher(filters, {"title"}.union(*(info.metadata for info, _ in documents)))
    return np.repeat([passes(info) for info, _ in documents], [passages for _, passages in documents])


def exact(engine: Engine, question: str, allowed: np.ndarray) -> set[int]:
    """Returns the rows of the K best passages, from scores of all passages of which those not allowed are dropped."""
    searcher = engine.searcher
    query = read_query(question, searcher)
    terms, shares = ([getattr(variant, name) for variant in query.variants] for name in ("terms", "shares"))
    every = SearchOptions(depth=len(allowed), exact=True)
    whole = searcher.index.search(query.vectors, terms, shares, structs.replace(every, sentences=False))
    scored = searcher.index.search(query.vectors, terms, shares, every)
    chosen = np.zeros(len(allowed), dtype=bool)
    bm25 = np.where(allowed, scored.bm25, 0.0)
    for number in range(len(query.variants)):
        near = np.where(allowed, whole.dense[number], -np.inf)
        chosen[np.argsort(-near, kind="stable")[:DEPTH]] = True
        best = np.argsort(-bm25[number], kind="stable")[:DEPTH]
        bm25[number, np.setdiff1d(np.arange(len(allowed)), best)] = 0.0
        chosen[best[bm25[number, best] > 0]] = True
    rows = np.flatnonzero(chosen & allowed)
    scores = [
        fuse(dense[rows], words[rows], coverage[:, rows], variant.bm25_max, searcher.weights, variant.factor)
        for variant, dense, words, coverage in zip(query.variants, scored.dense, bm25, scored.coverage, strict=True)
    ]
    return {hit.row for hit in order(rows, np.stack(scores), scored.dense[:, rows], bm25[:, rows])[:K]}


if __name__ == "__main__":
    main()
