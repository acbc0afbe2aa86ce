"""A live server, as its users meet it."""

import contextlib
import http.client
import json
import re
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import httpx
import msgspec
import pytest
from litestar.testing import TestClient
from support.servers import LOCAL, serving
from support.slow_engine import Pairs

from rag_qa import Settings
from rag_qa.service.api import examples
from rag_qa.service.app import create_app

QUESTION = "what did HMICFRS recommend?"


@pytest.fixture(scope="module")
def url(root, seeds_index):
    with serving(seeds_index, root) as url:
        yield url


@pytest.fixture(scope="module")
def client(url):
    with httpx.Client(base_url=url, timeout=30) as client:
        yield client


def without_timings(answer):
    return {name: value for name, value in answer.items() if name != "timings_ms"}


def check_problem(response, status, words):
    assert response.status_code == status, response.text
    assert response.headers["content-type"].startswith("application/problem+json")
    body = response.json()
    assert body["status"] == status
    assert set(body) == {"type", "title", "status", "detail"}
    assert words in body["detail"]
    assert "Traceback" not in response.text
    assert "rag_qa/" not in response.text


def test_post_and_get_answer_as_the_command_line_does(client, root, seeds_index):
    command = [sys.executable, "-m", "rag_qa", "ask", QUESTION, "--json", "--index", seeds_index, "-k", "4"]
    told = json.loads(subprocess.run(command, cwd=root, capture_output=True, check=True, timeout=60).stdout)
    posted = client.post("/ask", json={"question": QUESTION, "k": 4})
    assert posted.status_code == 200
    assert without_timings(posted.json()) == without_timings(told)
    got = client.get("/ask", params={"q": QUESTION, "k": 4})
    assert without_timings(got.json()) == without_timings(told)


def test_200_requests_at_once(client, url, engine):
    expected = [(p.text, p.score) for p in engine.ask(QUESTION).passages]

    def ask(_):
        with httpx.Client(base_url=url, timeout=60, verify=False) as own:  # else each would load all certificates
            response = own.post("/ask", json={"question": QUESTION})
        return response.status_code, [(p["text"], p["score"]) for p in response.json()["passages"]]

    with ThreadPoolExecutor(200) as pool:
        results = list(pool.map(ask, range(200)))
    assert results == [(200, expected)] * 200


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"question": ""}, "is empty"),
        ({"question": "?!"}, "no letter and no digit"),
        ({"question": "what\0"}, "NUL"),
        ({"question": "x" * 3000}, "at most 2000"),
        ({"question": "what?", "k": 0}, "k is 0"),
        ({"question": "what?", "k": -1}, "k is -1"),
        ({"question": "what?", "k": 10**9}, "must be from 1 to 100"),
        ({"question": "what?", "k": "x"}, "Expected `int`"),
        ({"question": 7}, "Expected `str`"),
        ({"question": "what?", "max_tokens": 0}, "max_tokens is 0"),
        ({"question": "what?", "colour": "red"}, "unknown field `colour`"),
        ({"question": "what?", "filters": {"colour": "red"}}, "unknown field `colour`"),
        ({"question": "what?", "filters": {"date_from": "soon"}}, "date_from is “soon”"),
        ({"question": "what?", "filters": {"format": 3}}, "filters"),
        ({"question": "what?", "filters": {"document": "[z-a]"}}, "The glob “[z-a]” cannot be understood"),
        ({"question": "what?", "filters": {"document": " "}}, "A glob is empty"),
        ({}, "missing required field `question`"),
        ([], "Expected `object`"),
    ],
)
def test_bad_questions_are_400(client, body, words):
    check_problem(client.post("/ask", json=body), 400, words)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"question": "what?", "k": "3"}, "k: Expected `int`, got `str`"),
        ({"question": "what?", "filters": {"format": [1]}}, "Expected `str`, got `int`"),
        ({"question": "what?", "k": 1e300}, "k: Expected `int`, got `float`"),
        ({"question": "what?", "max_tokens": 1e300}, "max_tokens: Expected `int | null`, got `float`"),
        ({"question": "what?", "max_tokens": 2.0**53 + 2}, "max_tokens: Expected `int | null`, got `float`"),
    ],
)
def test_a_body_is_as_strict_as_json(client, body, words):
    check_problem(client.post("/ask", json=body), 400, words)
    whole = client.post("/ask", json={"question": "what?", "k": 2.0})
    assert len(whole.json()["passages"]) == 2
    check_problem(client.get("/ask", params={"q": "what?", "max_tokens": "null"}), 400, "max_tokens is “null”")


