"""The process that reads files for pool.py, started as `python -m rag_qa.ingest.parsers.worker PARENT`.

Requests come on standard input and results go to standard output, each a msgpack message after its length in eight
bytes. The end of standard input is the end of the process, also in the middle of a file: a worker does not outlive the
one that started it.
"""

import ctypes
import os
import queue
import signal
import struct
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import msgspec
from msgspec import Struct

from rag_qa.ingest.parsers.dispatch import ParsedFile, parse_file
from rag_qa.ingest.sources import SourceFile
from rag_qa.schemas import msgpack_decoder
from rag_qa.settings import IndexSettings

__all__ = ["Request", "receive", "request_of", "send", "serve"]

LENGTH = struct.Struct(">Q")
PR_SET_PDEATHSIG = 1


class Request(Struct, frozen=True):
    """A file to read; paths as bytes, since a name need not be Unicode."""

    location: bytes
    sidecar: bytes | None
    path: str
    source: str
    settings: IndexSettings

    @property
    def file(self) -> SourceFile:
        """The file that is meant."""
        sidecar = Path(os.fsdecode(self.sidecar)) if self.sidecar is not None else None
        return SourceFile(Path(os.fsdecode(self.location)), self.path, self.source, sidecar)


_REQUESTS = msgpack_decoder(Request)


def request_of(file: SourceFile, settings: IndexSettings) -> Request:
    """The request to read a file."""
    sidecar = os.fsencode(file.sidecar) if file.sidecar is not None else None
    return Request(os.fsencode(file.location), sidecar, file.path, file.source, settings)


def send(stream: BinaryIO, message: object) -> None:
    """Writes one message."""
    data = msgspec.msgpack.encode(message)
    stream.write(LENGTH.pack(len(data)) + data)
    stream.flush()


def receive(stream: BinaryIO) -> bytes | None:
    """Reads one message, still encoded; None where the stream ends."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    data = stream.read(length)
    return data if len(data) == length else None


def serve(read: Callable[[SourceFile, IndexSettings], ParsedFile]) -> None:
    """Answers requests with what `read` returns, one after the other, until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started this one
    _die_with_parent(int(sys.argv[-1]))
    results = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not get between the results
    requests: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(requests,), daemon=True).start()
    send(results, None)  # ready
    while True:
        request = _REQUESTS.decode(requests.get())
        try:
            send(results, read(request.file, request.settings))
        except Exception as error:  # whatever it is, it costs one file
            send(results, ParsedFile(reason=f"its reader failed ({type(error).__name__}: {error}): please report it"))


def _listen(requests: "queue.SimpleQueue[bytes]") -> None:
    while (data := receive(sys.stdin.buffer)) is not None:
        requests.put(data)
    os._exit(0)


def _die_with_parent(parent: int) -> None:
    """Tells the Linux kernel to end this worker with its parent, even while it hangs in native code."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it was too late
            os._exit(0)


if __name__ == "__main__":
    serve(parse_file)
