import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.indexes import build, link_encoder

from rag_qa import Engine
from rag_qa.errors import IndexMismatchError, InputError, SettingsError
from rag_qa.evaluation.gold.gold_file import load_gold
from rag_qa.index.records import FORMAT
from rag_qa.ingest.parsers.dispatch import ParsedFile
from rag_qa.ingest.parsers.pool import ParserPool
from rag_qa.models.export import ExportedEncoder
from rag_qa.settings import Settings, load_settings


@pytest.fixture
def folder(tmp_path) -> Path:
    folder = tmp_path / "papers"
    folder.mkdir()
    (folder / "a.txt").write_text("The harbour opens in March. Ships pay a fee of ten crowns.")
    (folder / "b.txt").write_text("The lighthouse was built by Anna Berg in 1887.")
    (folder / "c.txt").write_text("Fishing is forbidden within a mile of the pier.")
    return folder


def contents(index):
    """What a snapshot says, whatever its files look like."""
    engine = Engine.open(index)
    return [(info, engine.collection.passages(info.id)) for info, _ in engine.collection.documents()]


def rankings(index, questions):
    engine = Engine.open(index)
    return [
        [(p.citation.document, p.citation.start, p.score) for p in engine.ask(question, k=10).passages]
        for question in questions
    ]


def test_the_report_counts_every_file_once(folder, with_encoder):
    index = with_encoder()
    (folder / "broken.pdf").write_bytes(b"%PDF-1.4 broken")
    report = build([folder], index)
    assert (report.files.added, report.documents, report.passages.total) == (3, 3, 3)
    assert [file.path for file in report.failed] == ["broken.pdf"]
    assert (report.passages.encoded, report.passages.cached) == (3, 0)

    (folder / "a.txt").write_text("The harbour opens in April.")
    (folder / "b.txt").rename(folder / "renamed.txt")
    (folder / "c.txt").unlink()
    (folder / "d.txt").write_text("A ferry leaves every hour.")
    report = build([folder], index)
    files = report.files
    assert (files.added, files.changed, files.renamed, files.unchanged, files.removed) == (1, 1, 1, 0, 1)
    assert report.paths == {
        "added": ["d.txt"], "changed": ["a.txt"], "renamed": ["renamed.txt"], "unchanged": [], "removed": ["c.txt"],
        "ignored": [], "sidecars": [],
    }  # fmt: skip
    assert (report.passages.encoded, report.passages.cached) == (2, 1)
    assert {info.path for info, _ in Engine.open(index).collection.documents()} == {"a.txt", "d.txt", "renamed.txt"}


def test_unchanged_input_encodes_nothing_and_writes_nothing(folder, with_encoder, monkeypatch):
    index = with_encoder()
    first = build([folder], index)
    before = sorted(path.name for path in (index / "snapshots").iterdir())
    monkeypatch.setattr(ExportedEncoder, "encode_passages", None)  # would fail if anything were encoded
    second = build([folder], index)
    assert (second.snapshot, second.files.unchanged, second.passages.encoded) == (first.snapshot, 3, 0)
    assert sorted(path.name for path in (index / "snapshots").iterdir()) == before


@pytest.mark.parametrize("name", ["documents.sqlite", "vectors.faiss", "sentences.f16", "contents.sqlite"])
def test_indexing_again_repairs_a_damaged_snapshot(folder, with_encoder, name):
    index = with_encoder()
    first = build([folder], index)
    (path,) = (index / "snapshots").rglob(name)
    data = path.read_bytes()
    path.write_bytes(data[:-100] + b"\1" * 100)
    second = build([folder], index)
    assert (second.snapshot, second.passages.encoded) == (first.snapshot, 0)
    assert first.rebuilt is None
    assert second.rebuilt == f"{path} is not what was written"
    assert build([folder], index).rebuilt is None
    with Engine.open(index) as engine:
        assert engine.ask("Who built the lighthouse?").passages[0].citation.document == "b.txt"
    (current,) = (index / "snapshots").glob((index / "current").read_text().strip())
    assert path.parent not in [current, *current.rglob("*")]


