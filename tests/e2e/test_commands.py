"""The command line as a user meets it: whole processes, their output and exit codes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.indexes import build
from support.interrupts import INTERRUPTIBLE

QUESTION = "what did HMICFRS recommend?"


@pytest.fixture
def run(root, tmp_path):
    def run(*arguments, text=None, cwd=root, environ=None, module=False):
        command = [sys.executable, "-m", "rag_qa"] if module else [Path(sys.executable).with_name("rag-qa")]
        plain = {name: value for name, value in os.environ.items() if not name.startswith("RAG_QA_")}
        return subprocess.run(
            [*map(str, command), *map(str, arguments)],
            cwd=cwd,
            env=plain | {"COLUMNS": "100"} | (environ or {}),
            input=text,
            capture_output=True,
            timeout=120,
            check=False,
        )

    return run


def said(result):
    """The one sentence on standard error."""
    text = result.stderr.decode()
    assert "Traceback" not in text
    return text


def test_ask_shows_quote_passages_and_places(run, seeds_index):
    result = run("ask", QUESTION, "--index", seeds_index, "-k", 3)
    out = result.stdout.decode()
    assert result.returncode == 0, said(result)
    first, *_ = out.splitlines()
    assert first.startswith("“")
    assert "seeds/004_cd7c5bba8cc9e53d.txt, line" in out
    assert "score" in out
    assert out.count("**") >= 2
    assert [line[0] for line in out.splitlines() if line[:2] in {"1 ", "2 ", "3 "}] == ["1", "2", "3"]


def test_ask_json_is_the_stable_object(run, seeds_index, root):
    result = run("ask", QUESTION, "--index", seeds_index, "--json", module=True)
    answer = json.loads(result.stdout)
    assert list(answer) == [
        "question", "snapshot", "answered", "confidence", "passages", "parts", "why_not", "expansions", "timings_ms"
    ]  # fmt: skip
    passage = answer["passages"][0]
    assert list(passage) == ["rank", "score", "scores", "text", "tokens", "highlights", "citation", "also_in"]
    assert list(passage["citation"]) == [
        "id", "document", "title", "source", "sha256", "start", "end", "page", "line",
            "page_unit", "record", "section",
    ]  # fmt: skip
    assert set(answer["timings_ms"]) == {"encode", "dense", "lexical", "total"}
    assert answer["answered"] is True
    assert 0 < answer["confidence"] < 1
    assert "immediately stop" in passage["text"] or "recommends changes to law and policy" in passage["text"]
    assert len({passage["citation"]["document"] for passage in answer["passages"][:3]}) >= 2
    for passage in answer["passages"]:
        citation = passage["citation"]
        text = (root / citation["source"]).read_bytes().decode()
        assert text[citation["start"] : citation["end"]] == passage["text"]
        assert text[: citation["start"]].count("\n") + 1 == citation["line"]


def test_ask_from_standard_input(run, seeds_index):
    asked = run("ask", "-", "--index", seeds_index, "--json", text=QUESTION.encode() + b"\n")
    assert json.loads(asked.stdout)["question"] == QUESTION
    broken = run("ask", "-", "--index", seeds_index, text=b"what \xff\xfe is")
    assert broken.returncode == 2
    assert "bytes that are no text" in said(broken)


def test_output_that_cannot_be_shown_or_is_not_read_is_no_failure(run, seeds_index):
    plain = run("ask", QUESTION, "--index", seeds_index, environ={"PYTHONIOENCODING": "ascii"})
    assert plain.returncode == 0, said(plain)
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "rag_qa", "ask", QUESTION, "--index", seeds_index]
    unread = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, timeout=60, check=False)
    os.close(write)
    assert unread.returncode == 0, said(unread)
    closed = subprocess.run(
        f'"{sys.executable}" -m rag_qa ask - --index "{seeds_index}" <&-',
        shell=True,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert closed.returncode == 2
    assert "Standard input is closed" in said(closed)


def test_asking_imports_neither_torch_nor_what_needs_it(run, seeds_index, root):
    code = (
        "import sys; from rag_qa.cli.commands import cli; "
        f"cli(['ask', {QUESTION!r}, '--index', {str(seeds_index)!r}], standalone_mode=False); "
        "print(sorted({'torch', 'transformers', 'sentence_transformers', 'sklearn', 'scipy', 'kreuzberg', 'litestar'}"
        " & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, check=True, timeout=60)
    assert result.stdout.decode().splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["ask", ""], 2, "The question is empty"),
        (["ask", "?!"], 2, "no letter and no digit"),
        (["ask", "x" * 100_000], 2, "has 100000 characters"),
        (["ask", "what?", "-k", "0"], 2, "k is 0"),
        (["ask", "what?", "-k", "-1"], 2, "k is -1"),
        (["ask", "what?", "-k", "1000000000"], 2, "must be from 1 to 100"),
        (["ask", "what?", "-k", "x"], 2, "'x' is not a valid integer"),
        (["ask", "what?", "--max-tokens", "0"], 2, "max_tokens is 0"),
        (["ask"], 2, "Missing argument"),
        (["serve", "--port", "99999"], 2, "Expected `int` <= 65535"),
        (["eval", "--gold", "nowhere.jsonl"], 2, "cannot be read"),
        (["eval", "--beir", "nowhere"], 2, "corpus.jsonl"),
        (["index", "nowhere"], 2, "no file or folder “nowhere”"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_2(rag_qa_main, seeds_index, arguments, code, sentence):
    extra = [] if arguments[:2] == ["eval", "--beir"] else ["--index", seeds_index]
    ended, out, err = rag_qa_main(*arguments, *extra)
    assert (ended, out) == (code, "")
    assert sentence in err


def test_a_named_index_that_is_missing_is_exit_3(run, tmp_path):
    for result in (
        run("ask", "what?", "--index", tmp_path / "none"),
        run("ask", "what?", environ={"RAG_QA_INDEX": str(tmp_path / "none")}),
        run("serve", "--index", tmp_path / "none", "--port", 0),
        run("ask", "what?", cwd=tmp_path),
    ):
        assert result.returncode == 3
        assert said(result).startswith("There is no index in")
        assert len(said(result).splitlines()) == 1


def test_a_truncated_index_is_exit_3(run, index_copy):
    (path,) = index_copy.glob("snapshots/*/segments/*/documents.sqlite")
    path.write_bytes(path.read_bytes()[:5000])
    result = run("ask", "what?", "--index", index_copy)
    assert result.returncode == 3
    assert "documents.sqlite is missing or truncated" in said(result)


def test_index_reports_and_follows_changes(run, with_encoder, tmp_path):
    with_encoder("index")
    papers = tmp_path / "papers"
    papers.mkdir()
    (papers / "a.txt").write_text("The harbour opens in March.")
    (papers / "b.txt").write_bytes(b"\x7fELF\0\0")
    first = run("index", papers, "--index", tmp_path / "index", "--json", "--list")
    report = json.loads(first.stdout)
    assert first.returncode == 0, said(first)
    none = dict.fromkeys(["added", "changed", "renamed", "unchanged", "removed", "ignored", "sidecars"], 0)
    assert report["files"] == none | {"added": 1}
    assert report["failed"] == [{"path": "b.txt", "reason": "binary data, not text"}]
    assert report["paths"]["added"] == ["a.txt"]
    assert report["passages"] == {"total": 1, "encoded": 1, "cached": 0}
    assert report.keys() == {
        "snapshot", "files", "failed", "failed_records", "documents", "passages", "tokens", "seconds", "rebuilt",
        "paths"
    }  # fmt: skip
    second = run("index", papers, "--index", tmp_path / "index")
    assert "0 added, 0 changed, 0 renamed, 1 unchanged, 0 removed, 1 failed" in second.stdout.decode()
    assert "b.txt: binary data" in second.stdout.decode()
    (papers / "a.txt").write_text("The harbour opens in April.")
    asked = run("ask", "When does the harbour open?", "--index", tmp_path / "index")
    assert "a.txt is changed since it was indexed" in said(asked)


@pytest.fixture
def papers(with_encoder, tmp_path, monkeypatch) -> Path:
    """Some papers in a folder `papers`, with the index `index` beside it."""
    with_encoder("index")
    (tmp_path / "papers" / "2024").mkdir(parents=True)
    (tmp_path / "papers" / "a.txt").write_text("The harbour opens in March.")
    (tmp_path / "papers" / "2024" / "b.md").write_text(
        "---\ndate: 2024-05-17\nclient: ACME\n---\n# Rules\n\nThe harbour closes in autumn.\n"
    )
    monkeypatch.chdir(tmp_path)
    build(["papers"], "index")
    return tmp_path


def test_verify_tells_what_became_of_each_citation(run, papers):
    answer = run("ask", "When does the harbour open?", "--index", "index", "--json", cwd=papers).stdout.decode()
    (papers / "answer.json").write_text(answer)
    held = run("verify", "answer.json", "--index", "index", cwd=papers)
    assert (held.returncode, "2 of 2 citations hold." in held.stdout.decode()) == (0, True)
    (papers / "papers" / "a.txt").write_text("Notice: The harbour opens in March.")
    (papers / "papers" / "2024" / "b.md").unlink()
    broken = run("verify", "--index", "index", "--json", text=answer.encode(), cwd=papers)
    assert broken.returncode == 1
    told = json.loads(broken.stdout)
    assert not told["holds"]
    assert {citation["document"]: citation["state"] for citation in told["citations"]} == {
        "a.txt": "changed",
        "2024/b.md": "gone",
    }
    assert "the quote still occurs, in line 1" in run("verify", "answer.json", cwd=papers).stdout.decode()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["verify", "nowhere.json"], "nowhere.json cannot be used: No such file or directory"),
        (["verify", "papers/a.txt"], "This is no answer of `rag-qa ask --json`"),
        (["ask", "what?", "--metadata", "client"], "write FIELD=VALUE"),
        (["ask", "what?", "--metadata", "clnt=ACME"], "No document has the metadata field “clnt”; there are: client, "),
        (["ask", "what?", "--date-from", "soon"], "date_from is “soon”: write a date such as 2024-05-17"),
        (["index", "papers", "--dry-run", "--watch"], "choose one"),
        (["index", "papers", "--max-file-mb", "0"], "sets max_file_mb to “0”"),
        (["index", "papers", "--ocr", "--ocr-language", "no such"], "sets ocr_language to “no such”"),
    ],
)
@pytest.mark.usefixtures("papers")
def test_bad_input_is_one_sentence(rag_qa_main, monkeypatch, arguments, message):
    monkeypatch.setenv("RAG_QA_INDEX", "index")
    code, _, err = rag_qa_main(*arguments)
    assert code == 2
    assert message in err


@pytest.mark.usefixtures("papers")
def test_filters_on_the_command_line(rag_qa_main):
    def found(*options):
        code, out, _ = rag_qa_main("ask", "the harbour", "--index", "index", "--json", *options)
        return code, sorted(passage["citation"]["document"] for passage in json.loads(out)["passages"])

    assert found() == (0, ["2024/b.md", "a.txt"])
    assert found("--document", "2024/") == (0, ["2024/b.md"])
    assert found("--format", "text", "--format", "pdf") == (0, ["a.txt"])
    assert found("--metadata", "client=ACME", "--date-from", "2024") == (0, ["2024/b.md"])
    assert found("--language", "xx") == (1, [])
    code, out, _ = rag_qa_main("ask", "the harbour", "--index", "index", "--date-to", "1900")
    assert (code, "no document passes the filters" in " ".join(out.split())) == (1, True)


def test_a_dry_run_on_the_command_line(run, papers):
    (papers / "papers" / ".ragqaignore").write_text("2024/\n")
    result = run("index", "papers", "--index", "new", "--dry-run", "--list", cwd=papers)
    out = result.stdout.decode()
    assert "1 added" in out
    assert "2 ignored" in out
    assert "ignored   2024/b.md" in out
    assert not (papers / "new").exists()


def test_watch_on_the_command_line(root, papers):
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTIBLE, "index", papers / "papers", "--index", papers / "index", "--watch"],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"COLUMNS": "100"},
    )
    try:
        assert "2 unchanged" in process.stdout.readline()
        process.stdout.readline()
        (papers / "papers" / "c.txt").write_text("Ships pay ten crowns.")
        assert "1 added, 0 changed, 0 renamed, 2 unchanged" in process.stdout.readline()
    finally:
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in error


def test_a_folder_with_no_readable_file(run, index_copy, tmp_path):
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "a.txt").write_bytes(b"\0\0")
    before = (index_copy / "current").read_text()
    result = run("index", tmp_path / "papers", "--index", index_copy)
    assert result.returncode == 2
    assert "a.txt: binary data, not text" in said(result)
    assert (index_copy / "current").read_text() == before


def test_ctrl_c_while_indexing(root, index_copy, tmp_path):
    papers = tmp_path / "papers"
    papers.mkdir()
    for number in range(800):
        (papers / f"{number}.txt").write_text(f"Ship number {number} arrives. " * 8)
    before = (index_copy / "current").read_text()
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTIBLE, "index", papers, "--index", index_copy], cwd=root, stderr=subprocess.PIPE
    )
    cache = index_copy / "cache" / "vectors.sqlite"
    size = cache.stat().st_size
    while cache.stat().st_size == size and process.poll() is None:  # until the first vectors are committed
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Stopped. An index is never left half-written" in error.decode()
    assert "Traceback" not in error.decode()
    assert (index_copy / "current").read_text() == before
    assert [path.name for path in (index_copy / "snapshots").iterdir()] == [before.strip()]


def test_help_names_the_commands(run):
    out = run("--help").stdout.decode()
    assert [line.split()[0] for line in out.split("Commands:")[1].splitlines() if line.strip()] == [
        "acronyms", "ask", "eval", "index", "keys", "mcp", "serve", "snapshots", "verify"
    ]  # fmt: skip


def test_the_command_line_imports_nothing_heavy_before_it_must():
    heavy = {"numpy", "faiss", "tantivy", "rich", "torch"}
    code = f"import sys, rag_qa.cli.commands; print(sorted({heavy} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=60)
    assert result.stdout.decode().strip() == "[]"
