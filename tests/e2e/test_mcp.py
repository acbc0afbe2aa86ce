"""MCP as its clients speak it: by the SDK's own client over both transports, and by hand."""

import json
import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import anyio
import httpx
import pytest
from litestar.testing import TestClient
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.stdio import stdio_client
from support.indexes import build
from support.interrupts import INTERRUPTIBLE
from support.servers import LOCAL, serving
from support.slow_engine import Pairs

from rag_qa import Engine, Settings
from rag_qa.errors import IndexDamagedError
from rag_qa.service.app import create_app

QUESTION = "what did HMICFRS recommend?"
FOREIGN = "https://evil.example"
LEGACY = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "by hand", "version": "1"}}


@pytest.fixture(scope="module")
def url(root, seeds_index):
    with serving(seeds_index, root, "mcp", "--http") as url:
        yield url


def by_stdio(index, log):
    """The transport of a client to a process of its own."""
    command = ["-m", "rag_qa", "mcp", "--index", str(index)]
    return stdio_client(StdioServerParameters(command=sys.executable, args=command, env=dict(os.environ)), errlog=log)


def request(method, number=1, **params):
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


def call(name, **arguments):
    return request("tools/call", name=name, arguments=arguments)


def lines(*messages):
    return "".join(json.dumps(message) + "\n" for message in messages)


async def failure(client, name, **arguments):
    """The sentence by which a call fails."""
    result = await client.call_tool(name, arguments)
    assert result.is_error
    assert result.structured_content is None
    (content,) = result.content
    assert "Traceback" not in content.text
    assert "rag_qa/" not in content.text
    return content.text


async def look_around(client, version):
    """What every client may do over any transport; the client checks results against the tools' schemas."""
    assert client.protocol_version == version
    assert client.server_info.name == "rag_qa"
    assert "never an instruction" in client.instructions

    tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert list(tools) == ["ask", "read", "verify", "list"]
    for tool in tools.values():
        assert tool.title
        assert tool.description
        hints = tool.annotations
        assert (hints.read_only_hint, hints.idempotent_hint, hints.open_world_hint) == (True, True, False)
        assert tool.input_schema["type"] == tool.output_schema["type"] == "object"
        assert tool.input_schema["additionalProperties"] is False
        assert "$ref" not in json.dumps([tool.input_schema, tool.output_schema])

    asked = await client.call_tool("ask", {"question": QUESTION, "k": 4, "filters": {"format": "text"}})
    answer, (told,) = asked.structured_content, asked.content
    assert (answer["question"], answer["answered"], len(answer["passages"])) == (QUESTION, True, 4)
    for passage in answer["passages"]:
        place = passage["citation"]
        assert passage["text"] in told.text
        assert f"id {place['id']}, start {place['start']}, end {place['end']}" in told.text
        read = await client.call_tool("read", {name: place[name] for name in ("id", "start", "end")})
        assert read.content[0].text == read.structured_content["text"] == passage["text"]
        assert read.structured_content["citation"] == place
        assert (read.structured_content["cut"], read.structured_content["snapshot"]) == (False, answer["snapshot"])
        assert f"{place['document']}, line {place['line']}" in read.content[1].text

    verified = await client.call_tool("verify", {"answer": answer})
    assert verified.structured_content["holds"] is True
    assert verified.content[0].text.startswith("4 of 4 citations hold.")
    answer["passages"][0]["text"] += "!"
    verified = await client.call_tool("verify", {"answer": answer})
    assert [each["state"] for each in verified.structured_content["citations"]] == ["forged", *["holds"] * 3]

    listed = await client.call_tool("list", {})
    documents = listed.structured_content["documents"]
    assert (listed.structured_content["total"], len(documents)) == (3, 3)
    assert all(
        f"{each['document']}: “{each['title']}”, id {each['id']}" in listed.content[0].text for each in documents
    )
    second = await client.call_tool("list", {"offset": 1, "limit": 1})
    assert second.structured_content["documents"] == documents[1:2]
    assert (await client.call_tool("list", {"offset": 3})).content[0].text == "No more documents."
    nothing = await client.call_tool("ask", {"question": QUESTION, "filters": {"date_to": "1900"}})
    assert "no document passes the filters" in nothing.content[0].text
    unanswered = await client.call_tool("ask", {"question": "who won the football world cup in 1966?"})
    assert unanswered.structured_content["answered"] is False
    assert unanswered.content[0].text.startswith("Nothing in this collection answers this (confidence 0.")
    assert unanswered.structured_content["why_not"] in unanswered.content[0].text

    halves = await client.call_tool("ask", {"question": "Compare Liberty and Kalayaan."})
    first, second = halves.structured_content["parts"]
    assert (first["question"], second["question"]) == ("What about Liberty?", "What about Kalayaan?")
    ranks = ", ".join(f"[{rank}]" for rank in first["passages"])
    assert f"Asked apart: What about Liberty? Passages {ranks} (confidence 0." in halves.content[0].text

    one = documents[0]
    whole = (await client.call_tool("read", {"id": one["id"]})).structured_content
    assert len(whole["text"]) == whole["characters"] == one["characters"]
    length = f"which has {one['characters']} characters"
    assert length in await failure(client, "read", id=one["id"], start=5, end=3)
    assert length in await failure(client, "read", id=one["id"], start=one["characters"] + 1)
    assert length in await failure(client, "read", id=one["id"], start=-1, end=3)
    assert "No document has the id “nowhere”" in await failure(client, "read", id="nowhere")
    assert "missing required field `question`" in await failure(client, "ask")
    assert "unknown field `colour`" in await failure(client, "ask", question="what?", colour="red")
    assert "Expected `int`, got `str` - at `$.k`" in await failure(client, "ask", question="what?", k="3")
    assert "k is 0" in await failure(client, "ask", question="what?", k=0)
    assert "date_from is “soon”" in await failure(client, "ask", question="what?", filters={"date_from": "soon"})
    assert "missing required field `snapshot`" in await failure(client, "verify", answer={"question": "what?"})
    assert "Expected `int` >= 1 - at `$.limit`" in await failure(client, "list", limit=0)
    with pytest.raises(MCPError, match=r"There is no tool “destroy”; there are: ask, read, verify, list\."):
        await client.call_tool("destroy", {})


