import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from support import files

from rag_qa.errors import WorkerError
from rag_qa.ingest.parsers.pool import ParserPool
from rag_qa.ingest.sources import SourceFile
from rag_qa.settings import Settings

BAD_PARSER = (sys.executable, str(Path(files.__file__).with_name("bad_parser.py")))


@pytest.fixture
def files(tmp_path):
    """Makes files with these contents."""

    def make(*orders: str) -> list[SourceFile]:
        made = []
        for number, order in enumerate(orders):
            location = tmp_path / f"{number}.txt"
            location.write_text(order)
            made.append(SourceFile(location, location.name, str(location)))
        return made

    return make


def reasons(pool, files):
    return [result.reason for _, result in pool.read(files)]


def test_results_come_in_order_from_several_processes(files):
    orders = [f"file {number}" for number in range(40)]
    with ParserPool(Settings(readers=2), BAD_PARSER) as pool:
        results = list(pool.read(files(*orders)))
    assert [result.reason for _, result in results] == orders
    assert 1 <= len({result.sha256 for _, result in results}) <= 2


def test_a_file_that_kills_its_worker_costs_only_itself(files):
    with ParserPool(Settings(readers=1), BAD_PARSER) as pool:
        first, killed, left, last = reasons(pool, files("one", "die", "leave", "two"))
    assert (first, last) == ("one", "two")
    assert killed == "its reader crashed (SIGSEGV): the file is damaged, or made to do harm"
    assert "exit code 3" in left


@pytest.mark.parametrize(
    ("order", "limit", "reason"),
    [
        ("hang", {"read_seconds": 1}, "it took longer than read_seconds, 1 s: raise that setting"),
        ("grow", {"read_memory_mb": 200}, "it needs more than read_memory_mb, 200 MB: raise that setting"),
    ],
)
def test_a_file_beyond_a_limit_costs_only_itself(files, order, limit, reason):
    with ParserPool(Settings(readers=1, **limit), BAD_PARSER) as pool:
        assert reasons(pool, files("one", order, "two")) == ["one", reason, "two"]


def test_an_error_of_a_reader_is_a_reason(files):
    with ParserPool(Settings(readers=1), BAD_PARSER) as pool:
        first, last = reasons(pool, files("raise", "one"))
    assert (first, last) == ("its reader failed (RecursionError: too deep): please report it", "one")


def test_what_a_library_prints_does_no_harm(files):
    with ParserPool(Settings(readers=1), BAD_PARSER) as pool:
        assert reasons(pool, files("print", "one")) == ["print", "one"]


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ((sys.executable, "-c", "raise SystemExit(4)"), r"ended before it began \(exit code 4\): run "),
        (("/no/such/program",), "could not be started"),
    ],
)
def test_workers_that_cannot_start_end_the_run(files, command, message):
    with ParserPool(Settings(readers=2), command) as pool, pytest.raises(WorkerError, match=message):
        list(pool.read(files("one", "two")))


def test_the_file_after_one_that_was_stopped_is_read(files):
    orders = ["hang", "one"] * 4
    with ParserPool(Settings(readers=1, read_seconds=0.3), BAD_PARSER) as pool:
        assert reasons(pool, files(*orders))[1::2] == ["one"] * 4


def test_a_kill_by_the_system_is_no_lasting_fault_of_the_file(files):
    with ParserPool(Settings(readers=1), BAD_PARSER) as pool:
        ((_, result),) = pool.read(files("killed"))
    assert not result.lasting
    assert "killed by the system" in result.reason


def test_workers_end_with_the_pool(files):
    before = set(psutil.Process().children())
    with ParserPool(Settings(readers=2), BAD_PARSER) as pool:
        results = pool.read(files("one", "hang", "hang"))
        next(results)
        assert set(psutil.Process().children()) - before
    assert not set(psutil.Process().children()) - before


def test_workers_die_with_a_killed_parent(files, tmp_path):
    (file,) = files("hang")
    script = f"""
import sys
from pathlib import Path
from pathlib import Path
from rag_qa.errors import WorkerError
from rag_qa.ingest.parsers.pool import ParserPool
from rag_qa.settings import Settings
from rag_qa.ingest.sources import SourceFile
with ParserPool(Settings(readers=1), {BAD_PARSER!r}) as pool:
    list(pool.read([SourceFile(Path({str(file.location)!r}), "a", "a")]))
"""
    parent = subprocess.Popen([sys.executable, "-c", script])
    try:
        children = wait_for(lambda: psutil.Process(parent.pid).children())
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
        assert not psutil.wait_procs(children, timeout=10)[1]
    finally:
        parent.kill()
        parent.wait()


def wait_for(condition, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError("it did not happen")
