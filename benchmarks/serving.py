"""Measures the HTTP service under load: answers a second and milliseconds of a request, for 1, 8, 64 and more clients.

    python benchmarks/serving.py --index INDEX --questions FILE [--clients 1 8 64] [--requests 500] [--granian]

FILE holds one question a line. Each number of clients gets a new server, and each question is asked once of it, so that
no answer comes from a cache. The clients keep their connections, and run in a process of their own on the same machine.
Overhead is the time of a request beyond the time that the engine reports in its answer. With --granian, the same
application is served by granian, where that is installed.
"""

import argparse
import asyncio
import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import psutil
from recording import record, table


async def client(
    address: tuple[str, int], questions: asyncio.Queue[str], taken: list[tuple[float, float, int]]
) -> None:
    """Asks until no question is left; appends the seconds, the engine's milliseconds and the status of each request."""
    reader, writer = await asyncio.open_connection(*address)
    while not questions.empty():
        body = json.dumps({"question": questions.get_nowait()}).encode()
        head = f"POST /ask HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        started = time.perf_counter()
        writer.write(head + body)
        answered = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = re.search(r"content-length: (\d+)", answered)
        content = await reader.readexactly(int(length.group(1)) if length else 0)
        seconds = time.perf_counter() - started
        status = int(answered.split(" ", 2)[1])
        taken.append((seconds, json.loads(content)["timings_ms"]["total"] if status == 200 else 0.0, status))
    writer.close()


def wait_for(address: tuple[str, int]) -> None:
    """Waits until the server accepts connections; granian's workers print the address before they do."""
    for _ in range(100):
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(address):
            return
        time.sleep(0.05)


async def load(url: str, questions: list[str], clients: int) -> tuple[list[tuple[float, float, int]], float]:
    """Asks all questions with the given number of clients.

    Returns:
        For each request its seconds, the engine's milliseconds and the status; the seconds of all together.
    """
    waiting: asyncio.Queue[str] = asyncio.Queue()
    for question in questions:
        waiting.put_nowait(question)
    parts = urlsplit(url)
    taken: list[tuple[float, float, int]] = []
    started = time.perf_counter()
    await asyncio.gather(*(client((parts.hostname or "", parts.port or 0), waiting, taken) for _ in range(clients)))
    return taken, time.perf_counter() - started


def application() -> Any:  # noqa: ANN401
    """Returns the application for granian, which prints its address when the engine is open."""
    from rag_qa import Engine, load_settings
    from rag_qa.service.app import create_app

    settings = load_settings(environ=os.environ)

    def load_engine() -> Engine:
        engine = Engine.open(settings.index, settings)
        print(f"http://127.0.0.1:{os.environ['GRANIAN_PORT']}", flush=True)
        return engine

    return create_app(settings, load_engine)


def command(index: Path, *, granian: bool) -> tuple[list[str], dict[str, str]]:
    """Returns the command that starts a server, and its environment."""
    if not granian:
        return [sys.executable, "-m", "rag_qa", "serve", "--port", "0", "--index", str(index)], dict(os.environ)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    served = ["granian", "--interface", "asgi", "--loop", "uvloop", "--no-ws", "--factory", "serving:application"]
    own = {"GRANIAN_PORT": port, "RAG_QA_INDEX": str(index.resolve()), "PYTHONPATH": str(Path(__file__).parent)}
    return [sys.executable, "-m", *served], os.environ | own


def measured(index: Path, questions: list[str], clients: int, *, granian: bool) -> dict[str, float]:
    """Measures a server with the given number of clients; returns a row of the table."""
    start, environment = command(index, granian=granian)
    started = time.perf_counter()
    server = subprocess.Popen(start, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        lines = server.stdout or []
        said = next((url for line in lines if (url := re.search(r"http://\S+:\d+", line))), None)
        if said is None:
            sys.exit("The server did not start.")
        parts = urlsplit(said.group())
        wait_for((parts.hostname or "", parts.port or 0))
        ready = time.perf_counter() - started
        asyncio.run(load(said.group(), ["a question that warms up"], 1))
        taken, seconds = asyncio.run(load(said.group(), questions, clients))
        main_process = psutil.Process(server.pid)
        memory = sum(each.memory_info().rss for each in (main_process, *main_process.children(recursive=True)))
    finally:
        server.terminate()
        server.wait()
    answered = np.array([each[:2] for each in taken if each[2] == 200])
    p50, p95, p99 = np.percentile(answered[:, 0] * 1000, [50, 95, 99])
    return {
        "clients": clients,
        "answers a second": len(answered) / seconds,
        "p50 ms": p50,
        "p95 ms": p95,
        "p99 ms": p99,
        "engine p50 ms": float(np.median(answered[:, 1])),
        "overhead p50 ms": float(np.median(answered[:, 0] * 1000 - answered[:, 1])),
        "refused": len(taken) - len(answered),
        "ready after s": ready,
        "resident MB": memory / 1e6,
    }


def main() -> None:
    """Measures and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--index", type=Path, default=Path("index"))
    parser.add_argument("--questions", type=Path, required=True)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--requests", type=int, default=500)
    parser.add_argument("--granian", action="store_true")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    questions = given.questions.read_text("utf-8").splitlines()
    several = [f"{questions[n % len(questions)]} {n // len(questions) or ''}".strip() for n in range(given.requests)]
    rows = [measured(given.index, several, clients, granian=given.granian) for clients in given.clients]
    table(rows)
    if given.json:
        record(given.json, rows)


if __name__ == "__main__":
    main()
