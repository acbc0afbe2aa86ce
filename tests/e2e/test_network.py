"""A service that others can reach: who may do what, how often, and clients that are slow or hostile."""

import contextlib
import itertools
import json
import re
import socket
import threading
import time

import httpx
import pytest
from litestar.testing import TestClient
from support.servers import LOCAL, serving

from rag_qa import Settings
from rag_qa.errors import KeysError
from rag_qa.service import keys
from rag_qa.service.app import create_app
from rag_qa.service.http.authentication import COOKIE, keys_needed
from rag_qa.service.http.limits import _network
from rag_qa.service.http.problems import SECURITY_HEADERS
from rag_qa.service.keys import create_key, revoke_key

QUESTION = "what did HMICFRS recommend?"


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


class Guarded:
    """A service with keys."""

    def __init__(self, index, folder, **settings):
        self.file = folder / "keys.json"
        self.ask = create_key(self.file, "alice", ("ask",))[1]
        self.admin = create_key(self.file, "root", ("admin",))[1]
        settings = {"allowed_hosts": ("*",), "host": "0.0.0.0", "mcp": True} | settings
        self.settings = Settings(index=str(index), keys_file=str(self.file), **settings)

    def client(self, key=None, **options):
        client = TestClient(create_app(self.settings), **options)
        client.headers.update(bearer(key) if key else {})
        client.follow_redirects = False
        return client