@pytest.mark.parametrize(("mode", "version"), [("auto", "2026-07-28"), ("legacy", "2025-11-25")])
def test_over_http(url, mode, version):
    async def run():
        async with Client(f"{url}/mcp", mode=mode) as client:
            await look_around(client, version)

    anyio.run(run)


def test_over_standard_input_and_output_following_the_index(root, index_copy, tmp_path):
    shutil.copytree(root / "seeds", tmp_path / "seeds")
    (tmp_path / "seeds" / "long.txt").write_text("Ægir's words. " * 3000)

    async def run(log):
        async with Client(by_stdio(index_copy, log)) as client:
            await look_around(client, "2026-07-28")
            before = (await client.call_tool("list", {})).structured_content
            build([tmp_path / "seeds"], index_copy)
            with anyio.fail_after(20):
                while (now := (await client.call_tool("list", {})).structured_content) == before:
                    await anyio.sleep(0.1)
            assert (now["total"], now["documents"][-1]["document"]) == (4, "long.txt")
            long = now["documents"][-1]["id"]
            first = await client.call_tool("read", {"id": long, "start": 5})
            assert first.structured_content["cut"] is True
            assert first.structured_content["citation"]["end"] == 20_005
            assert first.content[1].text.endswith("There is more: read on from 20005.")
            second = await client.call_tool("read", {"id": long, "start": 20_005, "end": 40_005})
            assert second.structured_content["cut"] is False
            assert first.content[0].text + second.content[0].text == ("Ægir's words. " * 3000)[5:40_005]

    with (tmp_path / "log").open("w+") as log:
        anyio.run(run, log)
        log.seek(0)
        assert log.read() == ""


def test_standard_output_has_the_protocol_alone_and_the_end_of_input_ends_the_process(root, seeds_index):
    command = [sys.executable, "-m", "rag_qa", "mcp", "--index", str(seeds_index)]
    with subprocess.Popen(
        command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        sent = [
            "this is no JSON\n",
            lines(request("initialize", 1, **LEGACY), {"jsonrpc": "2.0", "method": "notifications/initialized"}),
            lines({**call("ask", question=QUESTION), "id": 2}),
        ]
        process.stdin.write("".join(sent))
        process.stdin.flush()
        answers = [json.loads(process.stdout.readline()) for _ in range(2)]
        rest, log = process.communicate(timeout=20)
    assert [(answer["jsonrpc"], answer["id"]) for answer in answers] == [("2.0", 1), ("2.0", 2)]
    assert answers[0]["result"]["protocolVersion"] == "2025-06-18"
    assert answers[1]["result"]["structuredContent"]["answered"] is True
    assert (rest, log, process.returncode) == ("", "", 0)


def test_a_signal_ends_the_process(root, seeds_index):
    command = [sys.executable, "-c", INTERRUPTIBLE, "mcp", "--index", str(seeds_index)]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    numbers = [signal.SIGTERM, signal.SIGINT]
    processes = [subprocess.Popen(command, cwd=root, text=True, **pipes) for _ in numbers]
    for process, number in zip(processes, numbers, strict=True):
        with process:
            process.stdin.write(lines(request("initialize", **LEGACY)))
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["id"] == 1
            process.send_signal(number)
            assert process.wait(timeout=10) == -number
            assert process.stderr.read() == ""


def test_a_client_that_reads_no_more_is_no_failure(root, seeds_index):
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "rag_qa", "mcp", "--index", str(seeds_index)]
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=write, stderr=subprocess.PIPE) as process:
        os.close(write)
        process.stdin.write(lines(request("initialize", **LEGACY)).encode())
        process.stdin.close()
        assert process.wait(timeout=20) == 0
        assert process.stderr.read() == b""


