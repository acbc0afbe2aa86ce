"""A server that answers while its index is replaced, rolled back, damaged or taken away."""

import re
import shutil
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import httpx
import pytest
from support.indexes import build

from rag_qa.errors import repair
from rag_qa.index import open_history
from rag_qa.service.live import LiveEngine

QUESTION = "In which edition does the harbour open?"
DOCUMENTS = 12
SECONDS = 30


def write_edition(folder, number):
    folder.mkdir(exist_ok=True)
    for document in range(DOCUMENTS):
        text = f"In edition {number} the harbour {document} opens in March.\n\nShips pay a fee in edition {number}."
        (folder / f"{document:02}.txt").write_text(text)


@contextmanager
def serving(index):
    command = [sys.executable, "-m", "rag_qa", "serve", "--port", "0", "--index", str(index)]
    log = index.with_name("log")
    with log.open("w") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
    try:
        url = re.search(r"http://\S+:\d+", process.stdout.readline()).group()
        with httpx.Client(base_url=url, timeout=SECONDS) as client:
            yield client, log
    finally:
        ended = process.poll()
        process.terminate()
        process.communicate(timeout=SECONDS)
        assert ended is None, (ended, log.read_text())


def answers_from(client, snapshot):
    """Waits until the server answers from a snapshot; gives the seconds that took."""
    started = time.monotonic()
    while client.get("/snapshot").json()["id"] != snapshot:
        assert time.monotonic() - started < SECONDS
        time.sleep(0.05)
    return time.monotonic() - started


def test_no_request_fails_or_mixes_snapshots_while_they_change(tmp_path, with_encoder):
    folder, index = tmp_path / "papers", with_encoder()
    write_edition(folder, 0)
    editions = {build([folder], index).snapshot: 0}
    answers, failures, stop = [], [], threading.Event()

    def ask_on(url):
        with httpx.Client(base_url=url, timeout=SECONDS) as own:
            while not stop.is_set():
                try:
                    response = own.post("/ask", json={"question": QUESTION, "k": 8})
                    answers.append(response.json() if response.status_code == 200 else response.text)
                except httpx.HTTPError as error:
                    failures.append(repr(error))

    with serving(index) as (client, _):
        askers = [threading.Thread(target=ask_on, args=(client.base_url,)) for _ in range(4)]
        for asker in askers:
            asker.start()
        try:
            for number in (1, 2, 3):
                write_edition(folder, number)
                snapshot = build([folder], index).snapshot
                editions[snapshot] = number
                answers_from(client, snapshot)
            snapshot = open_history(index).roll_back()[0].partition("-")[0]
            answers_from(client, snapshot)
            assert editions[snapshot] == 2
        finally:
            stop.set()
            for asker in askers:
                asker.join(SECONDS)
    assert failures == []
    assert {editions[answer["snapshot"]] for answer in answers} == {0, 1, 2, 3}
    for answer in answers:
        edition = f"edition {editions[answer['snapshot']]}"
        assert len(answer["passages"]) == 8
        for passage in answer["passages"]:
            assert passage["text"].count(edition) == passage["text"].count("edition") > 0


def test_a_server_keeps_answering_where_its_index_is_taken_away(tmp_path, with_encoder):
    folder, index = tmp_path / "papers", with_encoder()
    write_edition(folder, 0)
    first = build([folder], index).snapshot
    with serving(index) as (client, log):
        before = client.post("/ask", json={"question": QUESTION}).json()
        shutil.rmtree(index / "snapshots")
        answer = client.post("/ask", json={"question": QUESTION}).json()
        assert answer["passages"] == before["passages"]
        assert len(client.get("/documents").json()["documents"]) == DOCUMENTS
        (index / "current").write_text("")
        started = time.monotonic()
        while "still answers" not in log.read_text():  # it has not looked yet
            assert time.monotonic() - started < SECONDS
            time.sleep(0.05)
        assert client.post("/ask", json={"question": QUESTION}).json()["snapshot"] == first
        write_edition(folder, 1)
        answers_from(client, build([folder], index).snapshot)


class Stand:
    """An engine of which only the name of its snapshot matters."""

    def __init__(self, name):
        self.info = self
        self.name = name
        self.closed = False

    def close(self):
        self.closed = True


NAMES = [f"{number:016x}-{number:08x}" for number in range(4)]


@pytest.fixture
def live(tmp_path):
    """A live engine over an index of which there is only `current`; what it loads is in `loaded`."""
    (tmp_path / "current").write_text(NAMES[0])
    loaded = []

    def load():
        loaded.append(Stand((tmp_path / "current").read_text()))
        return loaded[-1]

    live = LiveEngine(tmp_path, load)
    live.loaded = loaded
    live.current = tmp_path / "current"
    return live


def test_an_engine_is_closed_when_its_last_request_has_ended(live):
    with live.lend() as first:
        with live.lend() as same:
            assert same is first
        live.current.write_text(NAMES[1])
        live.look()
        with live.lend() as second:
            assert second.name == NAMES[1]
        assert not first.closed
    assert first.closed
    assert not second.closed
    live.close()
    assert second.closed


def test_an_engine_without_requests_is_closed_at_once(live):
    live.look()
    assert len(live.loaded) == 1  # nothing has changed
    live.current.write_text(NAMES[1])
    live.look()
    assert [engine.closed for engine in live.loaded] == [True, False]


def test_what_cannot_be_opened_is_not_taken_and_tried_again_later(live, caplog, monkeypatch):
    live.current.write_text("nothing")
    live.look()
    live.look()
    assert [record.getMessage() for record in caplog.records] == [
        f"snapshot {NAMES[0]} still answers: {live.current} names no snapshot: {repair(live.current.parent)}."
    ]
    live.current.write_text(NAMES[2])
    live.look()
    assert len(live.loaded) == 1  # not yet
    monkeypatch.setattr(live, "_not_before", 0.0)
    live.look()
    assert live.loaded[-1].name == NAMES[2]


def test_whatever_goes_wrong_the_engine_that_answers_goes_on(live, caplog, monkeypatch):
    def fail():
        raise MemoryError

    monkeypatch.setattr(live, "_load", fail)
    live.current.write_text(NAMES[1])
    live.look()
    assert len(caplog.records) == 1
    with live.lend() as engine:
        assert engine.name == NAMES[0]
        assert not engine.closed