@pytest.fixture(scope="module")
def guarded(seeds_index, root, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        yield Guarded(seeds_index, tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def client(guarded):
    with guarded.client() as client:
        yield client


OPEN = {"/health/live", "/health/ready", "/sign-in", "/sign-out", "/static/x", "/schema", "/schema/openapi.json"}
OPEN |= {"/schema/x", "/schema/assets/x"}
PAGES = {"/", "/read/x", "/collection"}


def routes(guarded):
    """Every method of every route that there is."""
    application = create_app(guarded.settings).app.app.app.app  # within the log, hosts, origins and the queue
    for route in application.routes:
        path = re.sub(r"\{.*?\}", "x", route.path)
        for method in sorted({*getattr(route, "methods", ())} - {"OPTIONS", "HEAD"} or {"POST"}):
            yield method, path


def test_every_route_asks_for_a_key_but_those_that_tell_nothing(client, guarded):
    asked = set()
    for method, path in routes(guarded):
        response = client.request(method, path)
        if path in OPEN:
            assert response.status_code in {200, 303, 400, 401, 404}, (method, path)
            continue
        asked.add(path)
        if path in PAGES:
            assert response.headers["location"].startswith("/sign-in?to="), (method, path)
            continue
        assert response.status_code == 401, (method, path)
        assert response.headers["www-authenticate"] == 'Bearer realm="rag_qa"'
        assert response.json()["detail"].startswith("A key is needed: send it as")
    assert asked >= PAGES | {"/metrics", "/mcp", "/ask", "/admin/index", "/documents/x/file"}
    assert len(asked) > 18


def test_every_administrator_s_route_refuses_a_key_that_only_asks(client, guarded):
    admin = [each for each in routes(guarded) if each[1].startswith("/admin")]
    assert len(admin) >= 9
    for method, path in admin:
        response = client.request(method, path, headers=bearer(guarded.ask))
        assert response.status_code == 403, (method, path)
        assert response.json()["detail"] == ("This key has the scope ask, and this needs admin: ask an administrator.")


def test_a_key_opens_what_its_scope_stands_for(client, guarded):
    for key in (guarded.ask, guarded.admin):
        assert client.post("/ask", json={"question": QUESTION, "k": 1}, headers=bearer(key)).status_code == 200
    assert client.get("/admin/snapshots", headers=bearer(guarded.admin)).status_code == 200


def test_keys_that_are_none(client, guarded):
    whole = guarded.ask
    wrong = [whole[:-1], whole[:20], whole + "x", "ragqa_00000000_" + "x" * 43, "", "x" * 100_000, "ÿ"]
    for header in [*(f"Bearer {each}" for each in wrong), f"Basic {whole}", whole, "Bearer", f"Bearer {whole} {whole}"]:
        response = client.get("/snapshot", headers={"Authorization": header.encode("latin-1")})
        assert response.status_code == 401, header[:80]
        assert response.json()["detail"].startswith("This key is not valid")


def test_a_key_that_is_revoked_while_the_service_runs(client, guarded):
    _, key = create_key(guarded.file, "bob", ("ask",))
    assert client.get("/snapshot", headers=bearer(key)).status_code == 200
    revoke_key(guarded.file, "bob")
    assert client.get("/snapshot", headers=bearer(key)).status_code == 401


def test_past_the_limit(seeds_index, tmp_path):
    guarded = Guarded(seeds_index, tmp_path, rate_limit=4)
    with guarded.client() as client:
        for count in range(4):
            response = client.get("/snapshot", headers=bearer(guarded.ask))
            assert (response.status_code, response.headers["ratelimit-remaining"]) == (200, str(3 - count))
        response = client.get("/snapshot", headers=bearer(guarded.ask))
        assert response.status_code == 429
        assert 1 <= int(response.headers["retry-after"]) <= 60
        assert re.match(r"4 requests in a minute are allowed: ask again in \d+ s\.", response.json()["detail"])
        assert response.headers["x-content-type-options"] == "nosniff"
        assert client.get("/snapshot", headers=bearer(guarded.admin)).status_code == 200  # each key has its own
        assert client.get("/health/ready").status_code == 200  # as often as a balancer likes
        assert 'rag_qa_refused_total{reason="rate"}' in client.get("/metrics", headers=bearer(guarded.admin)).text
    unlimited = Guarded(seeds_index, tmp_path / "unlimited", rate_limit=0)
    with unlimited.client() as client:
        assert "ratelimit-limit" not in client.get("/snapshot", headers=bearer(unlimited.ask)).headers


def test_a_thousand_wrong_keys(seeds_index, tmp_path):
    guarded = Guarded(seeds_index, tmp_path, rate_limit=50)
    with guarded.client() as client:
        codes = [client.get("/snapshot", headers=bearer(f"ragqa_{n:08x}_{n}")).status_code for n in range(1000)]
        assert codes[:50] == [401] * 50
        assert set(codes[50:]) == {429}
        assert client.get("/snapshot", headers=bearer(guarded.ask)).status_code == 200  # who has a key is not kept out


def test_wrong_keys_keep_nobody_behind_the_same_address_from_signing_in(seeds_index, tmp_path):
    guarded = Guarded(seeds_index, tmp_path, rate_limit=5)
    with guarded.client() as client:
        assert [client.get("/snapshot", headers=bearer("x")).status_code for _ in range(6)][-1] == 429
        assert client.post("/sign-in", data={"key": guarded.ask}).status_code == 303
        assert [client.get("/static/page.css").status_code for _ in range(6)][-1] == 429
        assert [client.post("/sign-in", data={"key": "x" * 5000}).status_code for _ in range(6)][-1] == 429


def test_what_a_route_takes_is_told_to_all(client):
    for path, methods in (
        ("/ask", "GET, OPTIONS, POST"),
        ("/admin/documents/x.txt", "DELETE, OPTIONS, PUT"),
        ("/documents/x/text", "GET, OPTIONS"),
        ("/collection", "GET, OPTIONS"),
    ):
        response = client.options(path)
        assert (response.status_code, response.headers["allow"]) == (204, methods)


def test_an_ipv6_customer_is_one_address():
    assert _network("2001:db8:1:2:3::4") == _network("2001:db8:1:2:ffff::1") != _network("2001:db8:1:3::1")
    assert _network("192.0.2.1") != _network("192.0.2.2")
    assert _network("fe80::1%eth0") == "fe80::/64"
    assert _network("no address") == "no address"


def test_signing_in_and_out(guarded):
    with guarded.client() as browser:
        first = browser.get("/read/x?start=1&q=a b")
        assert (first.status_code, first.headers["location"]) == (
            303,
            "/sign-in?to=%2Fread%2Fx%3Fstart%3D1%26q%3Da%2520b",
        )
        assert first.headers["x-frame-options"] == "DENY"
        assert "Whoever runs the service" in browser.get(first.headers["location"]).text
        wrong = browser.post("/sign-in", data={"key": guarded.ask[:-1], "to": "/"})
        assert wrong.status_code == 401
        assert "This key is not valid" in wrong.text
        assert "set-cookie" not in wrong.headers
        right = browser.post("/sign-in", data={"key": f" {guarded.ask} ", "to": "/collection"})
        assert (right.status_code, right.headers["location"]) == (303, "/collection")
        cookie = right.headers["set-cookie"]
        assert cookie.startswith(f"{COOKIE}=")
        assert {"HttpOnly", "SameSite=lax", "Path=/"} <= set(cookie.split("; "))
        assert guarded.ask not in cookie
        page = browser.get("/collection")
        assert page.status_code == 200
        assert "Sign out" in page.text
        assert browser.post("/ask", json={"question": QUESTION}).status_code == 200
        assert browser.get("/admin/snapshots").status_code == 403
        assert browser.post("/sign-out").status_code == 303
        assert browser.get("/collection").status_code == 303
        browser.cookies.set(COOKIE, right.cookies[COOKIE])
        assert browser.get("/collection").status_code == 303  # what was copied before is of no use


def test_a_page_of_another_origin_signs_nobody_in(guarded):
    with guarded.client() as browser:
        foreign = {"Origin": "https://evil.example"}
        refused = browser.post("/sign-in", data={"key": guarded.ask}, headers=foreign)
        assert refused.status_code == 403
        assert "set-cookie" not in refused.headers


def test_what_is_for_those_with_a_key_is_not_kept(client, guarded):
    for path in ("/snapshot", "/collection", "/documents"):
        response = client.get(path, headers=bearer(guarded.ask))
        assert (response.status_code, response.headers.get("cache-control")) == (200, "no-store"), response.text
    assert "immutable" in client.get("/static/page.css").headers["cache-control"]


def test_a_file_of_keys_that_can_be_read_again_counts_again(guarded, client, monkeypatch):
    read = keys.read_keys

    def refused(path):
        raise KeysError("not now")

    create_key(guarded.file, "dave", ("ask",))
    monkeypatch.setattr(keys, "read_keys", refused)
    assert client.get("/snapshot", headers=bearer(guarded.ask)).status_code == 401
    monkeypatch.setattr(keys, "read_keys", read)
    assert client.get("/snapshot", headers=bearer(guarded.ask)).status_code == 200


def test_where_no_key_is_needed_there_is_nothing_to_sign_in_to(seeds_index):
    with TestClient(create_app(Settings(index=str(seeds_index))), base_url=LOCAL) as browser:
        browser.follow_redirects = False
        assert "No key is needed here" in browser.get("/sign-in").text
        assert browser.post("/sign-in", data={"key": "x", "to": "/collection"}).headers["location"] == "/collection"


def test_a_session_ends_with_its_key(guarded):
    _, key = create_key(guarded.file, "carol", ("ask",))
    with guarded.client() as browser:
        assert browser.post("/sign-in", data={"key": key}).status_code == 303
        assert browser.get("/").status_code == 200
        revoke_key(guarded.file, "carol")
        assert browser.get("/").status_code == 303


def test_a_cookie_is_for_tls_alone_where_there_is_tls(guarded):
    with guarded.client(base_url="https://testserver.local") as browser:
        cookie = browser.post("/sign-in", data={"key": guarded.ask}).headers["set-cookie"]
    assert "Secure" in cookie.split("; ")


@pytest.mark.parametrize(
    "to", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/a\r\nSet-Cookie: x=1"]
)
def test_signing_in_leads_nowhere_else(guarded, to):
    with guarded.client() as browser:
        assert browser.post("/sign-in", data={"key": guarded.ask, "to": to}).headers["location"] == "/"


@pytest.mark.parametrize(
    ("settings", "needed"),
    [
        ({"host": "127.0.0.1"}, False),
        ({"host": "localhost"}, False),
        ({"host": "::1"}, False),
        ({"host": "127.8.8.8"}, False),
        ({"host": "0.0.0.0"}, True),
        ({"host": "::"}, True),
        ({"host": "192.0.2.1"}, True),
        ({"host": "no.such.host.invalid"}, True),
        ({"host": "127.0.0.1", "require_keys": True}, True),
        ({"host": "127.0.0.1", "allowed_hosts": ("rag.example.org", "127.0.0.1")}, True),
        ({"host": "127.0.0.1", "allowed_hosts": ("*",)}, True),
        ({"host": "127.0.0.1", "trusted_proxies": ("127.0.0.1",)}, True),
    ],
)
def test_where_keys_are_needed(settings, needed):
    assert keys_needed(Settings(**settings)) is needed


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--host", "0.0.0.0"), "0.0.0.0 can be reached by others, and there is no key"),
        (("--require-keys",), "Keys are required, and there is no key"),
        (("--allowed-host", "rag.example.org"), "Others can reach the service as rag.example.org (allowed_hosts), and"),
    ],
)
def test_without_keys_a_service_that_needs_them_does_not_start(rag_qa_main, seeds_index, tmp_path, options, words):
    file = tmp_path / "keys.json"
    arguments = ("serve", "--port", "0", "--index", seeds_index, "--keys-file", file, *options)
    code, out, said = rag_qa_main(*arguments)
    assert (code, out) == (2, "")
    assert words in said
    assert "make one with `rag-qa keys create NAME`" in said
    assert said.count("\n") == 1
    create_key(file, "alice", ("ask",))
    revoke_key(file, "alice")
    assert rag_qa_main(*arguments)[0] == 2
    file.write_text("{")
    assert "is no file of keys" in rag_qa_main(*arguments)[2]