def test_a_body_that_is_large_and_no_question_is_told_at_once(client):
    content = b"[" + b"[]," * 1_200_000 + b"[]]"
    check_problem(client.post("/verify", content=content), 400, "Expected `object`, got `array`")
    content = b'{"question": "what?", "k": 1.5, "filters": {"metadata": {' + b'"a": 1.0,' * 5000 + b'"b": 1}}}'
    check_problem(client.post("/ask", content=content), 400, "k: Expected `int`")


def test_a_metadata_field_that_no_document_has_is_404(client):
    asked = {"question": "what?", "filters": {"metadata": {"colour": "red"}}}
    check_problem(client.post("/ask", json=asked), 404, "No document has the metadata field “colour”")


@pytest.mark.parametrize(
    "content", [b"", b"{", b'{"question": "\\ud800"}', b"\xff\xfe", b'{"question": "\xff"}', b"[" * 20_000]
)
def test_bodies_that_are_no_json(client, content):
    check_problem(client.post("/ask", content=content, headers={"content-type": "application/json"}), 400, "")


def test_a_body_that_is_too_large(client):
    check_problem(client.post("/ask", json={"question": "x" * 100_000}), 413, "")
    for path in ("/ask", "/verify"):
        check_problem(client.post(path), 400, "The body is empty: send a JSON object.")


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/ask", 400, "q"),
        ("/ask?q=what&k=x", 400, "k"),
        ("/ask?q=what&k=0", 400, "k is 0"),
        ("/ask?q=what&kk=3", 400, "Unknown parameter “kk”"),
        ("/documents/unknown/text?strat=5", 400, "Unknown parameter “strat”"),
        ("/ask?q=" + "x" * 60_000, 400, "at most 2000"),
        ("/documents/unknown", 404, "No document has the id"),
        ("/documents/unknown/text", 404, "No document has the id"),
        ("/documents/..%2f..%2fetc", 404, ""),
        ("/documents?limit=0", 400, "limit"),
        ("/documents?offset=99999999999999999999", 400, "offset"),
        ("/nothing", 404, ""),
    ],
)
def test_bad_urls_are_problems(client, path, status, words):
    check_problem(client.get(path), status, words)


def test_a_url_longer_than_most_servers_read_is_a_problem_too(url):
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)
    try:
        for length, words in ((60_000, "at most 2000"), (100_000, "at most 65535 bytes")):
            connection.request("GET", "/ask?q=" + "x" * length)
            response = connection.getresponse()
            assert response.status == 400
            assert response.headers["content-type"] == "application/problem+json"
            assert response.headers["x-content-type-options"] == "nosniff"
            assert words in response.read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("sent", "status", "words"),
    [
        (b"what did HMICFRS recommend?\r\n\r\n", "400 Bad Request", "cannot be read as HTTP"),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 300_000, "431 Request Header", "Headers have at most 1048576 bytes"),
    ],
    ids=["no HTTP", "no end"],
)
def test_what_is_no_http_or_has_no_end_is_a_problem(url, sent, status, words):
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        with contextlib.suppress(ConnectionError):  # it does not take all of it
            connection.sendall(sent)
        with contextlib.suppress(ConnectionResetError):
            answered = connection.recv(4096).decode()
            assert answered.startswith(f"HTTP/1.1 {status}")
            assert words in answered
    assert httpx.get(f"{url}/health/live").status_code == 200


def test_connections_are_kept_and_what_is_sent_at_once_is_answered_in_order(url):
    host, port = url.removeprefix("http://").split(":")
    one = b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        for _ in range(3):
            connection.sendall(one * 2)
            received = b""
            while received.count(b'{"status":"ok"}') < 2:
                received += connection.recv(4096)
            assert received.count(b"HTTP/1.1 200") == 2


def test_a_wrong_method_is_a_problem(client):
    check_problem(client.delete("/ask"), 405, "")


def test_documents_and_their_text(client, root):
    listed = client.get("/documents").json()
    assert listed["total"] == 3
    snapshot = client.get("/snapshot").json()["id"]
    assert listed["snapshot"] == snapshot
    assert [entry["document"] for entry in listed["documents"]] == sorted(p.name for p in (root / "seeds").iterdir())
    assert client.get("/documents?offset=1&limit=1").json()["documents"] == listed["documents"][1:2]
    entry = listed["documents"][0]
    detail = client.get(f"/documents/{entry['id']}").json()
    assert detail.items() >= {**entry, "snapshot": snapshot}.items()
    text = (root / "seeds" / entry["document"]).read_bytes().decode()
    response = client.get(f"/documents/{entry['id']}/text")
    assert response.text == text
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["x-snapshot"] == snapshot
    assert client.get(f"/documents/{entry['id']}/text?start=10&end=30").text == text[10:30]
    for query in (f"start={len(text) + 1}", "start=5&end=3", "start=-1", f"end={len(text) + 1}"):
        check_problem(client.get(f"/documents/{entry['id']}/text?{query}"), 404, "no stretch of this document")