def test_a_file_that_became_unreadable_is_failed_and_not_removed(folder, with_encoder):
    index = with_encoder()
    build([folder], index)
    (folder / "a.txt").write_bytes(b"\0\0")
    report = build([folder], index)
    assert (report.files.unchanged, report.files.removed) == (2, 0)
    assert [file.path for file in report.failed] == ["a.txt"]
    assert report.documents == 2


def test_left_overs_of_a_killed_run_are_swept(folder, with_encoder):
    index = with_encoder()
    (index / "snapshots" / ".building-dead").mkdir(parents=True)
    build([folder], index)
    assert not list((index / "snapshots").glob(".building-*"))


def test_names_that_are_not_utf8(folder, with_encoder, monkeypatch):
    odd = folder / os.fsdecode(b"caf\xe9")
    odd.mkdir()
    (odd / os.fsdecode(b"b\xe8re.txt")).write_text("A whale was seen in the bay.")
    monkeypatch.chdir(odd)
    index = with_encoder()
    build(["."], index)
    with Engine.open(index) as engine:
        answer = engine.ask("What was seen?")
        assert answer.passages[0].citation.document == "b\\xe8re.txt"
        assert engine.source_states(answer) == []


def test_two_builds_from_scratch_are_equal(root, seeds_index, with_encoder, monkeypatch, tmp_path):
    monkeypatch.chdir(root)
    questions = [question.question for question in load_gold(root / "eval" / "gold.jsonl")]
    again = with_encoder()
    report = build(["seeds"], again)
    assert report.passages.encoded == report.passages.total
    assert Engine.open(again).info.id == Engine.open(seeds_index).info.id
    assert contents(again) == contents(seeds_index)
    assert rankings(again, questions) == rankings(seeds_index, questions)


def test_the_id_does_not_depend_on_where_the_files_lie(folder, with_encoder, tmp_path):
    first = build([folder], with_encoder("one"))
    moved = tmp_path / "elsewhere" / "papers"
    shutil.copytree(folder, moved)
    assert build([moved], with_encoder("two")).snapshot == first.snapshot


def test_a_copied_index_answers_the_same(seeds_index, index_copy, root):
    questions = [question.question for question in load_gold(root / "eval" / "gold.jsonl")]
    assert rankings(index_copy, questions) == rankings(seeds_index, questions)
    assert contents(index_copy) == contents(seeds_index)


def test_only_the_newest_snapshots_are_kept(folder, with_encoder):
    index = with_encoder()
    for number in range(5):
        (folder / "a.txt").write_text(f"The harbour opens in March, for the {number}th time.")
        report = build([folder], index)
    kept = list((index / "snapshots").iterdir())
    assert len(kept) == 3
    assert report.snapshot in {path.name.split("-")[0] for path in kept}


def test_an_index_is_not_made_of_itself(folder, with_encoder, tmp_path):
    index = with_encoder()
    build([folder], index)
    for place, target in ((index, index), (index / "snapshots", index), (folder, folder), (folder / "a.txt", folder)):
        with pytest.raises(InputError, match="is, or lies in, the index itself: give another folder"):
            build([place], target)
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(InputError, match="is a file, and no folder for an index"):
        build([folder], tmp_path / "file")


def test_an_index_of_another_format_is_built_anew(folder, with_encoder):
    index = with_encoder()
    first = build([folder], index)
    (manifest,) = index.rglob("manifest.json")
    manifest.write_text(manifest.read_text().replace(f'"format": {FORMAT}', f'"format": {FORMAT - 1}'))
    report = build([folder], index)
    assert (report.snapshot, report.passages.encoded) == (first.snapshot, 0)
    assert report.rebuilt == f"the snapshot that answered has format {FORMAT - 1}"