def test_a_proxy_is_believed_only_if_it_is_named(seeds_index, tmp_path, rag_qa_main, monkeypatch):
    forwarded = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https"}
    file = tmp_path / "keys.json"
    key = create_key(file, "alice", ("ask",))[1]
    for proxies, client, secure in (("127.0.0.1", "203.0.113.7", True), ("192.0.2.1", "127.0.0.1", False)):
        log = tmp_path / "log"
        with serving(seeds_index, tmp_path, log=log, keys_file=file, trusted_proxies=proxies) as url:
            assert httpx.get(f"{url}/snapshot", headers=bearer(key)).status_code == 200
            response = httpx.post(f"{url}/sign-in", data={"key": key}, headers=forwarded)
            assert ("Secure" in response.headers["set-cookie"]) is secure
        assert f'"client":"{client}"' in log.read_text()
        assert f'"key":"{key.split("_")[1]}"' in log.read_text()
    monkeypatch.setenv("RAG_QA_TRUSTED_PROXIES", "proxy.example")
    code, _, said = rag_qa_main("serve", "--index", seeds_index, "--port", "0")
    assert code == 2
    assert "trusted_proxies has “proxy.example”" in said


def test_headers_of_every_response(client, guarded):
    responses = [
        client.get("/health/live"),
        client.get("/nothing/here"),
        client.get("/snapshot"),
        client.get("/snapshot", headers=bearer(guarded.ask)),
        client.get("/collection"),
        client.get("/sign-in"),
        client.get("/schema"),
        client.post("/ask", content=b"{", headers=bearer(guarded.ask)),
    ]
    for response in responses:
        for name, value in SECURITY_HEADERS.items():
            assert response.headers[name.lower()] == value, (str(response.url), name)
        assert re.fullmatch(r"[0-9a-f]{32}", response.headers["x-request-id"])
        assert "access-control-allow-origin" not in response.headers
        assert "server" not in response.headers


