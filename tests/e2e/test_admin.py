"""What administrators do over HTTP: index anew, go back, upload and remove documents."""

import errno
import json
import os
import socket
import threading
import zipfile

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar.testing import TestClient
from support.indexes import build, link_encoder
from support.servers import LOCAL, serving

from rag_qa import Settings
from rag_qa.errors import InputError, NoRoomError
from rag_qa.index.local.snapshot.layout import current_name
from rag_qa.ingest.sources import find_sources
from rag_qa.service import jobs
from rag_qa.service import uploads as managed
from rag_qa.service.app import create_app
from rag_qa.service.uploads import ManagedFolder

TEXT = b"The lighthouse of Umea was lit in 1911 by the harbour board."
QUESTION = {"question": "When was the lighthouse of Umea lit?", "k": 1}


@pytest.fixture
def papers(tmp_path):
    """A folder with a managed folder in it, and one document."""
    folder = tmp_path / "papers"
    (folder / "incoming").mkdir(parents=True)
    (folder / "first.txt").write_text("The harbour opens in March.")
    return folder


@pytest.fixture
def index(papers, with_encoder, monkeypatch):
    monkeypatch.chdir(papers.parent)
    index = with_encoder()
    build(["papers"], index)
    return index


@pytest.fixture
def client(index):
    settings = Settings(index=str(index), managed_folder="papers/incoming", max_file_mb=1)
    with TestClient(create_app(settings), base_url=LOCAL) as client:
        yield client


@pytest.fixture(scope="module")
def refusing(seeds_index, tmp_path_factory):
    """A client of a service whose folder no request of a test changes, and that folder."""
    folder = tmp_path_factory.mktemp("refusing")
    (folder / "papers" / "incoming").mkdir(parents=True)
    (folder / "papers" / "first.txt").write_text("The harbour opens in March.")
    link_encoder(seeds_index, folder / "index")
    build([folder / "papers"], folder / "index")
    settings = Settings(index=str(folder / "index"), managed_folder=str(folder / "papers" / "incoming"))
    with TestClient(create_app(settings), base_url=LOCAL) as client:
        yield client, folder / "papers"


