"""What a service tells of itself: metrics, logs, traces; and what it does not tell."""

import json
import logging
import os
import re
import subprocess
import sys

import httpx
import pytest
import structlog
from litestar.testing import TestClient
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from support.servers import LOCAL, serving

from rag_qa import Settings
from rag_qa.errors import SettingsError
from rag_qa.service import app
from rag_qa.service.app import create_app
from rag_qa.service.telemetry import tracing
from rag_qa.service.telemetry.logs import configure_logs

QUESTION = "what did HMICFRS recommend?"
SECRET = "Zanzibar lighthouse"


def metrics(client):
    """Every sample, by name and labels."""
    text = client.get("/metrics").text
    return {name: float(value) for name, value in re.findall(r"^([^#\s]+(?:\{.*?\})?) (\S+)$", text, re.MULTILINE)}


def gained(before, after, name):
    return after.get(name, 0) - before.get(name, 0)


@pytest.fixture(scope="module")
def client(seeds_index, root):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        with TestClient(create_app(Settings(index=str(seeds_index))), base_url=LOCAL) as client:
            yield client


def test_metrics_count_questions_stages_and_refusals(client, engine):
    before = metrics(client)
    assert client.post("/ask", json={"question": QUESTION}).json()["answered"]
    assert not client.post("/ask", json={"question": "Who won the chess match on Mars?"}).json()["answered"]
    assert client.get("/", params={"q": QUESTION}).status_code == 200
    assert client.post("/ask", json={"question": ""}).status_code == 400
    assert client.get("/snapshot", headers={"Host": "evil.example"}).status_code == 400
    after = metrics(client)
    assert gained(before, after, "rag_qa_questions_total") == 3
    assert gained(before, after, "rag_qa_abstentions_total") == 1
    for stage in ("encode", "dense", "lexical", "total"):
        assert gained(before, after, f'rag_qa_stage_seconds_count{{stage="{stage}"}}') == 3
    assert gained(before, after, 'rag_qa_refused_total{reason="host"}') == 1
    asked = 'rag_qa_requests_total{app_name="rag_qa",method="POST",path="/ask",status_code="%s"}'
    assert gained(before, after, asked % 200) == 2
    assert gained(before, after, asked % 400) == 1
    manifest = engine.index.snapshot.manifest
    assert after[f'rag_qa_snapshot{{id="{manifest.id}"}}'] == 1
    assert after["rag_qa_documents"] == manifest.counts.documents
    assert after["rag_qa_passages"] == manifest.counts.passages
    assert after["rag_qa_requests_here"] == 0  # the one for metrics waits for nobody
    assert after["process_resident_memory_bytes"] > 1e7


def test_metrics_have_no_label_that_a_client_makes_up(client):
    for number in range(5):
        client.get(f"/documents/made-up-{number}")
        client.get(f"/nothing/made-up-{number}")
    assert "made-up" not in client.get("/metrics").text


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("told", [False, True])
def test_a_log_tells_of_every_request_and_of_questions_only_if_it_may(seeds_index, root, tmp_path, told):
    log = tmp_path / "log"
    with serving(seeds_index, root, log=log, log_questions=str(told).lower()) as url:
        headers = {"X-Request-ID": "mine-1"}
        assert httpx.get(f"{url}/ask", params={"q": SECRET}, headers=headers).headers["x-request-id"] == "mine-1"
        httpx.get(f"{url}/", params={"q": SECRET})
        httpx.get(f"{url}/read/x", params={"quote": SECRET, "find": SECRET})
        httpx.post(f"{url}/ask", json={"question": SECRET, "k": 0})
        httpx.post(f"{url}/ask/batch", json={"questions": [{"question": SECRET}]})
        forged = httpx.get(f"{url}/health/live", headers={"X-Request-ID": 'a"b'}).headers["x-request-id"]
        assert re.fullmatch("[0-9a-f]{32}", forged)
    written = lines(log)
    requests = [line for line in written if line["event"] == "request"]
    assert [(line["method"], line["path"], line["status"]) for line in requests] == [
        ("GET", "/ask", 200), ("GET", "/", 200), ("GET", "/read/x", 404), ("POST", "/ask", 400),
        ("POST", "/ask/batch", 200), ("GET", "/health/live", 200),
    ]  # fmt: skip
    assert requests[0]["request_id"] == "mine-1"
    assert all(line["ms"] > 0 and line["client"] == "127.0.0.1" and line["key"] is None for line in requests)
    asked = [line for line in written if line["event"] == "question"]
    assert [line["request_id"] for line in asked[:1]] == ["mine-1"]
    assert len(asked) >= 3
    assert ("Zanzibar" in log.read_text()) is told
    assert all(("question" in line) is told for line in asked)
    for line in written:
        assert line["timestamp"].endswith("Z")
        assert line["level"] in {"info", "warning"}


