"""Measures the pages in Chromium: their weight, the time to paint an answer, the time to open a long document.

    make setup-browser    # installs what this needs
    python benchmarks/browsing.py FOLDER [--index INDEX] [--rounds 5] [--json FILE]

FOLDER holds a document of 20 MB and its index, which are made once. The time to paint ends when the largest part of the
page is painted, and begins with the end of the response; the time to open ends when the mark is in the window, and
begins with the click.
"""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

from playwright.sync_api import Page, sync_playwright
from recording import record, table

from rag_qa import build

QUESTION = "what did HMICFRS recommend?"
LONG_QUESTION = "Where does the pilot Aurelia guide ships?"
LINES = 330_000
PAINTED = """() => new Promise(done => new PerformanceObserver(list => done(
    list.getEntries().at(-1).startTime - performance.getEntriesByType('navigation')[0].responseEnd
)).observe({type: 'largest-contentful-paint', buffered: true}))"""
WEIGHT = """() => [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
    .reduce((sum, each) => sum + each.decodedBodySize, 0)"""
IN_WINDOW = """() => { const mark = document.getElementById('cited'); if (!mark) return false;
    const at = mark.getBoundingClientRect(); return at.top < innerHeight && at.bottom > 0 }"""


def long_index(folder: Path) -> Path:
    """Returns the index of one document of 20 MB; builds it if it is missing."""
    if not (folder / "index" / "current").is_file():
        (folder / "papers").mkdir(parents=True, exist_ok=True)
        lines = [
            f"Line {number % 40} of the log: the ship paid what {number % 8} others paid." for number in range(LINES)
        ]
        lines[200_000] = "The pilot Aurelia guides ships through the narrows of Kiel by night."
        (folder / "papers" / "log.txt").write_text("\n".join(lines))
        build([folder / "papers"], folder / "index")
    return folder / "index"


@contextmanager
def serving(index: Path) -> Iterator[str]:
    """Runs a server and yields its address."""
    command = [sys.executable, "-m", "rag_qa", "serve", "--port", "0", "--index", str(index)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        said = re.search(r"http://\S+:\d+", server.stdout.readline() if server.stdout else "")
        if said is None:
            sys.exit("The server did not start.")
        yield said.group()
    finally:
        server.terminate()
        server.wait()


def asked(page: Page, url: str, question: str) -> float:
    """Asks a question and returns the milliseconds from the end of the response to the paint."""
    page.goto(f"{url}/?{urlencode({'q': question})}")
    return float(page.evaluate(PAINTED))


def main() -> None:
    """Measures and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--index", type=Path, default=Path("index"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    long = long_index(given.folder)
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    rows: list[dict[str, object]] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        with serving(given.index) as url:
            painted = [asked(page, url, QUESTION) for _ in range(given.rounds)]
            weight = page.evaluate(WEIGHT) / 1000
        rows.append({"what": "an answer, painted, ms", "median": statistics.median(painted), "most": max(painted)})
        rows.append({"what": "its weight, kB", "median": weight, "most": weight})
        with serving(long) as url:
            seconds = []
            for _ in range(given.rounds):
                asked(page, url, LONG_QUESTION)
                started = time.perf_counter()
                page.locator("a.open").first.click()
                page.wait_for_function(IN_WINDOW)
                seconds.append(time.perf_counter() - started)
        rows.append({"what": "20 MB, open at the mark, s", "median": statistics.median(seconds), "most": max(seconds)})
        browser.close()
    table(rows)
    if given.json:
        record(given.json, rows)


if __name__ == "__main__":
    main()
