"""Worker processes that parse files, each with a limit of time and memory.

A file that hangs, exhausts memory or kills its worker costs only itself: the worker is ended, a new one started.
"""

import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from threading import Event, Lock, Thread
from types import TracebackType
from typing import BinaryIO, Self, cast

import psutil

from rag_qa.errors import WorkerError
from rag_qa.files import MEGABYTE
from rag_qa.ingest.parsers.dispatch import ParsedFile
from rag_qa.ingest.parsers.worker import receive, request_of, send
from rag_qa.ingest.sources import SourceFile
from rag_qa.schemas import msgpack_decoder
from rag_qa.settings import IndexSettings, Settings

__all__ = ["ParserPool"]

COMMAND = (sys.executable, "-m", "rag_qa.ingest.parsers.worker")
AHEAD = 4  # files in work or waiting, for each worker; results are given in order, so more would only fill memory
BYTES_AHEAD = 32_000_000  # of all these files together; a larger file waits until it is alone
SECONDS_BETWEEN_CHECKS = 0.02
SECONDS_TO_START = 60
_REPLIES = msgpack_decoder(ParsedFile)


class ParserPool:
    """Parses files in `settings.readers` processes; a context manager that ends them."""

    def __init__(self, settings: Settings, command: Sequence[str] = COMMAND) -> None:
        """Starts nothing yet: a worker starts with its first file.

        Args:
            settings: number of workers, limits, and how files are read.
            command: what a worker runs; the number of this process is added to it.
        """
        self._settings = settings
        # A parser unpacks a library into the folder of temporary files and loads it: no other user may write there.
        self._folder = TemporaryDirectory(prefix="rag-qa-readers-", ignore_cleanup_errors=True)
        self._workers = [_Worker(settings, command, self._folder.name) for _ in range(settings.readers)]
        self._free: SimpleQueue[_Worker] = SimpleQueue()
        for worker in self._workers:
            self._free.put(worker)
        self._threads = ThreadPoolExecutor(settings.readers, "reading")
        self._closing = Event()
        self._monitor = Thread(target=self._check_limits, name="limits of reading", daemon=True)
        self._monitor.start()

    def read(self, files: Sequence[SourceFile]) -> Iterator[tuple[SourceFile, ParsedFile]]:
        """Yields each file with its result, in the order of `files`.

        Raises:
            WorkerError: no process could be started.
        """
        waiting: deque[tuple[SourceFile, int, Future[ParsedFile]]] = deque()
        ahead = 0
        for file in files:
            size = _size(file)
            while waiting and (ahead + size > BYTES_AHEAD or len(waiting) >= AHEAD * len(self._workers)):
                done, its_size, future = waiting.popleft()
                ahead -= its_size
                yield done, future.result()
            waiting.append((file, size, self._threads.submit(self._read, file)))
            ahead += size
        while waiting:
            done, _, future = waiting.popleft()
            yield done, future.result()

    def close(self) -> None:
        """Ends the workers, also in the middle of a file."""
        self._closing.set()
        self._threads.shutdown(wait=False, cancel_futures=True)
        for worker in self._workers:
            worker.end()
        self._threads.shutdown()
        self._monitor.join()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read(self, file: SourceFile) -> ParsedFile:
        worker = self._free.get()
        try:
            return worker.read(file, self._settings.for_index())
        finally:
            self._free.put(worker)

    def _check_limits(self) -> None:
        while not self._closing.wait(SECONDS_BETWEEN_CHECKS):
            for worker in self._workers:
                worker.check_limits()


