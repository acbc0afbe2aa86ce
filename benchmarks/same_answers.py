"""Compares the answers of two versions of rag_qa byte for byte, timings and empty fields of later versions aside.

    python benchmarks/same_answers.py record INDEX GOLD FILE      with each version
    python benchmarks/same_answers.py compare BEFORE AFTER        exits with 1 where an answer differs

`record` asks every question of a gold file in several ways (budgets, filters, settings, a reranker), and, with
`--whole`, over the command line and HTTP too. Any version can run it, since it uses public names only: set PYTHONPATH
to the version's src.
"""

import argparse
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from rag_qa import Engine, Settings

SETTINGS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "dense": {"dense_weight": 1.0},
    "lexical": {"dense_weight": 0.0},
    "BM25": {"word_coverage": False, "sentence_scores": False},
    "no duplicates, no acronyms": {"collapse_duplicates": False, "expand_acronyms": False},
    "shallow, by words": {"depth": 7, "highlights": "words", "exact_search": True},
}
OPTIONS: dict[str, dict[str, Any]] = {
    "k 5": {},
    "k 1": {"k": 1},
    "k 40": {"k": 40},
    "300 tokens": {"k": 10, "max_tokens": 300},
    "text of 0 to 4": {"filters": {"document": ["*[0-4].txt", "*[0-4].*"], "format": "text"}},
    "no document": {"filters": {"document": "no such folder/"}},
    "unknown field": {"filters": {"metadata": {"no such field": 1}}},
}
STARTING_SECONDS = 60
TIMES = re.compile(rb'"timings_ms":\s*\{[^}]*\}|"parts":\s*\[\],?\s*|"why_not":\s*null,?\s*')
"""Timings, and fields that a later version has added, where they are empty."""
PRINTED_TIMES = re.compile(r"[0-9.]+ m?s\b")
HTTP_PATHS = ("/documents", "/snapshot", "/health/live", "/health/ready", "/schema/openapi.json", "/collection", "/")


class SharedWords:
    """A deterministic reranker: the share of the question's words that a text has."""

    def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """Returns that share for each text, from 0 to 1."""
        words = set(question.casefold().split())
        return [len(words & set(text.casefold().split())) / len(words) for text in texts]


