"""Measures the cost of changes in a folder of 1,000 documents: an edit, 100 renames, and edits under a watch.

    python benchmarks/following.py TEXTS

TEXTS holds at least 3,000 texts, one a line; three of them make a document.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DOCUMENTS, PARAGRAPHS, RENAMED, EDITS = 1000, 3, 100, 5
SECONDS_TO_WAIT = 60


def main() -> None:
    """Prints a row for each change."""
    texts = Path(sys.argv[1]).read_text("utf-8").splitlines()
    with tempfile.TemporaryDirectory() as temporary:
        folder, index = Path(temporary, "documents"), Path(temporary, "index")
        folder.mkdir()
        for number in range(DOCUMENTS):
            paragraphs = texts[PARAGRAPHS * number : PARAGRAPHS * (number + 1)]
            (folder / f"{number:04}.txt").write_text("\n\n".join(paragraphs), "utf-8")
        print("change             seconds  passages  encoded  changed  renamed  unchanged")
        show("first run", folder, index)
        show("none", folder, index)
        edit(folder / "0500.txt", "The harbour master was told on a Monday.")
        show("one edited", folder, index)
        for number in range(RENAMED):
            (folder / f"{number:04}.txt").rename(folder / f"renamed {number}.txt")
        show(f"{RENAMED} renamed", folder, index)
        watch(folder, index)


def show(change: str, folder: Path, index: Path) -> None:
    """Indexes the folder and prints a row with its cost."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "rag_qa", "index", str(folder), "--index", str(index), "--json"]
    report = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    seconds, passages, files = time.perf_counter() - started, report["passages"], report["files"]
    print(
        f"{change:18} {seconds:7.1f} {passages['total']:9} {passages['encoded']:8} {files['changed']:8} "
        f"{files['renamed']:8} {files['unchanged']:10}"
    )


def watch(folder: Path, index: Path) -> None:
    """Edits files under a watch and prints the time until each edit is in the current snapshot."""
    command = [sys.executable, "-m", "rag_qa", "index", str(folder), "--index", str(index), "--watch"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        process.stdout.readline()  # the first run is done
        current = index / "current"
        for number in range(EDITS):
            before, started = current.read_text(), time.perf_counter()
            edit(folder / f"{600 + number:04}.txt", f"The harbour master was told on day {number}.")
            while current.read_text() == before and time.perf_counter() - started < SECONDS_TO_WAIT:
                time.sleep(0.01)
            print(f"watched edit       {time.perf_counter() - started:7.1f}")
    finally:
        process.terminate()
        process.wait()


def edit(path: Path, sentence: str) -> None:
    """Appends a sentence to a document."""
    path.write_text(f"{path.read_text('utf-8')}\n\n{sentence}\n", "utf-8")


if __name__ == "__main__":
    main()