def test_a_citation_can_be_checked_by_its_offsets(client):
    for passage in client.post("/ask", json={"question": QUESTION}).json()["passages"]:
        place = passage["citation"]
        response = client.get(f"/documents/{place['id']}/text", params={"start": place["start"], "end": place["end"]})
        assert response.text == passage["text"]


def test_health_and_snapshot(client, engine):
    assert client.get("/health/live").json() == {"status": "ok"}
    assert client.get("/health/ready").json() == {"status": "ok"}
    view = client.get("/snapshot").json()
    assert view["id"] == engine.info.id
    assert view["counts"]["documents"] == 3
    assert "working_directory" not in view


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "", "[::2]"])
def test_a_foreign_host_gets_400(client, host):
    for path in ("/ask?q=what", "/health/live", "/nothing"):
        check_problem(client.get(path, headers={"host": host}), 400, "host name is not allowed")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:9", "[::1]:8080"])
def test_a_local_host_is_answered(client, host):
    assert client.get("/health/live", headers={"host": host}).status_code == 200


def test_schema_page_loads_nothing_from_another_host(client):
    page = client.get("/schema")
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    links = re.findall(r'(?:src|href)="([^"]*)"', page.text)
    assert len(links) == 4
    assert all(link.startswith("/schema/") for link in links)
    assert "//" not in page.text.replace("<!doctype", "")
    for link in links:
        response = client.get(link)
        assert response.status_code == 200
        assert len(response.content) > 100
    check_problem(client.get("/schema/assets/../routes.py"), 404, "")
    check_problem(client.get("/schema/assets/index.css"), 404, "")


def test_openapi_describes_every_route_with_examples(client):
    document = client.get("/schema/openapi.json").json()
    paths = document["paths"]
    assert set(paths) == {
        "/ask", "/ask/batch", "/verify", "/documents", "/documents/{document_id}", "/documents/{document_id}/text",
        "/documents/{document_id}/reference", "/documents/{document_id}/file", "/snapshot", "/health/live",
        "/health/ready", "/admin/index", "/admin/jobs", "/admin/jobs/{job_id}", "/admin/jobs/{job_id}/events",
        "/admin/snapshots", "/admin/snapshots/rollback", "/admin/documents", "/admin/documents/{path}",
    }  # fmt: skip
    post = paths["/ask"]["post"]
    assert post["requestBody"]["content"]["application/json"]["schema"]["examples"][0]["question"]
    (answer,) = post["responses"]["200"]["content"]["application/json"]["examples"].values()
    assert answer["value"]["passages"][0]["citation"]["line"] == 3
    assert "application/problem+json" in post["responses"]["400"]["content"]
    assert set(post["responses"]) >= {"200", "400", "413", "503"}


def test_examples_hold_what_they_show(client):
    answer = client.post("/ask", json={"question": examples.ASK.question, "k": examples.ASK.k}).json()
    filtered = client.post("/ask", content=msgspec.json.encode(examples.ASK))
    assert (filtered.status_code, filtered.json()["passages"]) == (200, [])  # the seeds have no dates
    assert set(client.post("/verify", json=answer).json()) == set(type(examples.VERIFICATION).__struct_fields__)
    assert set(answer) == set(type(examples.ANSWER).__struct_fields__)
    passage = examples.ANSWER.passages[0]
    for mark in passage.highlights:
        start = passage.citation.start
        assert passage.text[mark.start - start : mark.end - start] == mark.text
    assert passage.citation.end - passage.citation.start == len(passage.text)
    entry = client.get("/documents").json()["documents"][0]
    assert set(entry) == set(type(examples.ENTRY).__struct_fields__)
    detail = client.get(f"/documents/{entry['id']}").json()
    assert set(detail) == set(type(examples.DOCUMENT).__struct_fields__)
    assert set(client.get("/snapshot").json()) == set(type(examples.SNAPSHOT).__struct_fields__)
    assert set(client.get("/admin/snapshots").json()[0]) == set(type(examples.SNAPSHOTS[0]).__struct_fields__)
    for status, shown in examples.PROBLEMS.items():
        assert shown.status == status