def test_nothing_to_index_leaves_the_index_alone(folder, with_encoder, tmp_path):
    index = with_encoder()
    report = build([folder], index)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match="there are no files"):
        build([empty], index)
    (empty / "a.bin").write_bytes(b"\0\1\2")
    with pytest.raises(InputError, match=r"a\.bin: binary data"):
        build([empty], index)
    assert Engine.open(index).info.id == report.snapshot


def test_a_stop_while_encoding_loses_no_index_and_no_vector(folder, with_encoder, monkeypatch):
    index = with_encoder()
    report = build([folder], index)
    for number in range(300):
        (folder / f"{number}.txt").write_text(f"Ship number {number} arrives.")
    encode = ExportedEncoder.encode_passages
    calls = []

    def stopped(self, texts):
        calls.append(len(texts))
        if len(calls) > 1:
            raise KeyboardInterrupt
        return encode(self, texts)

    monkeypatch.setattr(ExportedEncoder, "encode_passages", stopped)
    with pytest.raises(KeyboardInterrupt):
        build([folder], index)
    assert Engine.open(index).info.id == report.snapshot
    monkeypatch.setattr(ExportedEncoder, "encode_passages", encode)
    assert build([folder], index).passages.encoded == 300 - calls[0]


def test_a_stop_while_writing_leaves_no_trace(folder, with_encoder, monkeypatch):
    index = with_encoder()
    report = build([folder], index)
    (folder / "d.txt").write_text("A ferry leaves every hour.")

    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("rag_qa.index.local.snapshot.transaction.commit_snapshot", stopped)
    with pytest.raises(KeyboardInterrupt):
        build([folder], index)
    assert Engine.open(index).info.id == report.snapshot
    assert [path.name.split("-")[0] for path in (index / "snapshots").iterdir()] == [report.snapshot]


def test_settings_are_part_of_the_index(folder, with_encoder, monkeypatch):
    index = with_encoder()
    first = build([folder], index)
    second = build([folder], index, Settings(passage_tokens=20))
    assert second.snapshot != first.snapshot
    Engine.open(index)  # nothing was asked for
    Engine.open(index, load_settings({"passage_tokens": 20}))
    with pytest.raises(IndexMismatchError, match="built with passage_tokens 20, the settings say 180"):
        Engine.open(index, load_settings({"passage_tokens": 180}))


def test_passages_longer_than_the_window_are_refused(folder, with_encoder):
    with pytest.raises(SettingsError, match="passage_tokens is 400, but all-MiniLM-L6-v2 reads 254 tokens"):
        build([folder], with_encoder(), Settings(passage_tokens=400))


def test_sources_that_changed_are_told(folder, with_encoder):
    index = with_encoder()
    build([folder], index)
    engine = Engine.open(index)
    answer = engine.ask("When does the harbour open?", k=3)
    assert engine.source_states(answer) == []
    (folder / "a.txt").write_text("Changed.")
    (folder / "b.txt").unlink()
    states = {Path(state.source).name: state.state for state in engine.source_states(answer)}
    assert states == {"a.txt": "changed", "b.txt": "gone"}


WORDS = st.sampled_from(["harbour", "ships", "fee", "naïve", "😀", "lighthouse", "Anna", "1887", "数据"])
SENTENCES = st.lists(WORDS, min_size=1, max_size=8).map(lambda words: " ".join(words).capitalize() + ".")
DOCUMENTS = st.lists(st.lists(SENTENCES, min_size=1, max_size=4).map("\n".join), min_size=1, max_size=4, unique=True)


