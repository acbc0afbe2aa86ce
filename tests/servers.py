"""A server of an index, for tests that meet it as its users do."""

import os
import re
import subprocess
import sys
from contextlib import contextmanager


@contextmanager
def serving(index, folder=None, *command, log=None, ends=(0, -15), **settings):
    """Starts a server in a folder, by `serve` or another command, with settings; gives its address.

    Its log goes to a file, if at all.
    """
    command = [sys.executable, "-m", "rag_qa", *(command or ("serve",)), "--port", "0", "--index", str(index)]
    environment = os.environ | {f"RAG_QA_{name.upper()}": str(value) for name, value in settings.items()}
    with open(log or os.devnull, "w") as errors:  # a pipe that nobody reads would be full one day
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True
        )
    try:
        yield re.search(r"http://\S+:\d+", process.stdout.readline()).group()
    finally:
        process.terminate()
        process.wait(timeout=20)
        process.stdout.close()
    assert process.returncode in ends
