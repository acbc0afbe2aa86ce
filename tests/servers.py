"""A server of an index, for tests that meet it as its users do."""

import re
import subprocess
import sys
from contextlib import contextmanager


@contextmanager
def serving(index, folder=None, *command):
    """Starts a server in a folder, by `serve` or another command; gives its address."""
    command = [sys.executable, "-m", "rag_qa", *(command or ("serve",)), "--port", "0", "--index", str(index)]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
    try:
        yield re.search(r"http://\S+:\d+", process.stdout.readline()).group()
    finally:
        process.terminate()
        process.wait(timeout=20)
        process.stdout.close()
    assert process.returncode in {0, -15}
