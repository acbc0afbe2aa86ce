"""Runs schemathesis, with all its checks, against a live server that asks for keys: `make test-contract`.

The server is of a small collection of its own, with a managed folder, so that every route can do what it is for.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
EXAMPLES = 100  # for each operation and phase, at most
FEWEST = 2000  # cases


def main() -> int:
    """Gives the exit code of schemathesis, or 1 where there were too few cases."""
    program = [sys.executable, "-m", "rag_qa"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["XDG_CACHE_HOME"] = os.environ.get("TESTS_CACHE", str(folder / "cache"))
        shutil.copytree(ROOT / "seeds", folder / "papers")
        (folder / "papers" / "incoming").mkdir()
        subprocess.run([*program, "index", "papers"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        key = subprocess.run(
            [*program, "keys", "create", "schemathesis", "--scope", "admin"],
            cwd=folder, check=True, capture_output=True, text=True,
        ).stdout.strip()  # fmt: skip
        settings = {"RAG_QA_MANAGED_FOLDER": "papers/incoming", "RAG_QA_RATE_LIMIT": "0"}
        with (folder / "log").open("w") as log:
            server = subprocess.Popen(
                [*program, "serve", "--port", "0", "--require-keys"],
                cwd=folder, env=os.environ | settings, stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip
        try:
            url = re.search(r"http://\S+:\d+", server.stdout.readline())[0]
            return examine(url, key)
        finally:
            server.terminate()
            server.wait(60)
            server.stdout.close()


def examine(url: str, key: str) -> int:
    """Runs schemathesis and prints what it says."""
    command = [
        str(Path(sys.executable).with_name("schemathesis")), "run", f"{url}/schema/openapi.json", "--checks", "all",
        "--header", f"Authorization: Bearer {key}", "--max-examples", str(EXAMPLES), "--generation-deterministic",
        "--continue-on-failure", "--no-color",
    ]  # fmt: skip
    hooks = {"SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(Path(__file__).parent)}
    ran = subprocess.run(command, env=os.environ | hooks, capture_output=True, text=True, check=False)
    sys.stdout.write(ran.stdout[-20_000:] + ran.stderr[-2000:])
    cases = re.search(r"(\d+) generated", ran.stdout.replace(",", ""))
    if ran.returncode == 0 and (cases is None or int(cases[1]) < FEWEST):
        sys.stdout.write(f"At least {FEWEST} cases are wanted: raise EXAMPLES.\n")
        return 1
    return ran.returncode


if __name__ == "__main__":
    sys.exit(main())
