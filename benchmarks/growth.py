"""Measures the cost of a larger collection: building, size on disk, milliseconds of an answer by stage, memory.

    python benchmarks/growth.py TEXTS FOLDER [--passages 5000 50000 500000] [--json FILE] [--chart FILE.svg]

TEXTS is a folder of text files, whose sentences are recombined into collections of the given sizes under FOLDER, where
an existing collection is reused. Vectors of passages are made around real ones (stand_in.py), since encoding half a
million would take a day; questions are encoded by the real model, each asked once, in a process of its own. Seconds of
building do not include encoding. Resident memory includes the pages of mapped files that the questions touched, which
the system can reclaim; anonymous memory is the part that it cannot.
"""

import argparse
import json
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
from recording import record, table
from stand_in import SENTENCE_END, StandInEncoder, real_vectors, write_texts

from rag_qa import Engine, build
from rag_qa.models.sentence_transformer import SentenceEncoder
from rag_qa.settings import DEFAULT_ENCODER

PASSAGES_A_MEGABYTE = 1550
QUESTIONS = 300
STAGES = ("encode", "dense", "lexical", "total")


def built(texts: list[Path], folder: Path, passages: int) -> dict[str, float]:
    """Builds a collection unless it exists; returns its size, and the seconds that building took."""
    place = folder / str(passages)
    report = place / "built.json"
    if not report.exists():
        shutil.rmtree(place, ignore_errors=True)  # left over from an interrupted run
        write_texts(texts, place / "documents", max(1, round(passages / PASSAGES_A_MEGABYTE)))
        real = SentenceEncoder.from_name(DEFAULT_ENCODER)
        encoder = StandInEncoder(real, real_vectors(texts, folder / "real.npy", real))
        started = time.perf_counter()
        found = build([place / "documents"], place / "index", encoder=encoder)
        seconds = time.perf_counter() - started
        stored = sum(path.stat().st_size for path in (place / "index" / "snapshots").rglob("*") if path.is_file())
        row = {"passages": found.passages.total, "built in s, encoding left out": seconds, "MB on disk": stored / 1e6}
        report.write_text(json.dumps(row))
    return json.loads(report.read_text())


def questions(texts: list[Path]) -> list[str]:
    """Returns questions made of words of the sentences that the collections are made of."""
    chance = random.Random(2)
    sentences = [
        sentence.split() for path in texts for sentence in SENTENCE_END.split(path.read_text("utf-8", "replace"))
    ]
    long = [words for words in sentences if 8 <= len(words) <= 40]
    return [" ".join(chance.sample(words, 8)) for words in chance.sample(long, QUESTIONS)]


def ask(index: Path, asked: list[str]) -> None:
    """Asks the questions in this process, and prints a row as JSON."""
    with Engine.open(index) as engine:
        for number in range(10):
            engine.ask(f"a question that warms up {number}")
        timings = [engine.ask(question).timings_ms for question in asked]
    memory = psutil.Process().memory_info()
    row = {f"{stage} p50 ms": float(np.median([getattr(each, stage) for each in timings])) for stage in STAGES}
    totals = [each.total for each in timings]
    row |= {f"total p{share} ms": float(np.percentile(totals, share)) for share in (95, 99)}
    row |= {"resident MB": memory.rss / 1e6, "anonymous MB": (memory.rss - memory.shared) / 1e6}
    print(json.dumps(row))


def chart(rows: list[dict[str, float]], path: Path) -> None:
    """Draws latency, memory, building and size against the number of passages."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6), layout="constrained")
    panels = {
        "milliseconds of an answer": ["total p50 ms", "total p95 ms"],
        "megabytes of memory": ["resident MB", "anonymous MB"],
        "seconds of building, without encoding": ["built in s, encoding left out"],
        "megabytes on disk": ["MB on disk"],
    }
    for axes, (title, columns) in zip(figure.subplots(2, 2).flat, panels.items(), strict=True):
        for column in columns:
            axes.plot([row["passages"] for row in rows], [row[column] for row in rows], marker="o", label=column)
        axes.set(title=title, xlabel="passages", xscale="log")
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Builds the collections, asks the questions, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--passages", type=int, nargs="+", default=[5000, 50_000, 500_000])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--chart", type=Path)
    parser.add_argument("--ask", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    texts = sorted(path for path in given.texts.rglob("*") if path.is_file())
    if given.ask:
        ask(given.ask, questions(texts))
        return
    given.folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for passages in given.passages:
        row = built(texts, given.folder, passages)
        command = [sys.executable, *sys.argv, "--ask", str(given.folder / str(passages) / "index")]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        rows.append(row | json.loads(done.stdout.splitlines()[-1]))
    table(rows)
    if given.json:
        record(given.json, rows)
    if given.chart:
        chart(rows, given.chart)


if __name__ == "__main__":
    main()
