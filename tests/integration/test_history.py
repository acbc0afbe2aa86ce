"""Snapshots: listed, checked, compared, gone back to; damage is found wherever it is."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.indexes import build, copy_index, link_encoder

from rag_qa import Engine
from rag_qa.errors import IndexDamagedError, IndexMismatchError, InputError
from rag_qa.index import open_history, open_index
from rag_qa.index.local.snapshot.commit import writing
from rag_qa.index.local.snapshot.previous import PreviousSnapshot
from rag_qa.index.records import FORMAT
from rag_qa.settings import Settings

QUESTION = "When does the harbour open?"


@pytest.fixture(scope="session")
def made(seeds_index, tmp_path_factory) -> Path:
    """What `papers` and `index` are copies of."""
    place = tmp_path_factory.mktemp("history")
    folder, index = place / "papers", place / "index"
    link_encoder(seeds_index, index)
    folder.mkdir()
    (folder / "a.txt").write_text("The harbour opens in March.")
    (folder / "b.txt").write_text("The lighthouse was built by Anna Berg in 1887.")
    build([folder], index)
    (folder / "a.txt").write_text("The harbour opens in April.")
    (folder / "c.txt").write_text("A ferry leaves every hour.")
    build([folder], index)
    (folder / "a.txt").write_text("The harbour opens in May.")
    (folder / "b.txt").unlink()
    build([folder], index)
    return place


@pytest.fixture
def papers(made, tmp_path) -> Path:
    return Path(shutil.copytree(made / "papers", tmp_path / "papers"))


@pytest.fixture
def index(made, tmp_path) -> Path:
    """An index with three snapshots, in each of which the harbour opens in another month."""
    return copy_index(made / "index", tmp_path / "index")


def current(index) -> Path:
    return index / "snapshots" / (index / "current").read_text().strip()


def named(index, name) -> Path:
    """The folder of a snapshot."""
    return index / "snapshots" / open_history(index).resolve(name)


def month(index) -> str:
    with Engine.open(index) as engine:
        return engine.ask(QUESTION).passages[0].text.split()[-1].rstrip(".")


def run(*arguments):
    command = [sys.executable, "-m", "rag_qa", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_list_and_find(index):
    listed = open_history(index).entries()
    assert [entry.sequence for entry in listed] == [3, 2, 1]
    assert [entry.current for entry in listed] == [True, False, False]
    assert [entry.counts.documents for entry in listed] == [2, 3, 2]
    assert open_history(index).resolve("current") == current(index).name
    assert open_history(index).resolve("previous") == listed[1].name
    assert open_history(index).resolve(listed[2].name[:10]) == listed[2].name
    with pytest.raises(InputError, match="no snapshot “zz”"):
        open_history(index).resolve("zz")
    with pytest.raises(InputError, match="no snapshot “”"):
        open_history(index).resolve("")
    (current(index).with_name(listed[2].name[:16] + "-00000000")).mkdir()
    with pytest.raises(InputError, match="may be any of"):
        open_history(index).resolve(listed[2].name[:16])


def test_diff(index):
    first, second, third = (
        open_history(index).resolve(entry.name) for entry in reversed(open_history(index).entries())
    )
    found = open_history(index).diff(first, third)
    assert (found.added, found.changed, found.removed, found.settings) == (["c.txt"], ["a.txt"], ["b.txt"], {})
    back = open_history(index).diff(third, first)
    assert (back.added, back.changed, back.removed) == (["b.txt"], ["a.txt"], ["c.txt"])
    same = open_history(index).diff(second, second)
    assert (same.added, same.changed, same.removed) == ([], [], [])


def test_diff_tells_of_settings(index, papers):
    build([papers], index, Settings(passage_tokens=20))
    history = open_history(index)
    found = history.diff(history.resolve("previous"), history.resolve("current"))
    assert found.settings == {"passage_tokens": ["140", "20"]}
    assert found.removed == []


def test_rollback_goes_back_and_indexing_goes_on(index, papers):
    assert month(index) == "May"
    now, before = open_history(index).roll_back()
    assert (month(index), before) == ("April", open_history(index).entries()[0].name)
    assert now == current(index).name
    open_history(index).roll_back()
    assert month(index) == "March"
    with pytest.raises(InputError, match="no earlier snapshot"):
        open_history(index).roll_back()
    open_history(index).roll_back(open_history(index).entries()[0].name)
    assert month(index) == "May"
    open_history(index).roll_back("previous")
    report = build([papers], index)
    assert (report.files.changed, report.passages.encoded) == (1, 0)
    assert month(index) == "May"
    assert open_history(index).entries()[0].sequence == 4


def test_rollback_does_not_wait_for_an_indexer_and_prune_does(index):
    with writing(index):
        assert run("snapshots", "rollback", "--index", index).returncode == 0
        assert month(index) == "April"
        command = [sys.executable, "-m", "rag_qa", "snapshots", "prune", "--index", str(index)]
        pruning = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert "waiting until it has finished" in pruning.stderr.readline()
    assert "0 removed, 3 kept" in pruning.communicate(timeout=60)[0]


@pytest.mark.parametrize("text", ["", "0123456789abcdef-01234567", "../../etc", "/etc/passwd", None])
def test_rollback_helps_where_current_is_broken(index, text):
    if text is None:
        (index / "current").unlink()
    else:
        (index / "current").write_text(text)
    result = run("ask", QUESTION, "--index", index)
    assert result.returncode == 3
    assert "rag-qa snapshots rollback" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    listed = run("snapshots", "list", "--index", index)
    assert listed.returncode == 3
    assert len(listed.stdout.splitlines()) == 3
    assert "rag-qa snapshots rollback" in listed.stderr
    assert run("snapshots", "rollback", "--index", index).returncode == 0
    assert month(index) == "May"


def test_a_lost_current_is_not_taken_for_a_missing_index(index, papers):
    (index / "current").unlink()
    place = papers.parent
    (place / "seeds").mkdir()
    (place / "seeds" / "other.txt").write_text("Something else.")
    command = [sys.executable, "-m", "rag_qa", "ask", QUESTION]
    result = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 3
    assert "current is missing" in result.stderr


def test_nobody_goes_back_to_a_damaged_snapshot(index):
    damaged = named(index, "previous")
    flip(next(damaged.rglob("sentences.f16")))
    with pytest.raises(IndexDamagedError, match=r"sentences\.f16 is damaged, so nothing was changed: go back with"):
        open_history(index).roll_back()
    assert month(index) == "May"


def test_prune(index):
    names = [entry.name for entry in open_history(index).entries()]
    open_history(index).roll_back(names[2])
    pruned = open_history(index).prune(1)
    assert pruned.removed == names[:2]  # what is current stays
    assert [entry.name for entry in open_history(index).entries()] == [names[2]]
    assert month(index) == "March"
    assert list((index / "encoder").iterdir())


def set_format(manifest, version):
    manifest.write_text(re.sub(r'"format": \d+', f'"format": {version}', manifest.read_text()))


def test_prune_removes_what_is_damaged_and_not_what_is_of_another_version(index):
    damaged, newer = named(index, "previous"), named(index, open_history(index).entries()[2].name)
    flip(damaged / "manifest.json")
    manifest = newer / "manifest.json"
    set_format(manifest, FORMAT + 1)
    problems = {entry.name: entry.problem for entry in open_history(index).entries()}
    assert "not what was written" in problems[damaged.name] or "damaged" in problems[damaged.name]
    assert problems[newer.name] == f"format {FORMAT + 1}, this version of rag_qa reads format {FORMAT}"
    pruned = open_history(index).prune(3)
    assert pruned.removed == [damaged.name]
    assert newer.is_dir()
    everything = run("snapshots", "verify", "--all", "--index", index)
    assert everything.returncode == 0
    assert f"format {FORMAT + 1}" in everything.stdout
    assert "whole" in everything.stdout
    alone = run("snapshots", "verify", newer.name, "--index", index)
    assert alone.returncode == 3
    assert "use the version that wrote it" in alone.stderr
    set_format(manifest, FORMAT - 1)
    assert open_history(index).prune(3).removed == [newer.name]


def test_prune_removes_nothing_where_the_current_snapshot_is_damaged(index):
    flip(current(index) / "manifest.json")
    refused = run("snapshots", "prune", "--keep", "1", "--index", index)
    assert refused.returncode == 3
    assert "rag-qa snapshots rollback" in refused.stderr
    assert len(list((index / "snapshots").iterdir())) == 3


def test_advice_where_only_an_old_snapshot_is_damaged(index):
    flip(next(named(index, "previous").rglob("vectors.faiss")))
    result = run("snapshots", "verify", "--all", "--index", index)
    assert result.returncode == 3
    assert "the snapshot that answers is whole" in result.stderr


def test_the_clock_does_not_decide_which_snapshot_is_newest(index, papers, monkeypatch):
    import datetime

    class Earlier(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(1999, 1, 1, tzinfo=tz)

    monkeypatch.setattr("rag_qa.indexer.pipeline.datetime", Earlier)
    (papers / "a.txt").write_text("The harbour opens in June.")
    build([papers], index)
    assert open_history(index).entries()[0].created.startswith("1999")
    assert open_history(index).entries()[0].current
    assert [entry.sequence for entry in open_history(index).entries()] == [4, 3, 2]  # the first one was the oldest
    assert month(index) == "June"
    open_history(index).roll_back()
    assert month(index) == "May"


def flip(path, place=None, bit=1):
    data = bytearray(path.read_bytes())
    data[len(data) // 2 if place is None else place] ^= bit
    path.write_bytes(data)


@pytest.mark.parametrize("checked_bytes", [16_000_000, 0])
def test_every_flipped_byte_is_found_and_none_gives_a_wrong_citation(index, papers, monkeypatch, checked_bytes):
    """With 0, files are looked at as those of a large index are: only rows are checked when they are returned."""
    build([papers], index, Settings(segment_passages=1, graph_passages=1))
    (papers / "c.txt").unlink()
    settings = Settings(segment_passages=1, graph_passages=1)
    build([papers], index, settings)
    with Engine.open(index) as engine:
        right = [(p.text, p.citation) for p in engine.ask(QUESTION, k=20).passages]
        encoder = engine.searcher.encoder
    folder = current(index)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    assert len(files) > 12
    monkeypatch.setattr("rag_qa.index.local.snapshot.layout.CHECKED_BYTES", checked_bytes)
    for path in files:
        data = path.read_bytes()
        for place in {0, len(data) // 2, len(data) - 1} if data else set():
            flip(path, place, 1 << place % 8)
            verified = open_history(index).verify(folder.name)
            assert str(path) in verified.damaged or (path.name == "manifest.json" and verified.problem), path
            try:
                with Engine.open(index, encoder=encoder) as engine:
                    found = [(p.text, p.citation) for p in engine.ask(QUESTION, k=20).passages]
                    assert all(each in right for each in found)
                    assert found == right or not checked_bytes
            except (IndexDamagedError, IndexMismatchError):
                pass
            path.write_bytes(data)
    assert not open_history(index).verify(folder.name).damaged


@pytest.mark.parametrize("name", ["contents.sqlite", "documents.sqlite"])
def test_zeroed_stretches_give_an_error_of_ours_or_what_is_right(index, monkeypatch, name):
    monkeypatch.setattr("rag_qa.index.local.snapshot.layout.CHECKED_BYTES", 0)
    (path,) = current(index).rglob(name)
    with Engine.open(index) as engine:
        right = [
            (info, engine.collection.document(info.id).text, engine.collection.passages(info.id))
            for info, _ in engine.collection.documents()
        ]
    data = path.read_bytes()
    refused = 0
    for place in range(0, len(data), 499):
        for length in (64, 512):
            damaged = bytearray(data)
            damaged[place : place + length] = bytes(len(damaged[place : place + length]))
            path.write_bytes(damaged)
            try:
                previous = PreviousSnapshot(open_index(index, lambda opened: opened))
                chunked = [previous.chunked(location)[0] for location in previous.table.each()]
                found = [(each.document.info, each.document.text, list(each.passages)) for each in chunked]
                previous.searcher.files()
                previous.searcher.close()
                assert all(each in right for each in found)
            except IndexDamagedError:
                refused += 1
    assert refused > 10


def test_verify_finds_what_does_not_belong_and_a_damaged_encoder(index):
    stranger = current(index) / "segments" / "stranger"
    stranger.write_text("?")
    verified = open_history(index).verify(current(index).name)
    assert (verified.strangers, verified.damaged, verified.whole) == ([str(stranger)], [], True)
    assert f"not of this snapshot: {stranger}" in run("snapshots", "verify", "--index", index).stdout
    assert open_history(index).roll_back("current")[0] == current(index).name
    stranger.unlink()
    (config,) = index.rglob("encoder.json")
    data = config.read_bytes()
    config.unlink()  # the files of the encoder are links to those of other tests
    config.write_bytes(data.replace(b"256", b"255"))
    assert open_history(index).verify(current(index).name).damaged == [str(config)]


def test_on_the_command_line(index, papers):
    listed = json.loads(run("snapshots", "list", "--index", index, "--json").stdout)
    assert [entry["sequence"] for entry in listed] == [3, 2, 1]
    plain = run("snapshots", "list", "--index", index)
    assert plain.stdout.splitlines()[0].startswith(f"* {listed[0]['name']}")
    assert "2 documents, 2 passages, 1 segment, " in plain.stdout
    shown = run("snapshots", "show", "--index", index)
    assert "exact search" in shown.stdout
    assert json.loads(run("snapshots", "show", "previous", "--index", index, "--json").stdout)["sequence"] == 2
    changes = run("snapshots", "diff", "previous", "--index", index)
    assert changes.stdout.splitlines() == [
        "changed  a.txt", "removed  b.txt", "0 added, 1 changed, 1 removed"
    ]  # fmt: skip
    as_json = json.loads(run("snapshots", "diff", "previous", "current", "--index", index, "--json").stdout)
    assert as_json["changed"] == ["a.txt"]
    rolled = run("snapshots", "rollback", "--index", index)
    assert f"{listed[1]['name']} answers now instead of {listed[0]['name']}" in rolled.stdout
    again = json.loads(run("snapshots", "rollback", listed[0]["name"], "--index", index, "--json").stdout)
    assert again == {"current": listed[0]["name"], "before": listed[1]["name"]}
    assert "1 removed, 2 kept" in run("snapshots", "prune", "--keep", "2", "--index", index).stdout
    assert "removed" in json.loads(run("snapshots", "prune", "--index", index, "--json").stdout)
    whole = run("snapshots", "verify", "--all", "--index", index)
    assert (whole.returncode, whole.stdout.count("whole")) == (0, 2)


def test_damage_on_the_command_line_says_what_to_do(index):
    flip(next(current(index).rglob("vectors.faiss")))
    result = run("snapshots", "verify", "--index", index)
    assert result.returncode == 3
    assert "vectors.faiss" in result.stdout
    assert (
        f"go back with `rag-qa snapshots rollback {open_history(index).resolve('previous')} --index {index}`"
        in result.stderr
    )
    as_json = run("snapshots", "verify", "--index", index, "--json")
    assert as_json.returncode == 3
    assert json.loads(as_json.stdout)[0]["damaged"]
    assert run("snapshots", "rollback", "--index", index).returncode == 0
    assert run("snapshots", "verify", "--index", index).returncode == 0
    prune = run("snapshots", "prune", "--keep", "1", "--index", index)
    assert prune.returncode == 0, prune.stderr
    flip(next(current(index).rglob("contents.sqlite")))
    alone = run("snapshots", "verify", "--index", index)
    assert f"no other snapshot is whole; rebuild the index with `rag-qa index PATH --index {index}`" in alone.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["verify", "nothing"], 2, "There is no snapshot “nothing”"),
        (["rollback", "nothing"], 2, "There is no snapshot “nothing”"),
        (["diff", "nothing"], 2, "There is no snapshot “nothing”"),
        (["show", "../.."], 2, "There is no snapshot “../..”"),
        (["prune", "--keep", "0"], 2, "--keep"),
    ],
)
def test_bad_input_on_the_command_line(index, arguments, code, sentence):
    result = run("snapshots", *arguments, "--index", index)
    assert result.returncode == code
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr


def test_snapshots_of_no_index(tmp_path):
    for command in ("list", "show", "verify", "rollback", "prune"):
        result = run("snapshots", command, "--index", tmp_path / "none")
        assert result.returncode == 3
        assert "There is no index in" in result.stderr
    assert not (tmp_path / "none").exists()
