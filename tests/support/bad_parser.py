"""A worker whose reader does what a file says: for tests of the pool."""

import os
import signal
import time

from rag_qa.ingest.parsers.dispatch import ParsedFile
from rag_qa.ingest.parsers.worker import serve


def read(file, settings):
    order = file.location.read_text()
    if order == "hang":
        time.sleep(600)
    elif order == "die":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif order == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    elif order == "raise":
        raise RecursionError("too deep")
    elif order == "leave":
        os._exit(3)
    elif order == "grow":
        grown = []
        while True:
            grown.append(bytearray(os.urandom(1000) * 10_000))
    elif order == "print":
        os.write(1, b"noise on standard output")
    return ParsedFile(sha256=str(os.getpid()), reason=order)


serve(read)