def test_cross_origin_calls_only_for_those_that_are_named(seeds_index, tmp_path):
    guarded = Guarded(seeds_index, tmp_path, cors_origins=("https://intranet.example",))
    preflight = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    with guarded.client() as client:
        for origin, allowed in (("https://intranet.example", True), ("https://evil.example", False)):
            asked = client.options("/ask", headers={"Origin": origin, **preflight})
            assert (asked.headers.get("access-control-allow-origin") == origin) is allowed
            got = client.get("/snapshot", headers={"Origin": origin, **bearer(guarded.ask)})
            assert (got.headers.get("access-control-allow-origin") == origin) is allowed
            assert "access-control-allow-credentials" not in got.headers


@pytest.fixture(scope="module")
def hasty(seeds_index, root):
    """A server that waits only half a second for slow clients."""
    with serving(seeds_index, root, client_seconds=0.5) as url:
        yield url


def connected(url):
    host, port = url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=20)


def drip(connection):
    """Sends a byte every 50 ms until the server has had enough; gives what it said."""
    connection.settimeout(0.05)
    for _ in range(400):
        connection.send(b"x")
        try:
            return connection.recv(4096)
        except TimeoutError:
            continue
    return pytest.fail("the server goes on waiting")


@pytest.mark.parametrize(
    "begins",
    [
        b"GET /snapshot HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
        b"POST /ask HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000\r\n\r\n",
    ],
    ids=["head", "body"],
)
def test_a_client_that_sends_a_byte_now_and_then(hasty, begins):
    with connected(hasty) as connection:
        connection.sendall(begins)
        said = drip(connection).decode()
    assert said.startswith("HTTP/1.1 408 Request Timeout\r\n")
    assert "connection: close" in said.lower()
    assert "did not come within 0.5 s: send it faster" in said
    assert re.search(r"x-request-id: [0-9a-f]{32}\r\n", said.lower())