@given(texts=DOCUMENTS, question=SENTENCES.filter(lambda text: any(map(str.isalnum, text))))
@settings(deadline=None, max_examples=5, suppress_health_check=list(HealthCheck))
def test_saving_and_opening_changes_nothing(texts, question, seeds_index, tmp_path_factory):
    base = tmp_path_factory.mktemp("case")
    link_encoder(seeds_index, base / "index")
    (base / "in").mkdir()
    for number, text in enumerate(texts):
        (base / "in" / f"{number}.txt").write_text(text, newline="")
    build([base / "in"], base / "index", Settings(passage_tokens=16))
    first = rankings(base / "index", [question])
    moved = base / "moved"
    shutil.move(base / "index", moved)
    assert rankings(moved, [question]) == first
    engine = Engine.open(moved)
    for info, passages in contents(moved):
        text = engine.collection.document(info.id).text
        assert text == texts[int(info.path.removesuffix(".txt"))]
        for passage in passages:
            assert text[passage.start : passage.end] == passage.text


@pytest.fixture
def many(tmp_path) -> Path:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(40):
        (folder / f"{number:02}.txt").write_text(f"Harbour number {number} opens in March.\n\nIt closes in autumn.")
    return folder


def test_only_an_edited_file_is_read_and_encoded(many, with_encoder, monkeypatch):
    index = with_encoder()
    build([many], index)
    (many / "07.txt").write_text("Harbour number 7 opens in April.\n\nIt closes in autumn.")
    read = []
    pool_read = ParserPool.read
    monkeypatch.setattr(ParserPool, "read", lambda pool, files: read.extend(files) or pool_read(pool, files))
    report = build([many], index)
    assert [file.path for file in read] == ["07.txt"]
    assert report.files.changed == 1
    assert report.files.unchanged == 39
    assert report.passages.encoded == 1
    assert contents(index) == contents(rebuilt(many, with_encoder))


def rebuilt(folder, with_encoder) -> Path:
    """An index of the folder that was built from nothing."""
    index = with_encoder("rebuilt")
    build([folder], index)
    return index


def test_renamed_files_are_neither_read_nor_encoded(many, with_encoder, monkeypatch):
    index = with_encoder()
    (many / "sub").mkdir()
    build([many], index)
    for number in range(10):
        (many / f"{number:02}.txt").rename(many / "sub" / f"renamed {number}.txt")
    monkeypatch.setattr(ExportedEncoder, "encode_passages", lambda *_: pytest.fail("something was encoded"))
    read = []
    pool_read = ParserPool.read
    monkeypatch.setattr(ParserPool, "read", lambda pool, files: read.extend(files) or pool_read(pool, files))
    report = build([many], index)
    assert not read
    assert (report.files.renamed, report.files.unchanged, report.files.removed) == (10, 30, 0)
    monkeypatch.undo()
    assert contents(index) == contents(rebuilt(many, with_encoder))


def test_a_file_under_a_suffix_that_is_read_otherwise_is_read_again(folder, with_encoder):
    index = with_encoder()
    (folder / "d.txt").write_text("# Rules\n\nFishing is forbidden.")
    build([folder], index)
    (folder / "d.txt").rename(folder / "d.md")
    build([folder], index)
    formats = {info.path: info.metadata["format"] for info, _ in contents(index)}
    assert formats["d.md"] == "markdown"


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(folder, with_encoder, tmp_path):
    foreseen = build([folder], tmp_path / "new", dry_run=True)
    assert not (tmp_path / "new").exists()
    index = with_encoder()
    done = build([folder], index)
    told = ("snapshot", "files", "failed", "documents", "passages", "tokens", "paths")
    assert {name: getattr(foreseen, name) for name in told} == {name: getattr(done, name) for name in told}
    (folder / "a.txt").write_text("The harbour opens in April.")
    (folder / "b.txt").unlink()
    before = {path: path.stat().st_mtime_ns for path in index.rglob("*")}
    foreseen = build([folder], index, dry_run=True)
    assert {path: path.stat().st_mtime_ns for path in index.rglob("*")} == before
    done = build([folder], index)
    assert (foreseen.files, foreseen.passages, foreseen.snapshot) == (done.files, done.passages, done.snapshot)
    assert (done.files.changed, done.files.removed, done.passages.encoded) == (1, 1, 1)
    assert build([folder], index, dry_run=True).files.unchanged == 2