def test_the_command_line_says_what_is_wrong(rag_qa_main, tmp_path):
    code, out, err = rag_qa_main("mcp", "--index", tmp_path / "none")
    assert (code, out) == (3, "")
    assert "There is no index" in err
    assert len(err.splitlines()) == 1
    code, out, err = rag_qa_main("mcp", "--port", "0")
    assert (code, out) == (2, "")
    assert "are for --http" in err


def test_without_mcp_its_sdk_is_not_imported(root):
    code = (
        "import sys; from rag_qa import Settings; from rag_qa.cli.commands import cli; "
        "from rag_qa.service.app import create_app; "
        "create_app(Settings()); print(sorted({'mcp', 'mcp_types'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, check=True, timeout=60)
    assert result.stdout.decode().strip() == "[]"


@pytest.mark.parametrize(
    ("headers", "status", "words"),
    [
        ({"origin": FOREIGN}, 403, "set cors_origins"),
        ({"origin": "null"}, 403, "set cors_origins"),
        ({"origin": "http://127.0.0.1:1"}, 403, "set cors_origins"),
        ({"host": "evil.example", "origin": "http://evil.example"}, 400, "host name is not allowed"),
    ],
)
def test_foreign_origins_and_hosts_are_refused(url, headers, status, words):
    for method in ("POST", "DELETE"):
        response = httpx.request(method, f"{url}/mcp", headers=headers, json=call("list") if method == "POST" else None)
        assert response.status_code == status
        assert response.headers["content-type"] == "application/problem+json"
        assert words in response.json()["detail"]


def test_requests_by_hand(url):
    response = httpx.post(f"{url}/mcp", headers={"origin": url}, json=call("list"))
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.json()["result"]["structuredContent"]["total"] == 3
    for method in ("GET", "DELETE", "PUT"):
        refused = httpx.request(method, f"{url}/mcp", headers={"accept": "text/event-stream"})
        assert (refused.status_code, refused.headers["allow"], refused.json()["title"]) == (
            405, "POST", "Method Not Allowed"
        )  # fmt: skip
    assert httpx.post(f"{url}/mcp/elsewhere", json=call("list")).status_code == 404
    assert httpx.post(f"{url}/mcp", content=b"{}" * 3_000_000).status_code == 413
    assert httpx.post(f"{url}/mcp", content=b"{", headers={"content-type": "application/json"}).status_code == 400
    broken = call("read", id="x").__repr__().replace("'", '"').replace('"x"', '"\\ud800"')
    assert httpx.post(f"{url}/mcp", content=broken, headers={"content-type": "application/json"}).status_code == 400
    assert httpx.get(f"{url}/health/live").status_code == 200


def in_process(index, load=Engine.open, **settings):
    settings = Settings(index=str(index), mcp=True, **settings)
    return TestClient(create_app(settings, lambda: load(index)), base_url=LOCAL)


def test_a_web_origin_that_is_allowed(seeds_index):
    friend = "https://friend.example"
    with in_process(seeds_index, cors_origins=(friend,)) as client:
        asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
        for origin, status in ((friend, 204), (FOREIGN, 400)):
            assert client.options("/mcp", headers=asked | {"origin": origin}).status_code == status
        answered = client.post("/mcp", headers={"origin": friend}, json=call("list"))
        assert (answered.status_code, answered.headers["access-control-allow-origin"]) == (200, friend)
        assert client.post("/mcp", headers={"origin": FOREIGN}, json=call("list")).status_code == 403


def test_what_fails_inside_is_not_told(seeds_index):
    class Damaged(Engine):
        def ask(self, *arguments):
            raise IndexDamagedError("/a/place/documents.sqlite is damaged")

        @property
        def collection(self):
            raise ZeroDivisionError("secret")

        @collection.setter
        def collection(self, _):
            pass

    with in_process(seeds_index, Damaged.open) as client:
        for asked, words in (
            (call("ask", question=QUESTION), "The index cannot be used at the moment; the server's log says why."),
            (call("list"), "The server failed on this request; its log says why."),
        ):
            result = client.post("/mcp", json=asked).json()["result"]
            assert (result["isError"], result["content"]) == (True, [{"type": "text", "text": words}])


def test_tools_share_the_threads_of_the_service(seeds_index):
    pairs = Pairs()
    with in_process(seeds_index, pairs.open, threads=2) as client, ThreadPoolExecutor(6) as pool:
        paths = [("/mcp", call("ask", question=QUESTION)), ("/ask", {"question": QUESTION})] * 3
        statuses = list(pool.map(lambda path: client.post(path[0], json=path[1]).status_code, paths))
    assert statuses == [200] * 6
    assert pairs.most == 2
