"""How long an answer takes: the whole command, and a question in an open engine, by stage."""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

from rag_qa import Engine
from rag_qa.evaluation.gold import load_gold

ROUNDS = 5
COMMANDS = 5
STAGES = ("encode", "dense", "lexical", "total")


def commands(index: Path, question: str) -> list[float]:
    """Seconds of whole `ask` processes."""
    seconds = []
    for _ in range(COMMANDS):
        started = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "rag_qa", "ask", question, "--index", index], stdout=subprocess.DEVNULL, check=True
        )
        seconds.append(time.perf_counter() - started)
    return seconds


def stages(index: Path, questions: list[str]) -> dict[str, list[float]]:
    """Milliseconds of each stage, over all questions, by `ROUNDS` engines, none of which knows a question already."""
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
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--index", type=Path, default=Path("index"))
    parser.add_argument("--gold", type=Path, default=Path("eval/gold.jsonl"))
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    questions = [question.question for question in load_gold(arguments.gold)]
    whole = commands(arguments.index, questions[0])
    rows = {"whole command, s": whole, **{f"{s}, ms": t for s, t in stages(arguments.index, questions).items()}}
    table = {
        name: {"p50": statistics.median(values), "p95": statistics.quantiles(values, n=20)[-1]}
        for name, values in rows.items()
    }
    for name, row in table.items():
        print(f"{name:18} p50 {row['p50']:8.3f}   p95 {row['p95']:8.3f}")
    if arguments.json:
        machine = {
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "system": platform.system(),
            "onnxruntime": version("onnxruntime"),
            "passages": Engine.open(arguments.index).manifest.counts.passages,
        }
        arguments.json.write_text(json.dumps({"machine": machine, "table": table}, indent=1) + "\n")


if __name__ == "__main__":
    main()