def test_a_changed_sidecar_is_a_changed_file(folder, with_encoder):
    index = with_encoder()
    sidecar = folder / "a.txt.meta.json"
    sidecar.write_text('{"client": "ACME"}')
    report = build([folder], index)
    assert (report.files.added, report.files.sidecars) == (3, 1)
    sidecar.write_text('{"client": "Bolt"}')
    report = build([folder], index)
    assert (report.files.changed, report.passages.encoded) == (1, 0)
    assert {info.metadata.get("client") for info, _ in contents(index)} == {"Bolt", None}
    sidecar.unlink()
    assert build([folder], index).files.changed == 1
    assert {info.metadata.get("client") for info, _ in contents(index)} == {None}


def test_a_file_that_failed_is_tried_again_when_the_limits_change(folder, with_encoder, monkeypatch):
    index = with_encoder()
    (folder / "bad.pdf").write_bytes(b"%PDF broken")
    build([folder], index)
    read = []
    pool_read = ParserPool.read
    monkeypatch.setattr(ParserPool, "read", lambda pool, files: read.extend(files) or pool_read(pool, files))
    assert [failed.path for failed in build([folder], index).failed] == ["bad.pdf"]
    assert not read
    build([folder], index, Settings(read_seconds=119))
    assert [file.path for file in read] == ["bad.pdf"]


def test_a_feed_with_a_broken_line(folder, with_encoder):
    index = with_encoder()
    lines = [f'{{"text": "Record number {number} speaks of ships."}}' for number in range(1, 31)]
    lines[16] = '{"text": '
    (folder / "feed.jsonl").write_text("\n".join(lines))
    report = build([folder], index)
    assert report.files.added == 4
    assert report.documents == 3 + 29
    assert not report.failed
    (failed,) = report.failed_records
    assert failed.path == "feed.jsonl#17"
    assert failed.reason.startswith("the line is no JSON")
    (folder / "feed.jsonl").rename(folder / "renamed.jsonl")
    report = build([folder], index)
    assert (report.files.renamed, report.passages.encoded) == (1, 0)
    assert [failed.path for failed in report.failed_records] == ["renamed.jsonl#17"]
    records = [info.record for info, _ in contents(index) if info.record]
    assert records == [number for number in range(1, 31) if number != 17]


def test_a_passing_fault_is_not_remembered(folder, with_encoder, monkeypatch):
    index = with_encoder()
    pool_read = ParserPool.read

    def fail_once(pool, files):
        for file, read in pool_read(pool, files):
            yield file, read if file.path != "a.txt" else ParsedFile(reason="it changed", lasting=False)

    monkeypatch.setattr(ParserPool, "read", fail_once)
    assert [failed.path for failed in build([folder], index).failed] == ["a.txt"]
    monkeypatch.undo()
    report = build([folder], index)
    assert (report.failed, report.files.added, report.files.unchanged) == ([], 1, 2)


def test_a_file_with_the_name_of_a_record_is_refused(folder, with_encoder):
    (folder / "feed.jsonl").write_text('{"text": "Ships pay."}')
    (folder / "feed.jsonl#1").write_text("Ships pay.")
    with pytest.raises(InputError, match=r"both be called “feed\.jsonl#1”"):
        build([folder], with_encoder())


def test_a_file_that_takes_the_name_of_a_record_later_is_refused(folder, with_encoder):
    index = with_encoder()
    (folder / "feed.jsonl").write_text('{"text": "Ships pay."}')
    report = build([folder], index)
    (folder / "feed.jsonl#1").write_text("Ships pay more.")
    with pytest.raises(InputError, match=r"both be called “feed\.jsonl#1”"):
        build([folder], index)
    assert Engine.open(index).info.id == report.snapshot


def test_ocr_without_tesseract_is_refused_at_once(folder, with_encoder, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SettingsError, match="Tesseract is not installed: install it"):
        build([folder], with_encoder(), Settings(ocr=True))
