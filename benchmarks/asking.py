"""Measures the time of an answer: of the whole command, and of each stage in an open engine.

The whole command takes turns with a plain script that imports sentence-transformers, loads the same model, and searches
the same vectors by FAISS.
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

from recording import record

from rag_qa import Engine
from rag_qa.evaluation.gold.gold_file import load_gold
from rag_qa.models.sentence_transformer import SentenceEncoder
from rag_qa.settings import DEFAULT_ENCODER

ROUNDS = 5
COMMANDS = 5
STAGES = ("encode", "dense", "lexical", "total")


PLAIN = """
import sys, faiss
from sentence_transformers import SentenceTransformer
model, index = SentenceTransformer(sys.argv[1]), faiss.read_index(sys.argv[2])
print(index.search(model.encode([sys.argv[3]], normalize_embeddings=True), 5))
"""


def commands(index: Path, question: str) -> dict[str, list[float]]:
    """Returns the seconds of whole processes, by what they run."""
    with Engine.open(index) as engine:
        snapshot = engine.index.snapshot
        segment = snapshot.segment(snapshot.manifest.segments[0].name)
    model = SentenceEncoder.from_name(DEFAULT_ENCODER).folder
    python = [sys.executable]
    each = {
        "--help, s": [*python, "-m", "rag_qa", "--help"],
        "whole command, s": [*python, "-m", "rag_qa", "ask", question, "--index", str(index)],
        "plain script, s": [*python, "-c", PLAIN, str(model), str(segment / "vectors.faiss"), question],
    }
    seconds: dict[str, list[float]] = {name: [] for name in each}
    for _ in range(COMMANDS):
        for name, command in each.items():
            started = time.perf_counter()
            subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
            seconds[name].append(time.perf_counter() - started)
    return seconds


def stages(index: Path, questions: list[str]) -> dict[str, list[float]]:
    """Returns the milliseconds of each stage over all questions, each asked once of ROUNDS new engines."""
    taken: dict[str, list[float]] = {stage: [] for stage in STAGES}
    for _ in range(ROUNDS):
        with Engine.open(index) as engine:
            engine.ask("a question that warms up")
            for question in questions:
                timings = engine.ask(question).timings_ms
                for stage in STAGES:
                    taken[stage].append(getattr(timings, stage))
    return taken


def main() -> None:
    """Measures and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--index", type=Path, default=Path("index"))
    parser.add_argument("--gold", type=Path, default=Path("eval/gold.jsonl"))
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    questions = [question.question for question in load_gold(arguments.gold)]
    rows = commands(arguments.index, questions[0])
    rows |= {f"{stage}, ms": taken for stage, taken in stages(arguments.index, questions).items()}
    table = {
        name: {"p50": statistics.median(values), "p95": statistics.quantiles(values, n=20)[-1]}
        for name, values in rows.items()
    }
    for name, row in table.items():
        print(f"{name:18} p50 {row['p50']:8.3f}   p95 {row['p95']:8.3f}")
    if arguments.json:
        record(arguments.json, [{"what": name, **row} for name, row in table.items()])


if __name__ == "__main__":
    main()