@pytest.fixture
def configured(capsys):
    """Logs as a service has them, on what pytest captures."""
    before = structlog.get_config()
    loggers = [logging.getLogger(name) for name in ("rag_qa", "uvicorn.error", "litestar", "mcp")]
    were = [(logger.handlers, logger.propagate, logger.level) for logger in loggers]
    yield lambda questions: configure_logs(questions=questions)
    structlog.configure(**before)
    for logger, (handlers, propagate, level) in zip(loggers, were, strict=True):
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)


@pytest.mark.parametrize("told", [False, True])
def test_an_exception_is_logged_by_its_places_without_its_words(configured, capsys, told):
    configured(told)
    try:
        raise ValueError(SECRET)
    except ValueError as error:
        logging.getLogger("rag_qa.service").error("unhandled", exc_info=error)
        structlog.get_logger().error("unhandled", exc_info=True)
    written = capsys.readouterr().err
    assert (SECRET in written) is told
    first, second = map(json.loads, written.splitlines())
    for line in (first, second):
        assert line["event"] == "unhandled"
        assert "test_observing.py" in str(line["exception"] if told else line["places"])
        assert "ValueError" in line["exception"]


def test_a_log_that_nobody_reads_costs_no_request(configured, monkeypatch, client):
    class Gone:
        def isatty(self):
            return False

        def write(self, text):
            raise BrokenPipeError

        def flush(self):
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Gone())
    configured(False)
    assert client.get("/snapshot").status_code == 200


def test_traces_tell_of_stages_and_not_of_questions(seeds_index, root, monkeypatch):
    spans = InMemorySpanExporter()
    monkeypatch.chdir(root)
    monkeypatch.setattr(tracing, "_tracing", False)
    monkeypatch.setattr(app, "traces", lambda: tracing.traces(SimpleSpanProcessor(spans)))
    with TestClient(create_app(Settings(index=str(seeds_index), traces=True)), base_url=LOCAL) as client:
        assert client.get("/ask", params={"q": SECRET}).status_code == 200
        assert client.get("/documents/x").status_code == 404
    asked, missed = spans.get_finished_spans()
    assert asked.attributes["http.status_code"] == 200
    assert asked.attributes["rag_qa.encode_ms"] > 0
    assert asked.attributes["rag_qa.answered"] is False
    assert asked.resource.attributes["service.name"] == "rag_qa"
    assert missed.attributes["http.status_code"] == 404
    told = repr([(span.name, dict(span.attributes), span.events) for span in (asked, missed)])
    assert "Zanzibar" not in told


def test_traces_without_their_packages(monkeypatch):
    monkeypatch.setitem(sys.modules, "litestar.plugins.opentelemetry", None)
    with pytest.raises(SettingsError, match=r"pip install 'rag_qa\[otel\]'"):
        tracing.traces()


def test_nothing_is_left_behind_where_libraries_would_keep_what_they_send(seeds_index, root, tmp_path):
    """onnxruntime keeps an id of the machine, and what it would send, in the user's folders."""
    home = tmp_path / "home"
    home.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "ORT_"))}
    command = [sys.executable, "-m", "rag_qa", "ask", QUESTION, "--index", str(seeds_index)]
    subprocess.run(command, cwd=root, env=kept | {"HOME": str(home)}, check=True, capture_output=True)
    assert list(home.rglob("*")) == []