def test_filters_by_body_and_by_url(client):
    names = [entry["document"] for entry in client.get("/documents").json()["documents"]]

    def found(response):
        assert response.status_code == 200, response.text
        return {passage["citation"]["document"] for passage in response.json()["passages"]}

    filters = {"document": [names[1], names[2]], "format": "text", "language": "en"}
    assert found(client.post("/ask", json={"question": QUESTION, "k": 20, "filters": filters})) == set(names[1:])
    parameters = [("q", QUESTION), ("k", "20"), *(("document", name) for name in names[1:]), ("format", "text")]
    assert found(client.get("/ask", params=parameters)) == set(names[1:])
    assert found(client.get("/ask", params={"q": QUESTION, "metadata": f"title={names[0]}"})) <= {names[0]}
    empty = client.get("/ask", params={"q": QUESTION, "date_to": "1900"}).json()
    assert (empty["answered"], empty["passages"]) == (False, [])
    check_problem(client.get("/ask", params={"q": QUESTION, "metadata": "title"}), 400, "write FIELD=VALUE")
    check_problem(client.get("/ask", params=[("q", "a"), ("q", "b")]), 400, "“q” is given twice")
    large = {"question": QUESTION, "filters": {"metadata": {"size": 10**30}}}
    assert client.post("/ask", json=large).json()["passages"] == []
    check_problem(client.get("/ask", params={"q": QUESTION, "metadata": "no=1"}), 404, "the metadata field “no”")


def test_verify_over_http(client):
    answer = client.post("/ask", json={"question": QUESTION, "k": 3}).json()
    assert client.post("/verify", json=answer).json()["holds"] is True
    answer["passages"][0]["citation"]["start"] += 1
    answer["passages"][1]["citation"]["document"] = "nowhere"
    answer["passages"][2]["citation"]["sha256"] = "0" * 64
    told = client.post("/verify", json=answer).json()
    assert told["holds"] is False
    assert [citation["state"] for citation in told["citations"]] == ["forged", "forged", "forged"]
    told = client.post("/verify", json=answer | {"snapshot": "another"}).json()
    assert [citation["state"] for citation in told["citations"]] == ["forged", "gone", "changed"]
    check_problem(client.post("/verify", json={"question": "what?"}), 400, "snapshot")
    check_problem(client.post("/verify", content=b"x" * 5_000_000), 413, "")


def test_damage_under_a_running_server_is_503_and_names_nothing(root, index_copy):
    (store,) = index_copy.glob("snapshots/*/segments/*/documents.sqlite")
    command = [sys.executable, "-m", "rag_qa", "serve", "--port", "0", "--index", index_copy]
    process = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        base = re.search(r"http://\S+:\d+", process.stdout.readline()).group()
        data = store.read_bytes()
        store.write_bytes(bytes(len(data)))
        response = httpx.post(f"{base}/ask", json={"question": QUESTION}, timeout=30)
        check_problem(response, 503, "the server's log says why")
        assert str(index_copy) not in response.text
    finally:
        process.terminate()
        _, log = process.communicate(timeout=20)
    assert "documents.sqlite is damaged" in log


def test_a_port_in_use(root, seeds_index):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "rag_qa", "serve", "--port", str(port), "--index", seeds_index]
        result = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 2
    assert f"Cannot listen on 127.0.0.1, port {port}" in result.stderr
    assert "Traceback" not in result.stderr


def test_who_comes_past_the_queue_is_told_to_come_again_and_nobody_is_lost(root, seeds_index):
    many = {"questions": [{"question": QUESTION}] * 100}
    with serving(seeds_index, root, max_requests=1) as url, ThreadPoolExecutor(1) as pool:
        slow = pool.submit(httpx.post, f"{url}/ask/batch", json=many, timeout=60)
        while "rag_qa_requests_here 1.0" not in httpx.get(f"{url}/metrics").text:
            assert not slow.done()
        refused = httpx.post(f"{url}/ask", json={"question": QUESTION})
        check_problem(refused, 503, "1 requests are here already")
        assert refused.headers["retry-after"] == "1"
        assert refused.headers["x-content-type-options"] == "nosniff"
        check_problem(httpx.get(f"{url}/snapshot"), 503, "1 requests are here already")
        assert httpx.get(f"{url}/health/live").status_code == 200
        assert 'rag_qa_refused_total{reason="queue"} 2.0' in httpx.get(f"{url}/metrics").text
        assert len(slow.result().json()["results"]) == 100
        assert httpx.post(f"{url}/ask", json={"question": QUESTION}).status_code == 200


def test_the_service_works_on_so_many_requests_as_the_settings_say(seeds_index):
    pairs = Pairs()
    app = create_app(Settings(index=str(seeds_index), threads=2), lambda: pairs.open(seeds_index))
    with TestClient(app, base_url=LOCAL) as client, ThreadPoolExecutor(6) as pool:
        statuses = list(pool.map(lambda _: client.post("/ask", json={"question": QUESTION}).status_code, range(6)))
    assert statuses == [200] * 6
    assert pairs.most == 2