def left(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_document_from_upload_to_answer_and_back(index, papers):
    """In a live server: upload, index, follow the job, ask, roll back, remove."""
    with (
        serving(index, papers.parent, managed_folder="papers/incoming") as url,
        httpx.Client(base_url=url, timeout=60) as client,
    ):
        before = client.get("/snapshot").json()["id"]
        put = client.put("/admin/documents/north/light house.txt", content=TEXT)
        assert (put.status_code, put.json()["path"], put.json()["size"]) == (201, "north/light house.txt", len(TEXT))
        assert client.put("/admin/documents/north/light house.txt", content=TEXT).status_code == 200
        assert [each["path"] for each in client.get("/admin/documents").json()] == ["north/light house.txt"]
        begun = client.post("/admin/index")
        assert begun.status_code == 202
        assert client.post("/admin/index").status_code == 409
        place = begun.headers["location"]
        with client.stream("GET", f"{place}/events") as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            lines = [line for line in stream.iter_lines() if line]
        events = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
        told = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
        assert events == ["running"] * (len(events) - 1) + ["done"]
        assert [job["state"] for job in told] == events
        assert {"reading", "encoding"} <= {job["stage"] for job in told}
        assert told[-1]["report"]["files"]["added"] == 1
        assert client.get(place).json() == told[-1]
        assert client.get("/admin/jobs").json() == [told[-1]]
        for _ in range(100):
            if (now := client.get("/snapshot").json()["id"]) != before:
                break
            threading.Event().wait(0.05)
        assert now == told[-1]["report"]["snapshot"]
        answer = client.post("/ask", json=QUESTION).json()
        assert answer["passages"][0]["citation"]["source"] == "papers/incoming/north/light house.txt"
        back = client.post("/admin/snapshots/rollback", json={"snapshot": "previous"}).json()
        assert (back["current"][:16], back["before"][:16]) == (before, now)
        assert client.get("/snapshot").json()["id"] == before  # at once
        listed = client.get("/admin/snapshots").json()
        assert [each["current"] for each in listed] == [False, True]
        assert client.delete("/admin/documents/north/light house.txt").status_code == 204
        assert client.delete("/admin/documents/north/light house.txt").status_code == 404
        assert list((papers / "incoming").glob("[!.]*")) == []


NAMES = [
    "../evil.txt", "a/../../evil.txt", "/etc/evil.txt", "..", ".", ".hidden", "a/.ragqaignore", "a//b.txt", "a\\b.txt",
    "a\nb.txt", "a\r\nSet-Cookie: x=1.txt", "a\0.txt", " a.txt", "a.txt ", "\u202etxt.exe", "a" * 300 + ".txt",
    "a:b.txt", "what?.txt", "\ufffd.txt", "/".join(["d"] * 30),
    "/".join(["b" * 150] * 10), "",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_names_that_lead_elsewhere(refusing, name):
    client, papers = refusing
    settings = Settings(managed_folder=str(papers / "incoming"))
    with pytest.raises(InputError):
        ManagedFolder(settings).upload(name)
    with pytest.raises(InputError):
        ManagedFolder(settings).remove(name)
    quoted = "".join(f"%{byte:02x}" for byte in name.encode())
    if name and "//" not in f"/{name}":  # that is the same address as one slash
        assert client.put(f"/admin/documents/{quoted}", content=TEXT).status_code in {400, 404}
        assert client.delete(f"/admin/documents/{quoted}").status_code in {400, 404}
    assert left(papers) == ["first.txt"]


@given(name=st.text(st.characters(exclude_categories=["Cs"])) | st.text("./\\a"))
def test_no_name_leads_out_of_the_folder(name, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp() / "managed"
    folder.mkdir(exist_ok=True)
    try:
        place = ManagedFolder(Settings(managed_folder=str(folder))).place(managed._checked(name))
    except InputError:
        return
    assert place.resolve().is_relative_to(folder.resolve())
    assert place != folder
    assert not any(part.startswith(".") for part in place.relative_to(folder).parts)


def test_links_are_not_followed(client, papers, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text("secret")
    (papers / "incoming" / "link").symlink_to(outside)
    (papers / "incoming" / "name.txt").symlink_to(outside / "secret.txt")
    for name in ("link/new.txt", "link/secret.txt", "name.txt"):
        assert client.put(f"/admin/documents/{name}", content=TEXT).status_code == 400
        assert client.delete(f"/admin/documents/{name}").status_code == 400
    assert client.get("/admin/documents").json() == []
    assert (outside / "secret.txt").read_text() == "secret"
    assert left(outside) == ["secret.txt"]


def test_a_folder_and_a_file_of_one_name(client):
    assert client.put("/admin/documents/a/b.txt", content=TEXT).status_code == 201
    for name in ("a", "a/b.txt/c.txt"):
        response = client.put(f"/admin/documents/{name}", content=TEXT)
        assert response.status_code == 400
        assert "is something else already" in response.json()["detail"]
    assert client.delete("/admin/documents/a").status_code == 400


def bomb(folder):
    path = folder / "bomb.docx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("word/document.xml", b"<w:document>" + b"a" * 300_000_000)
    return path.read_bytes()


def test_documents_that_cannot_be_used_are_not_kept(client, papers, tmp_path):
    cases = [
        ("empty.txt", b"", 422, "the file is empty"),
        ("packed.zip", b"PK\x03\x04", 422, "an archive"),
        ("broken.pdf", b"%PDF-1.7 nothing", 422, "broken.pdf"),
        ("bomb.docx", bomb(tmp_path), 422, "too much is packed in it"),
        ("note.txt.meta.json", b"[", 422, "note.txt.meta.json"),
        ("large.txt", b"x" * 1_000_001, 413, "larger than max_file_mb, 1 MB"),
        ("large.txt", iter([b"x" * 600_000] * 3), 413, "larger than max_file_mb, 1 MB"),
    ]
    for name, content, status, words in cases:
        response = client.put(f"/admin/documents/{name}", content=content)
        assert (response.status_code, words in response.json()["detail"]) == (status, True), (name, response.text)
        assert str(tmp_path) not in response.text
    assert left(papers) == ["first.txt", "incoming/.uploads/.ragqaignore"]
    assert client.put("/admin/documents/note.txt.meta.json", content=b'{"title": "Note"}').status_code == 201


def test_two_gigabytes_are_refused_before_they_come(client):
    response = client.put("/admin/documents/x.txt", content=b"", headers={"Content-Length": "2000000000"})
    assert response.status_code == 413


def test_a_full_disk_keeps_what_was_there(client, papers, monkeypatch):
    assert client.put("/admin/documents/a.txt", content=TEXT).status_code == 201

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "secret/path")

    monkeypatch.setattr(managed, "sync", full)
    response = client.put("/admin/documents/a.txt", content=b"Something else altogether.")
    assert response.status_code == 507
    assert response.json()["detail"] == "The managed folder cannot be changed (No space left on device)."
    assert (papers / "incoming" / "a.txt").read_bytes() == TEXT
    assert left(papers / "incoming") == [".uploads/.ragqaignore", "a.txt"]


def test_what_a_full_disk_has_not_taken_is_removed(papers, monkeypatch):
    coming = ManagedFolder(Settings(managed_folder=str(papers / "incoming"))).upload("a.txt")
    coming.write(TEXT)

    file = coming._file

    class Full:
        def close(self):
            file.close()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(coming, "_file", Full())
    with pytest.raises(NoRoomError, match="No space left on device"):
        coming.finish()
    coming.discard()
    assert left(papers) == ["first.txt", "incoming/.uploads/.ragqaignore"]


def test_what_a_killed_service_left_is_swept_away(index, papers):
    folder = ManagedFolder(Settings(managed_folder=str(papers / "incoming")))
    folder.upload("a.txt")._file.close()
    settings = Settings(index=str(index), managed_folder="papers/incoming")
    with TestClient(create_app(settings), base_url=LOCAL) as client:
        assert client.get("/admin/documents").json() == []
    assert left(papers) == ["first.txt", "incoming/.uploads/.ragqaignore"]


def test_an_upload_that_breaks_off_leaves_nothing(index, papers):
    with serving(index, papers.parent, managed_folder="papers/incoming") as url:
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as connection:
            head = b"PUT /admin/documents/a.txt HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n"
            connection.sendall(head + b"x" * 50_000)
            staging = papers / "incoming" / ".uploads"
            for _ in range(200):
                if list(staging.glob("*/")):
                    break
                threading.Event().wait(0.05)
            else:
                pytest.fail("the upload did not begin")
        for _ in range(200):
            if not list(staging.glob("*/")):
                break
            threading.Event().wait(0.05)
        assert left(papers) == ["first.txt", "incoming/.uploads/.ragqaignore"]


def test_no_rollback_while_a_job_runs(client, papers):
    """The job would commit over it."""
    (papers / "second.txt").write_text("The ferry leaves at noon.")
    job = client.post("/admin/index").json()["id"]
    response = client.post("/admin/snapshots/rollback", json={})
    assert response.status_code == 409
    assert response.json()["detail"] == f"The job {job} runs: follow it, and come again when it has ended."
    assert finished(client, job)["state"] == "done"
    assert client.post("/admin/snapshots/rollback", json={"snapshot": " "}).status_code == 404
    assert client.post("/admin/snapshots/rollback", json={"snapshot": "previous"}).status_code == 200


def test_a_slow_upload_holds_up_no_other(client, papers):
    slow = ManagedFolder(Settings(managed_folder=str(papers / "incoming"))).upload("slow.txt")
    slow.write(TEXT)
    assert client.put("/admin/documents/quick.txt", content=TEXT).status_code == 201
    slow.finish()
    slow.discard()
    assert [each["path"] for each in client.get("/admin/documents").json()] == ["quick.txt", "slow.txt"]


def test_names_that_look_alike_are_one(client):
    composed, apart = "caf\u00e9.txt", "cafe\u0301.txt"
    assert client.put(f"/admin/documents/{apart}", content=TEXT).json()["path"] == composed
    assert client.put(f"/admin/documents/{composed}", content=TEXT).status_code == 200


def test_a_snapshot_that_is_damaged_is_not_gone_back_to(client, index, papers):
    (papers / "second.txt").write_text("The ferry leaves at noon.")
    build(["papers"], index)
    before = client.get("/admin/snapshots").json()
    older = next(each["name"] for each in before if not each["current"])
    (contents,) = (index / "snapshots" / older).glob("contents*")
    contents.write_bytes(b"damaged")
    response = client.post("/admin/snapshots/rollback", json={})
    assert response.status_code == 409
    assert response.json()["detail"] == "The snapshot is damaged, so nothing was changed: choose another."
    assert client.get("/admin/snapshots").json()[0]["current"]


def test_what_is_uploaded_is_never_read_half(client, papers):
    """A run of indexing in the middle of an upload does not see it."""
    folder = ManagedFolder(Settings(managed_folder=str(papers / "incoming")))
    coming = folder.upload("half.txt")
    coming.write(TEXT)
    found = find_sources([papers], 1)
    assert [file.path for file in found.files] == ["first.txt"]
    assert found.failed == []
    coming.discard()
    assert left(papers) == ["first.txt", "incoming/.uploads/.ragqaignore"]


def test_without_a_managed_folder_or_one_that_is_not_indexed(index, papers, tmp_path):
    (tmp_path / "other").mkdir()
    for folder, status, words in (
        ("", 404, "No folder is managed"),
        ("other", 409, "not among what the index is"),
    ):
        settings = Settings(index=str(index), managed_folder=folder)
        with TestClient(create_app(settings), base_url=LOCAL) as client:
            response = client.put("/admin/documents/a.txt", content=TEXT)
            assert (response.status_code, words in response.json()["detail"]) == (status, True)
    assert left(tmp_path / "other") == []


def finished(client, job_id):
    for _ in range(200):
        job = client.get(f"/admin/jobs/{job_id}").json()
        if job["state"] != "running":
            return job
        threading.Event().wait(0.25)
    pytest.fail("the job did not end")


def test_a_job_that_fails_leaves_what_answers(client, index, papers):
    name = current_name(index)
    (papers / "first.txt").unlink()
    job = finished(client, client.post("/admin/index").json()["id"])
    assert job["state"] == "failed"
    assert job["problem"].startswith("Nothing to index in papers")
    assert current_name(index) == name
    assert client.post("/ask", json={"question": "When does the harbour open?"}).json()["passages"]
    again = client.post("/admin/index")
    assert again.status_code == 202  # another may be started
    finished(client, again.json()["id"])


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        (("false",), "The process of the job ended too early (exit code 1)."),
        (("/no/such/program",), "The job could not be done (FileNotFoundError): the server's log says more."),
        (("echo", "what?"), "The job could not be done (DecodeError): the server's log says more."),
        (
            ("head", "-c", "10000000", "/dev/zero"),
            "The job could not be done (ValueError): the server's log says more.",
        ),
    ],
    ids=["dies", "does not start", "says something odd", "says too much"],
)
def test_a_job_that_goes_wrong_is_its_own_affair(client, monkeypatch, command, problem):
    monkeypatch.setattr(jobs, "COMMAND", command)
    job = finished(client, client.post("/admin/index").json()["id"])
    assert (job["state"], job["problem"]) == ("failed", problem)
    assert client.post("/ask", json={"question": "When does the harbour open?"}).json()["passages"]
    assert client.post("/admin/index").status_code == 202


def test_an_index_that_does_not_say_what_it_was_made_of(tmp_path, with_encoder):
    from rag_qa.indexer.build import index_documents
    from rag_qa.types import Document, document_id

    text = TEXT.decode()
    document = Document(
        id=document_id("a.txt"), path="a.txt", title="A", source="a.txt", sha256="0" * 64, parser="text/1", text=text,
        characters=len(text),
    )  # fmt: skip
    index = with_encoder()
    index_documents([document], index)
    with TestClient(create_app(Settings(index=str(index))), base_url=LOCAL) as client:
        response = client.post("/admin/index")
        assert response.status_code == 409
        assert "does not say what it was made of" in response.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("GET", "/admin/jobs/x", None, 404, "There is no job “x”"),
        ("GET", "/admin/jobs/x/events", None, 404, "There is no job “x”"),
        ("POST", "/admin/snapshots/rollback", {"snapshot": "nothing"}, 404, "There is no snapshot “nothing”"),
        ("POST", "/admin/snapshots/rollback", {}, 409, "There is no earlier snapshot"),
        ("POST", "/admin/snapshots/rollback", {"name": "x"}, 400, "unknown field"),
        ("POST", "/admin/index?now=1", None, 400, "Unknown parameter “now”"),
    ],
)
def test_what_cannot_be_done(refusing, method, path, body, status, words):
    client, _ = refusing
    response = client.request(method, path, json=body)
    assert response.status_code == status
    assert words in response.json()["detail"]