def test_connections_without_end(seeds_index, root):
    """What the system lets a process have open is not used up."""
    with serving(seeds_index, root, files=260) as url, contextlib.ExitStack() as held:  # of which 200 are for itself
        answers = []
        for _ in range(150):
            connection = held.enter_context(connected(url))
            with contextlib.suppress(ConnectionError):
                connection.sendall(b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\n\r\n")
                answers.append(connection.recv(12))
        assert answers.count(b"HTTP/1.1 200") == 60
        held.close()
        assert httpx.get(f"{url}/health/ready").status_code == 200


def test_a_client_that_says_nothing(hasty):
    with connected(hasty) as connection:
        assert connection.recv(100) == b""


def test_a_client_that_reads_a_byte_now_and_then(hasty):
    request = b"GET /schema/assets/swagger-ui-bundle.js HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with connected(hasty) as connection:
        connection.sendall(request * 20)  # more than the system's buffers take
        for _ in range(400):
            connection.recv(1)
            if connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                break
            time.sleep(0.05)
        else:
            pytest.fail("the connection was not ended")
    assert httpx.get(f"{hasty}/health/ready").status_code == 200


def test_a_client_that_takes_its_time_but_moves_on_is_served(hasty):
    with connected(hasty) as connection:
        connection.sendall(b"POST /verify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 40000\r\n\r\n")
        for _ in range(10):
            connection.sendall(b" " * 4000)
            time.sleep(0.15)
        assert connection.recv(4096).startswith(b"HTTP/1.1 400")


def test_bodies_on_their_way_take_nobody_s_place(seeds_index, root):
    head = b"POST /ask HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n"
    with serving(seeds_index, root, max_requests=3) as url, contextlib.ExitStack() as held:
        for _ in range(10):
            held.enter_context(connected(url)).sendall(head + b'{"question": "')
        time.sleep(0.2)
        assert httpx.post(f"{url}/ask", json={"question": QUESTION}).status_code == 200


def test_what_is_refused_is_read_no_further(hasty):
    with connected(hasty) as connection:
        connection.sendall(b"POST /ask HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2000000000\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 413")
        sent = 0
        with contextlib.suppress(ConnectionError):
            for _ in range(1000):
                sent += connection.send(b"x" * 65536)
                time.sleep(0.01)
        assert sent < 1000 * 65536


def test_what_has_begun_is_answered_before_the_end(seeds_index, root, tmp_path):
    """Many clients ask on while the server is told to end."""
    outcomes, log = [], tmp_path / "log"

    def ask_on(url, client):
        with httpx.Client(base_url=url, timeout=30) as own:
            for number in itertools.count():
                request_id = f"c{client}-{number}"
                try:
                    response = own.post("/ask", json={"question": QUESTION}, headers={"X-Request-ID": request_id})
                    outcomes.append((request_id, response.status_code, len(response.json()["passages"])))
                except httpx.HTTPError:
                    outcomes.append((request_id, None, 0))
                    return

    with serving(seeds_index, root, log=log) as url:
        askers = [threading.Thread(target=ask_on, args=(url, client)) for client in range(16)]
        for asker in askers:
            asker.start()
        while len(outcomes) < 60 and all(asker.is_alive() for asker in askers):
            time.sleep(0.01)
    for asker in askers:
        asker.join(30)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    begun = {line["request_id"]: line["status"] for line in lines if line["event"] == "request"}
    answered = {request_id: status for request_id, status, passages in outcomes if passages == 5}
    assert begun == answered
    assert set(begun.values()) == {200}
