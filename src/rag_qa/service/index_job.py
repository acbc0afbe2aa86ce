"""The process of an index job: `python -m rag_qa.service.index_job`, started by service/jobs.py, which sends its order.

A job comes as one line of JSON on standard input, and what it does goes as lines of JSON to standard output. The end of
standard input stops it, as Ctrl-C would: what was encoded until then is kept for the next run.
"""

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress

import msgspec
from msgspec import Struct, structs

from rag_qa.indexer.report import IndexReport
from rag_qa.schemas import json_decoder
from rag_qa.settings import Settings

__all__ = ["Event", "Order"]

SECONDS_BETWEEN_EVENTS = 0.2
NICE = 10
MOST_NAMED = 500
"""Files, and records, that gave no document and are named: with the longest names, less than jobs.py takes."""


class Order(Struct, frozen=True):
    """The order of a job: paths, index and settings."""

    folder: str
    """The working directory that `paths` are named from."""
    paths: tuple[str, ...]
    index: str
    settings: Settings


_ORDERS = json_decoder(Order)


class Event(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A message of a job: progress of a stage or, in the end, its report or why it failed."""

    stage: str = ""
    done: int = 0
    total: int = 0
    report: IndexReport | None = None
    problem: str | None = None


def run(order: Order, send: Callable[[Event], None]) -> Event:
    """Carries out the order and reports its progress."""
    from rag_qa.errors import RagQaError
    from rag_qa.files import named_path
    from rag_qa.indexer.build import build

    last = ("", 0.0)

    def tell(stage: str, done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if stage != last[0] or done >= total or now - last[1] > SECONDS_BETWEEN_EVENTS:
            last = (stage, now)
            send(Event(stage=stage, done=done, total=total))

    try:
        os.nice(NICE)  # answers come first
        os.chdir(named_path(order.folder))
        report = build([named_path(path) for path in order.paths], order.index, order.settings, tell)
        # Every path would be a long line, and a list for whoever asks about the job again and again.
        named, records = report.failed[:MOST_NAMED], report.failed_records[:MOST_NAMED]
        return Event(report=structs.replace(report, paths={}, failed=named, failed_records=records))
    except RagQaError as error:
        return Event(problem=str(error))
    except OSError as error:
        return Event(problem=f"{error.filename or 'A file'} cannot be used ({error.strerror}).")
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        return Event(problem=f"Indexing failed ({type(error).__name__} in {place.name}): please report it.")


def _stop_with_input() -> None:
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGINT)


def main() -> None:
    """Reads the order and carries it out."""
    results = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not get between the events

    def send(event: Event) -> None:
        with suppress(BrokenPipeError):  # the parent has closed the pipe; the end of standard input says so too
            results.write(msgspec.json.encode(event) + b"\n")
            results.flush()

    order = _ORDERS.decode(sys.stdin.buffer.readline())
    threading.Thread(target=_stop_with_input, daemon=True).start()
    with suppress(KeyboardInterrupt):
        send(run(order, send))


if __name__ == "__main__":
    main()
