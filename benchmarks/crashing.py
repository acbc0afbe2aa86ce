"""Kills the indexer repeatedly while files are edited, added and deleted, and compares the result with a clean build.

    python benchmarks/crashing.py TEXTS [--kills 100] [--kilobytes 120]

TEXTS is a folder of text files, whose sentences are recombined into documents. After every kill the current snapshot
must open, verify and answer; at the end the index must equal one that is built in a single run: the same id, the same
rows, vectors within 1e-5, the same passages for 50 questions under exact search.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from stand_in import write_texts

from rag_qa import Engine
from rag_qa.index import open_history
from rag_qa.index.local.snapshot.previous import PreviousSnapshot
from rag_qa.settings import Settings

QUESTIONS, K = 50, 10
SETTINGS = {"RAG_QA_SEGMENT_PASSAGES": "100", "RAG_QA_GRAPH_PASSAGES": "100"}


def main() -> None:
    """Runs the test, and prints the counts after every tenth kill and the comparison."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("texts", type=Path)
    arguments.add_argument("--kills", type=int, default=100)
    arguments.add_argument("--kilobytes", type=int, default=120)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        stress(given, Path(temporary))


def stress(given: argparse.Namespace, place: Path) -> None:
    """Runs the whole test in an empty folder."""
    texts = sorted(path for path in given.texts.rglob("*") if path.is_file())
    documents, index, clean, spare = (place / name for name in ("documents", "index", "clean", "spare"))
    write_texts(texts, spare, 1, kilobytes=2)
    pool = sorted(spare.rglob("*.txt"))
    documents.mkdir()
    for path in pool[: given.kilobytes // 2]:
        shutil.copyfile(path, documents / path.name)
    chance = random.Random(0)
    timed(documents, index)
    shutil.copytree(index / "encoder", clean / "encoder")
    seconds = timed(documents, clean)
    print(f"a clean build, the encoder's export left out, takes {seconds:.1f} s", flush=True)
    outcomes: Counter[str] = Counter()
    for kill in range(1, given.kills + 1):
        change(documents, pool, chance)
        before = (index / "current").read_text()
        process = subprocess.Popen(command(documents, index), stdout=subprocess.DEVNULL, env=environment())
        time.sleep(chance.uniform(0, 1.1) * seconds)
        finished = process.poll() is not None
        process.send_signal(signal.SIGKILL)
        process.wait()
        check(index)
        published = (index / "current").read_text() != before
        outcomes[
            "finished" if finished else "killed after publishing" if published else "killed before publishing"
        ] += 1
        if kill % 10 == 0:
            print(f"{kill} kills: {dict(outcomes)}", flush=True)
    timed(documents, index)
    shutil.rmtree(clean)
    timed(documents, clean)
    compare(index, clean)


def command(documents: Path, index: Path) -> list[str]:
    """Returns the command that indexes the documents."""
    return [sys.executable, "-m", "rag_qa", "index", str(documents), "--index", str(index)]


def environment() -> dict[str, str]:
    """Returns an environment with small segments that have graphs, so that an index has several."""
    return os.environ | SETTINGS


def timed(documents: Path, index: Path) -> float:
    """Indexes without a kill; returns the seconds that it took."""
    started = time.perf_counter()
    subprocess.run(command(documents, index), check=True, stdout=subprocess.DEVNULL, env=environment())
    return time.perf_counter() - started


def change(documents: Path, pool: list[Path], chance: random.Random) -> None:
    """Edits, adds and deletes some files."""
    files = sorted(documents.iterdir())
    for path in chance.sample(files, 3):
        path.write_text(f"{path.read_text()}\n\nThe harbour master was told {chance.random()}.\n")
    for path in chance.sample(files, 2):
        path.unlink()
    for path in chance.sample(pool, 2):
        shutil.copyfile(path, documents / path.name)


def check(index: Path) -> None:
    """Raises AssertionError if the current snapshot is damaged, or a passage differs from its document."""
    with Engine.open(index) as engine:
        damage = open_history(index).verify(engine.info.name).damaged
        assert not damage, damage
        answer = engine.ask("What was the harbour master told?")
        for passage in answer.passages:
            text = engine.collection.document(passage.citation.id).text
            assert text[passage.citation.start : passage.citation.end] == passage.text


def compare(index: Path, clean: Path) -> None:
    """Raises AssertionError if two indexes differ; prints the figures of the comparison."""
    ours, theirs = PreviousSnapshot.open_current(index), PreviousSnapshot.open_current(clean)
    one, other = ours.snapshot.manifest, theirs.snapshot.manifest
    print(f"id                 {one.id} and {other.id}")
    assert one.id == other.id
    rows = range(one.counts.passages)
    passages_of_ours = ours.searcher.passages(rows)
    assert passages_of_ours == theirs.searcher.passages(rows)
    segments = [len(manifest.segments) for manifest in (one, other)]
    gone = sum(segment.passages for segment in one.segments) - len(rows)
    print(f"rows               {len(rows)} equal, in {segments[0]} and {segments[1]} segments, {gone} tombstones")
    passages, sentences = 0.0, 0.0
    for one_location, other_location in zip(ours.table.each(), theirs.table.each(), strict=True):
        mine, its = ours.chunked(one_location)[1], theirs.chunked(other_location)[1]
        passages = max(passages, distance(mine.passages, its.passages))
        sentences = max(sentences, distance(mine.sentences, its.sentences))
    print(f"vectors            differ by {passages:.1e}, of sentences, in half precision, {sentences:.1e}")
    assert passages < 1e-5
    questions = [" ".join(passage.text.split()[:12]) for _, passage in passages_of_ours[:: len(rows) // QUESTIONS]]
    exact = Settings(exact_search=True)
    with Engine.open(index, exact) as mine, Engine.open(clean, exact) as its:
        same = sum(found(mine, question) == found(its, question) for question in questions[:QUESTIONS])
    print(f"questions          {same} of {QUESTIONS} with the same {K} passages")
    assert same == QUESTIONS


def distance(one: np.ndarray, other: np.ndarray) -> float:
    """Returns the largest difference of two numbers at the same position."""
    return float(np.abs(one.astype(np.float32) - other.astype(np.float32)).max())


def found(engine: Engine, question: str) -> list[tuple[str, int]]:
    """Returns the document and start of each passage that a question finds, in order."""
    return [(p.citation.document, p.citation.start) for p in engine.ask(question, k=K).passages]


if __name__ == "__main__":
    main()