def answers(index: Path, questions: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yields what is asked of an engine, and the answer as JSON or the error's message."""
    from rag_qa import RagQaError
    from rag_qa.filters import Filters

    for settings_name, changes in SETTINGS.items():
        for reranker in (None, SharedWords()):
            settings = Settings(**changes, rerank_seconds=1e6)
            with Engine.open(index, settings, reranker=reranker) as engine:
                for option_name, options in OPTIONS.items():
                    if settings_name != "as it is" and option_name not in {"k 5", "300 tokens"}:
                        continue
                    given = options | {"filters": Filters(**options["filters"])} if "filters" in options else options
                    for question in questions:
                        try:
                            answer = without_times(msgspec.json.encode(engine.ask(question, **given)))
                        except RagQaError as error:
                            answer = f"{type(error).__name__}: {error}"
                        name = f"{settings_name} | {'reranked | ' if reranker else ''}{option_name} | {question}"
                        yield name, answer


def commands(index: Path, questions: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yields commands, and their exit codes with their output."""
    name = ["--index", str(index)]
    each = [
        *(["ask", question, *name] for question in questions[:8]),
        *(["ask", question, "--json", *name] for question in questions[:8]),
        ["ask", "", *name],
        ["ask", "what?", "-k", "0", *name],
        ["ask", "what?", "--index", "no such index"],
        ["ask", "what?", "--metadata", "nothing=1", *name],
        ["acronyms", *name],
        ["snapshots", "list", *name],
        ["snapshots", "verify", *name],
        ["snapshots", "diff", "current", "current", *name],
        ["snapshots", "rollback", *name],
        ["index", "no such folder", *name],
        ["eval", "--gold", "no such file", *name],
        ["keys", "list", "--keys-file", "no such file"],
        *([*command, "--help"] for command in ([], ["ask"], ["index"], ["eval"], ["serve"], ["snapshots"], ["mcp"])),
    ]
    for command in each:
        done = subprocess.run([sys.executable, "-m", "rag_qa", *command], capture_output=True, check=False)
        printed = TIMES.sub(b"", done.stdout).decode() + done.stderr.decode()
        yield f"rag-qa {' '.join(command)}", f"{done.returncode}\n{PRINTED_TIMES.sub('', printed)}"


def replies(index: Path, questions: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yields requests to a server of the index, and its replies."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "rag_qa", "serve", "--index", str(index), "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            ends = time.monotonic() + STARTING_SECONDS
            while reply(port, "/health/ready")[:3] != "200":
                if time.monotonic() > ends:
                    sys.exit("The server did not start.")
                time.sleep(0.1)
            documents = json.loads(reply(port, "/documents").partition("\n")[2])["documents"]
            ids = [document["id"] for document in documents[:3]]
            paths = [
                path for each in ids for path in (f"/documents/{each}", f"/read/{each}", f"/documents/{each}/text")
            ]
            for path in (*HTTP_PATHS, *paths, "/documents/none", "/ask?q=", "/ask?q=a&k=0", "/no-such-page"):
                yield path, reply(port, path)
            for question in questions:
                yield f"POST /ask {question}", reply(port, "/ask", {"question": question})
            for body in ({}, {"question": 3}, {"question": "a", "k": "3"}, {"question": "a", "more": 1}, [1], "a"):
                yield f"POST /ask {body}", reply(port, "/ask", body)
        finally:
            server.terminate()


def reply(port: int, path: str, body: object = None) -> str:
    """Sends a request and returns the status and body of the reply, without timings and the port; 0 if unreachable."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=STARTING_SECONDS) as response:
            status, text = response.status, response.read()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read()
    except urllib.error.URLError:
        return "0"
    shown = (
        json.dumps(without_prose(json.loads(text)), sort_keys=True)
        if path.startswith("/schema")
        else without_times(text)
    )
    return f"{status}\n{shown}".replace(str(port), "PORT")


def without_prose(schema: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
    """Returns an OpenAPI document without its descriptions, which are the docstrings of the code."""
    if isinstance(schema, dict):
        return {name: without_prose(value) for name, value in schema.items() if not is_prose(name, value)}
    return [without_prose(each) for each in schema] if isinstance(schema, list) else schema


def is_prose(name: str, value: object) -> bool:
    """Returns whether a member of an OpenAPI document is a description."""
    return name in {"description", "summary"} and isinstance(value, str)


def without_times(answer: bytes) -> str:
    """Returns an answer without its milliseconds."""
    return TIMES.sub(b"", answer).decode()


def record(index: Path, gold: Path, file: Path, *, whole: bool) -> None:
    """Writes the answers of this version, a JSON object a line."""
    questions = [json.loads(line)["question"] for line in gold.read_text("utf-8").splitlines() if line.strip()]
    parts = [answers, *([commands, replies] if whole else [])]
    with file.open("w", encoding="utf-8") as written:
        for part in parts:
            for name, answer in part(index, questions):
                written.write(json.dumps({"asked": name, "answer": answer}) + "\n")


def compare(before: Path, after: Path) -> int:
    """Prints the first differences; returns the number of answers that differ."""
    old, new = (
        {each["asked"]: each["answer"] for each in map(json.loads, path.read_text("utf-8").splitlines())}
        for path in (before, after)
    )
    different = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    for name in different[:5]:
        print(f"{name}\n  before: {old.get(name, 'not asked')[:2000]}\n  after:  {new.get(name, 'not asked')[:2000]}")
    print(f"{len(old)} answers before, {len(new)} after, {len(different)} differences")
    return len(different)


def main() -> None:
    """Records or compares, as the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__)
    actions = parser.add_subparsers(required=True, dest="action")
    recording = actions.add_parser("record")
    recording.add_argument("index", type=Path)
    recording.add_argument("gold", type=Path)
    recording.add_argument("file", type=Path)
    recording.add_argument("--whole", action="store_true", help="the command line and HTTP as well")
    comparing = actions.add_parser("compare")
    comparing.add_argument("before", type=Path)
    comparing.add_argument("after", type=Path)
    given = parser.parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    if given.action == "record":
        record(given.index, given.gold, given.file, whole=given.whole)
    else:
        sys.exit(compare(given.before, given.after) > 0)


if __name__ == "__main__":
    main()