def test_the_end_of_the_service_stops_a_job_and_loses_nothing(index, papers):
    name = current_name(index)
    for number in range(40):
        (papers / f"{number}.txt").write_text(f"Paper {number}. " + TEXT.decode() * 30)
    with (
        serving(index, papers.parent) as url,
        httpx.Client(base_url=url, timeout=60) as client,
        client.stream("GET", client.post("/admin/index").headers["location"] + "/events") as stream,
    ):
        for line in stream.iter_lines():
            if '"stage":"encoding"' in line:
                break
    assert current_name(index) == name
    build(["papers"], index)
    assert current_name(index) != name


def test_batches(client):
    good = {"question": "When does the harbour open?", "k": 1}
    told = client.post("/ask/batch", json={"questions": [good, {**good, "max_tokens": 1}, good]}).json()
    assert told["snapshot"] == client.get("/snapshot").json()["id"]
    single = client.post("/ask", json=good).json()
    first, second, third = told["results"]
    for each in (first, third):
        assert each["problem"] is None
        assert {**each["answer"], "timings_ms": 0} == {**single, "timings_ms": 0}
    assert second["answer"] is None
    assert second["problem"].startswith("No passage fits into max_tokens 1")
    for body, words in (
        ({"questions": []}, "length >= 1"),
        ({"questions": [good] * 101}, "There are 101 questions: at most 100"),
        ({"questions": [good, {"question": "When?", "k": 0}]}, "Question 2: k is 0: it must be from 1 to 100."),
        ({"questions": [{"q": "x"}]}, "questions"),
        ({}, "questions"),
    ):
        response = client.post("/ask/batch", json=body)
        assert response.status_code == 400
        assert words in response.json()["detail"]


def test_the_disk_is_spoken_of_without_its_paths(tmp_path):
    words = r"^The managed folder cannot be changed \(Permission denied\)\.$"
    with pytest.raises(NoRoomError, match=words) as told, managed._on_disk():
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(tmp_path))
    assert told.value.http_status == 507