class _Worker:
    """One process at a time; a new one is started where the last has ended."""

    def __init__(self, settings: Settings, command: Sequence[str], folder: str) -> None:
        self._settings = settings
        self._command = (*command, str(os.getpid()))
        self._environment = os.environ | {"TMPDIR": folder}
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = Lock()
        self._deadline: float | None = None
        """Time at which the present work has to be done; None where there is none."""
        self._verdict: str | None = None
        """The reason why the process was ended in the middle of a file."""
        self._ended = False

    def read(self, file: SourceFile, settings: IndexSettings) -> ParsedFile:
        """Parses a file; called by one thread at a time.

        Raises:
            WorkerError: no process could be started.
        """
        result, fresh = self._attempt(file, settings)
        # What earlier files left behind counts for the memory of a process: only a fresh one can tell.
        if not fresh and self._verdict == self._too_much_memory:
            result, _ = self._attempt(file, settings)
        return result

    def check_limits(self) -> None:
        """Ends the process if the work at hand has had its time, or takes too much memory."""
        with self._lock:
            process = self._process
            if self._deadline is None or process is None or process.poll() is not None:
                return
            if time.monotonic() > self._deadline:
                self._verdict = self._too_long
            elif _resident(process) > self._settings.read_memory_mb * MEGABYTE:
                self._verdict = self._too_much_memory
            if self._verdict:
                _end(process)

    def end(self) -> None:
        """Ends the process for good."""
        with self._lock:
            self._ended = True
            process = self._process
            if process is not None:
                _end(process)
        if process is not None:
            _close(process)

    def _begin(self, seconds: float | None) -> None:
        """Sets the time limit of the work that begins; None where none begins."""
        with self._lock:
            if seconds is not None:
                self._verdict = None
            self._deadline = None if seconds is None else time.monotonic() + seconds

    def _attempt(self, file: SourceFile, settings: IndexSettings) -> tuple[ParsedFile, bool]:
        """Parses a file; also returns whether it was the first of its process."""
        process, fresh = self._ready()
        reply: bytes | None = None
        self._begin(self._settings.read_seconds)
        try:
            send(cast("BinaryIO", process.stdin), request_of(file, settings))
            reply = receive(cast("BinaryIO", process.stdout))
        except (OSError, ValueError):  # it has ended, or was ended and its streams closed
            pass
        finally:
            self._begin(None)
        if reply is not None:
            return _REPLIES.decode(reply), fresh
        if self._verdict:
            return ParsedFile(reason=self._verdict), fresh
        return _crash(process.wait()), fresh

    def _ready(self) -> "tuple[subprocess.Popen[bytes], bool]":
        """A process that waits for a file, and whether it was just started.

        Raises:
            WorkerError: none could be started.
        """
        with self._lock:
            process = self._process
            if self._ended:
                raise WorkerError("The reading of files was stopped.")
            if process is not None and process.poll() is None:
                return process, False
            if process is not None:
                _close(process)
            try:
                self._process = process = subprocess.Popen(  # noqa: S603 - our own interpreter
                    self._command,
                    env=self._environment,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                )
            except OSError as error:
                raise WorkerError(f"A process that reads files could not be started ({error}).") from None
        self._begin(SECONDS_TO_START)
        ready = receive(cast("BinaryIO", process.stdout))
        self._begin(None)
        if ready is None:
            raise WorkerError(
                f"A process that reads files ended before it began (exit code {process.wait()}): run "
                f"`{' '.join(self._command[:-1])}` to see why."
            )
        return process, True

    @property
    def _too_long(self) -> str:
        return f"it took longer than read_seconds, {self._settings.read_seconds:g} s: raise that setting"

    @property
    def _too_much_memory(self) -> str:
        return f"it needs more than read_memory_mb, {self._settings.read_memory_mb} MB: raise that setting"


def _size(file: SourceFile) -> int:
    with suppress(OSError):
        return file.location.stat().st_size
    return 0


def _crash(code: int) -> ParsedFile:
    """The result for a file whose process ended by itself; SIGKILL comes from the system, which had no memory left."""
    if code == -signal.SIGKILL:
        return ParsedFile(
            reason="its reader was killed by the system: free some memory, and index again", lasting=False
        )
    name = signal.Signals(-code).name if -code in {int(known) for known in signal.Signals} else f"exit code {code}"
    return ParsedFile(reason=f"its reader crashed ({name}): the file is damaged, or made to do harm")


def _resident(process: "subprocess.Popen[bytes]") -> int:
    """Bytes of memory that a process holds."""
    try:
        return int(psutil.Process(process.pid).memory_info().rss)
    except psutil.Error:
        return 0


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Kills a process and waits for its end, so that it is not taken for a living one."""
    process.kill()
    process.wait()


def _close(process: "subprocess.Popen[bytes]") -> None:
    """Closes the streams of a process that has ended."""
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with suppress(OSError):  # what was not yet written to it is lost
                stream.close()
