"""Measures a large collection: memory of indexing, seconds to publish a small change, recall of the graphs.

    python benchmarks/scale.py TEXTS FOLDER [--megabytes 1000] [--json FILE]

TEXTS is a folder of text files, whose sentences are recombined into FOLDER/documents. The vectors are those of a
stand-in for the encoder (stand_in.py): encoding by the real one would take hours and show nothing more about the rest;
its model is loaded all the same, so that its memory counts. FOLDER/index is built of them, or reused.
"""

import argparse
import json
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
from recording import record
from stand_in import StandInEncoder, real_vectors, write_texts

from rag_qa import build
from rag_qa.index import open_index
from rag_qa.index.records import SearchOptions
from rag_qa.models.sentence_transformer import SentenceEncoder
from rag_qa.settings import DEFAULT_ENCODER, Settings

EDITED, QUESTIONS, DEPTH = 10, 100, 100
DELETED_SHARE = 0.15
SECONDS_BETWEEN_SAMPLES = 0.2


def main() -> None:
    """Prints a row for each run."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("texts", type=Path)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--megabytes", type=int, default=1000)
    arguments.add_argument("--json", type=Path)
    arguments.add_argument("--run", action="store_true", help=argparse.SUPPRESS)
    given = arguments.parse_args()
    documents, index = given.folder / "documents", given.folder / "index"
    if given.run:
        index_once(documents, index, np.load(given.folder / "real.npy"))
        return
    texts = sorted(path for path in given.texts.rglob("*") if path.is_file())
    if not documents.exists():
        count = write_texts(
            sorted(path for path in given.texts.rglob("*") if path.is_file()), documents, given.megabytes
        )
        print(f"{count} files, {given.megabytes} MB", flush=True)
    real_vectors(texts, given.folder / "real.npy", SentenceEncoder.from_name(DEFAULT_ENCODER))
    chance = random.Random(1)
    files = sorted(documents.rglob("*.txt"))
    print("run                       seconds  peak MB  documents  passages  encoded  segments  recall@100  lowest")
    rows = [measured("all new", given)]
    rows.append(measured("nothing changed", given))
    for path in chance.sample(files, EDITED):
        path.write_text(f"{path.read_text('utf-8')}\n\nThe harbour master was told at {time.time_ns()}.\n", "utf-8")
    rows.append(measured(f"{EDITED} edited", given))
    for path in chance.sample(files, int(DELETED_SHARE * len(files))):
        path.unlink()
    rows.append(measured(f"{DELETED_SHARE:.0%} deleted", given))
    if given.json:
        record(given.json, [{"megabytes": given.megabytes, **row} for row in rows])


def measured(run: str, given: argparse.Namespace) -> dict[str, object]:
    """Indexes in a process of its own, measures the process and the graphs, and prints a row."""
    command = [sys.executable, __file__, str(given.texts), str(given.folder), "--run"]
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    peak = [0]
    threading.Thread(target=watch_memory, args=(process.pid, peak), daemon=True).start()
    output = process.communicate()[0]
    seconds = time.perf_counter() - started
    report = json.loads(output.splitlines()[-1])
    recalls, segments = recall(given.folder / "index")
    row = {"run": run, "seconds": round(seconds, 1), "peak_mb": round(peak[0] / 1e6), **report, "segments": segments}
    row |= {"recall@100": round(float(np.mean(recalls)), 4), "lowest": round(min(recalls), 2)}
    print(
        f"{run:24} {seconds:8.1f} {peak[0] / 1e6:8.0f} {report['documents']:10} {report['passages']:9} "
        f"{report['encoded']:8} {segments:9} {np.mean(recalls):11.4f} {min(recalls):7.2f}",
        flush=True,
    )
    return row


def index_once(documents: Path, index: Path, vectors: np.ndarray) -> None:
    """Indexes the documents with the stand-in, while the real model is in memory too; prints a row as JSON."""
    encoder = StandInEncoder(SentenceEncoder.from_name(DEFAULT_ENCODER), vectors)
    encoder.model.encode(["The model is in memory."])
    started = time.perf_counter()

    def progress(stage: str, done: int, total: int) -> None:
        nonlocal started
        if time.perf_counter() - started > 30:
            started = time.perf_counter()
            print(f"{stage} {done}/{total}", file=sys.stderr, flush=True)

    report = build([documents], index, Settings(), progress, encoder=encoder)
    passages = report.passages
    print(json.dumps({"documents": report.documents, "passages": passages.total, "encoded": passages.encoded}))


def watch_memory(pid: int, peak: list[int]) -> None:
    """Keeps the peak of the resident bytes of a process and its descendants, until it ends."""
    while True:
        try:
            process = psutil.Process(pid)
            held = 0
            for each in [process, *process.children(recursive=True)]:
                try:
                    held += each.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            peak[0] = max(peak[0], held)
        except psutil.NoSuchProcess:
            return
        time.sleep(SECONDS_BETWEEN_SAMPLES)


def recall(index: Path) -> tuple[list[float], int]:
    """Returns recall@100 of approximate search, with sentences of the collection as questions; the segments' number."""
    opened = open_index(index, lambda found: found)
    chance = random.Random(2)
    found = []
    for row in chance.sample(range(opened.info.counts.passages), QUESTIONS):
        segment = opened.segments[int(opened._segment_of[row])]
        own = int(opened._row_in_segment[row])
        question = segment.sentences.vectors(range(own, own + 1))[:1].astype(np.float32)
        exact, graph = (
            set(opened.search(question, [{}], [{}], options).rows.tolist())
            for options in (SearchOptions(depth=DEPTH, bm25=False, exact=each) for each in (True, False))
        )
        found.append(len(exact & graph) / len(exact))
    segments = len(opened.snapshot.manifest.segments)
    opened.close()
    return found, segments


if __name__ == "__main__":
    main()
