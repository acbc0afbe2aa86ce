"""Measures the cost of indexing a folder, the first time and again: seconds, and the peak memory of all its processes.

    python benchmarks/indexing.py FOLDER

It also checks that every file of the folder is in exactly one count or has failed with a reason.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil

SECONDS_BETWEEN_SAMPLES = 0.05
COUNTED = ("added", "changed", "renamed", "unchanged", "ignored", "sidecars")


def main() -> None:
    """Indexes the folder twice and prints a row for each run."""
    folder = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as temporary:
        command = [
            sys.executable,
            "-m",
            "rag_qa",
            "index",
            str(folder),
            "--index",
            f"{temporary}/index",
            "--json",
            "--list",
        ]
        print("run     seconds  peak MB  documents  passages  encoded  failed  every file listed once")
        for run in ("first", "again"):
            output = Path(temporary, "report.json")
            with output.open("w") as report_file:
                started = time.perf_counter()
                process = subprocess.Popen(command, stdout=report_file, stderr=subprocess.DEVNULL)
                peak = 0
                while process.poll() is None:
                    peak = max(peak, resident(process.pid))
                    time.sleep(SECONDS_BETWEEN_SAMPLES)
                seconds = time.perf_counter() - started
            if process.returncode:
                sys.exit(f"rag-qa index ended with exit code {process.returncode}.")
            report = json.loads(output.read_text())
            listed = Counter(path for name in COUNTED for path in report["paths"][name])
            listed += Counter(failed["path"] for failed in report["failed"])
            there = Counter(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
            passages = report["passages"]
            print(
                f"{run:6} {seconds:8.1f} {peak / 1e6:8.0f} {report['documents']:10} {passages['total']:9} "
                f"{passages['encoded']:8} {len(report['failed']):7}  {'yes' if listed == there else 'NO'}"
            )


def resident(pid: int) -> int:
    """Returns the resident bytes of a process and all its descendants; shared pages count for each."""
    total = 0
    try:
        parent = psutil.Process(pid)
        for process in [parent, *parent.children(recursive=True)]:
            try:
                total += process.memory_info().rss
            except psutil.Error:
                continue
    except psutil.Error:
        pass
    return total


if __name__ == "__main__":
    main()
