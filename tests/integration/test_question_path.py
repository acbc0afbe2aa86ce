"""The way of a question through the code stays short: one way, without climbing back."""

import subprocess
import sys


def test_a_question_enters_few_files_and_returns_to_none(root, seeds_index):
    command = [sys.executable, "benchmarks/question_path.py", str(seeds_index), "what did HMICFRS recommend?"]
    told = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True, timeout=60).stdout
    *files, _, stays, sums = told.splitlines()
    assert len(files) <= 24
    assert stays == (
        "stays: retrieval/query.py > retrieval/retriever.py > retrieval/rerank.py > answering/evidence.py > "
        "answering/compose.py"
    )
    assert sums == f"{len(files)} files, 5 stays, 0 climbs back"
