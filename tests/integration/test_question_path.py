"""The way of a question through the code stays short: one way, without climbing back."""

import re
import subprocess
import sys


def test_a_question_enters_few_files_and_returns_to_none(root, seeds_index):
    command = [sys.executable, "benchmarks/question_path.py", str(seeds_index), "what did HMICFRS recommend?"]
    told = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True, timeout=60).stdout
    *files, _, stays, sums, by_every_call = told.splitlines()
    assert len(files) <= 24
    assert stays == (
        "stays: retrieval/query.py > retrieval/retriever.py > answering/evidence.py > answering/compose.py"
    )
    assert sums == f"{len(files)} files, 4 stays, 0 climbs back"
    changes, returns = map(int, re.fullmatch(r"by every call: (\d+) changes .*, (\d+) to .*", by_every_call).groups())
    assert changes - returns == len(files)
    assert changes <= 160  # 179 before the five calls
