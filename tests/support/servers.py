"""A server of an index, for tests that meet it as its users do."""

import os
import re
import subprocess
import sys
from contextlib import contextmanager

LOCAL = "http://127.0.0.1"
"""The address of a service in this process, which asks for no key."""


@contextmanager
def serving(index, folder=None, *command, log=None, files=None, **settings):
    """Starts a server in a folder, by `serve` or another command, with settings; gives its address.

    Its log goes to a file, if at all; `files` is how many it may have open.
    """
    command = [sys.executable, "-m", "rag_qa", *(command or ("serve",)), "--port", "0", "--index", str(index)]
    if files:
        command = ["sh", "-c", f'ulimit -n {files} && exec "$@"', "sh", *command]
    environment = os.environ | {f"RAG_QA_{name.upper()}": str(value) for name, value in settings.items()}
    with open(log or os.devnull, "w") as errors:  # a pipe that nobody reads would be full one day
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    try:
        yield re.search(r"http://\S+:\d+", process.stdout.readline()).group()
    finally:
        process.terminate()
        process.wait(timeout=20)
        process.stdout.close()
    assert process.returncode in {0, -15}
