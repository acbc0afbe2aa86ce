"""Asks a server from many connections at once while its index is rebuilt and rolled back, and then stops it.

Every request has an id of its own, which the server's log repeats: a request that the server has begun, but whose
client got no complete answer, counts as lost. Run: `python benchmarks/load.py --clients 64 --seconds 60`.
"""

import argparse
import asyncio
import collections
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

QUESTION = "what did HMICFRS recommend?"
ROOT = Path(__file__).parent.parent


async def ask_on(url: str, client: int, until: asyncio.Event, outcomes: dict[str, str]) -> None:
    """Asks the question repeatedly; records the outcome of each request, a status or an exception."""
    async with httpx.AsyncClient(base_url=url, timeout=60) as http:
        number = 0
        while not until.is_set():
            number += 1
            request_id = f"c{client}-{number}"
            try:
                response = await http.post("/ask", json={"question": QUESTION}, headers={"X-Request-ID": request_id})
                outcomes[request_id] = str(response.status_code)
            except httpx.HTTPError as error:
                outcomes[request_id] = type(error).__name__
                if isinstance(error, httpx.ConnectError):
                    return


async def job_done(http: httpx.AsyncClient) -> str:
    """Waits until the newest job has ended; returns its state."""
    while True:
        job = (await http.get("/admin/jobs")).json()[0]
        if job["state"] != "running":
            return str(job["state"])
        await asyncio.sleep(0.5)


async def run(index: Path, papers: Path, clients: int, seconds: float) -> None:
    """Runs the server under load for some seconds, with a job and a rollback, then stops it and prints the outcomes."""
    with (index.parent / "log").open("w+") as log:
        command = [sys.executable, "-m", "rag_qa", "serve", "--port", "0", "--index", str(index)]
        process = subprocess.Popen(command, cwd=papers.parent, stdout=subprocess.PIPE, stderr=log, text=True)
        url = re.search(r"http://\S+:\d+", process.stdout.readline())[0]
        outcomes: dict[str, str] = {}
        until = asyncio.Event()
        asking = [asyncio.create_task(ask_on(url, client, until, outcomes)) for client in range(clients)]
        started = time.monotonic()
        async with httpx.AsyncClient(base_url=url, timeout=120) as http:
            await asyncio.sleep(seconds / 6)
            (papers / "new.txt").write_text("The lighthouse was lit in 1911.")
            print("re-index:", (await http.post("/admin/index")).status_code, await job_done(http))
            print("rollback:", (await http.post("/admin/snapshots/rollback", json={})).json())
        await asyncio.sleep(max(0.0, seconds - (time.monotonic() - started)))
        ended = time.monotonic()
        process.terminate()
        await asyncio.wait(asking, timeout=60)
        until.set()
        await asyncio.gather(*asking)
        process.wait(60)
        log.seek(0)
        lines = [json.loads(line) for line in log if line.startswith("{")]
    begun = {line["request_id"]: line["status"] for line in lines if line["event"] == "request"}
    snapshots = collections.Counter(line["snapshot"] for line in lines if line["event"] == "question")
    lost = {each: outcomes[each] for each, status in begun.items() if outcomes.get(each, str(status)) != str(status)}
    unanswered = {each: what for each, what in outcomes.items() if not what.isdigit() and each not in begun}
    print(f"{clients} clients, {ended - started:.0f} s until SIGTERM, the end after {time.monotonic() - ended:.1f} s")
    print("outcomes:", dict(collections.Counter(outcomes.values())))
    print("answers by snapshot:", dict(snapshots))
    print("begun by the server:", len([each for each in begun if each in outcomes]))
    print("lost, of those begun:", len(lost), dict(list(lost.items())[:5]))
    print("never begun:", dict(collections.Counter(unanswered.values())), "exit", process.returncode)


def main() -> None:
    """Indexes the seeds and runs the test."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=60)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        papers, index = Path(folder) / "papers", Path(folder) / "index"
        papers.mkdir()
        for seed in (ROOT / "seeds").glob("*.txt"):
            (papers / seed.name).write_bytes(seed.read_bytes())
        command = [sys.executable, "-m", "rag_qa", "index", "papers", "--index", str(index)]
        subprocess.run(command, cwd=folder, check=True)
        asyncio.run(run(index, papers, arguments.clients, arguments.seconds))


if __name__ == "__main__":
    main()
