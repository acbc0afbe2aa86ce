"""Index jobs: one at a time, in a process of its own, so that questions are answered meanwhile."""

import asyncio
import secrets
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Literal

import msgspec
import structlog
from anyio.abc import TaskGroup
from msgspec import Struct, structs

from rag_qa.engine import Engine
from rag_qa.errors import ConflictError, NotFoundError
from rag_qa.indexer.report import IndexReport
from rag_qa.schemas import json_decoder
from rag_qa.service.index_job import Event, Order

__all__ = ["Job", "Jobs"]

KEPT = 20
"""Jobs that can be asked for, the newest."""
COMMAND = (sys.executable, "-m", "rag_qa.service.index_job")
LONGEST_EVENT = 2**23  # bytes: a report names files
SECONDS_BETWEEN_LOOKS = 0.5
SECONDS_TO_STOP = 10
LOG = structlog.get_logger()
_EVENTS = json_decoder(Event)


class Job(Struct, frozen=True, kw_only=True):
    """State of an index job."""

    id: str
    state: Literal["running", "done", "failed"]
    started: str
    finished: str | None = None
    stage: str = ""
    """Present stage: reading, encoding, writing …"""
    done: int = 0
    total: int = 0
    """Progress of the stage."""
    report: IndexReport | None = None
    problem: str | None = None
    """The reason why it failed; the snapshot that answered then still does."""


class Jobs:
    """The jobs of a service; used from its event loop alone."""

    def __init__(self, tasks: TaskGroup, stops: Callable[[], bool]) -> None:
        """Takes the task group to run in, and a function that tells whether the service stops."""
        self._tasks = tasks
        self._stops = stops
        self._jobs: dict[str, Job] = {}
        self._changed = asyncio.Event()

    def start(self, engine: Engine) -> Job:
        """Begins to index anew what the snapshot of an engine was made of, with the settings it was made with.

        Raises:
            ConflictError: a job runs already, or the snapshot does not say what it was made of.
        """
        self.check_idle()
        info = engine.info
        if not info.paths:
            raise ConflictError(
                "The index does not say what it was made of, as older ones do not: run `rag-qa index PATH` once."
            )
        index = str(engine.index.folder.resolve())
        order = Order(info.working_directory, info.paths, index, engine.settings)
        job = Job(id=secrets.token_hex(6), state="running", started=_now())
        self._publish(job)
        for old in list(self._jobs)[:-KEPT]:
            del self._jobs[old]
        LOG.info("index job", job=job.id, state=job.state)
        self._tasks.start_soon(self._run, job, order)
        return job

    def check_idle(self) -> None:
        """Checks that no job runs.

        Raises:
            ConflictError: one does.
        """
        if running := next((job for job in self._jobs.values() if job.state == "running"), None):
            raise ConflictError(f"The job {running.id} runs: follow it, and come again when it has ended.")

    def get(self, job_id: str) -> Job:
        """A job as it is now.

        Raises:
            NotFoundError: there is none of this id, or it was long ago.
        """
        if job_id not in self._jobs:
            raise NotFoundError(f"There is no job “{job_id[:80]}” any more.")
        return self._jobs[job_id]

    def all(self) -> list[Job]:
        """The jobs that can be asked for, the newest first."""
        return [*reversed(self._jobs.values())]

    async def follow(self, job_id: str) -> AsyncIterator[Job]:
        """A job as it is now and after every change, until it has ended or the service stops."""
        before = None
        while True:
            changed, job = self._changed, self.get(job_id)
            if job != before:
                yield job
            before = job
            if job.state != "running" or self._stops():
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), SECONDS_BETWEEN_LOOKS)

    async def _run(self, job: Job, order: Order) -> None:
        """Runs a job to its end; whatever goes wrong fails the job, and not the service."""
        try:
            job = await self._done(job, order)
        except Exception as error:
            LOG.exception("index job", job=job.id)
            problem = f"The job could not be done ({type(error).__name__}): the server's log says more."
            job = structs.replace(self._jobs[job.id], state="failed", finished=_now(), problem=problem)
        self._publish(job)
        LOG.info("index job", job=job.id, state=job.state)

    async def _done(self, job: Job, order: Order) -> Job:
        process = await asyncio.create_subprocess_exec(
            *COMMAND, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, limit=LONGEST_EVENT
        )
        last = Event()
        assert process.stdin is not None  # noqa: S101
        assert process.stdout is not None  # noqa: S101
        try:
            with suppress(ConnectionError):  # it has ended already
                process.stdin.write(msgspec.json.encode(order) + b"\n")
                await process.stdin.drain()
            async for line in process.stdout:
                last = _EVENTS.decode(line)
                if last.stage:
                    job = structs.replace(job, stage=last.stage, done=last.done, total=last.total)
                    self._publish(job)
            code = await process.wait()
        except BaseException:
            await asyncio.shield(_stop(process))
            raise
        problem = (
            last.problem
            if last.problem or last.report
            else f"The process of the job ended too early (exit code {code})."
        )
        state: Literal["done", "failed"] = "failed" if problem else "done"
        return structs.replace(job, state=state, finished=_now(), report=last.report, problem=problem)

    def _publish(self, job: Job) -> None:
        self._jobs[job.id] = job
        self._changed.set()
        self._changed = asyncio.Event()


async def _stop(process: Process) -> None:
    """Ends the process; what it has encoded is kept, and the index is as it was."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), SECONDS_TO_STOP)
    except TimeoutError:
        process.kill()
        await process.wait()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
