import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rag_qa import Engine, IndexSettings, build
from rag_qa.encoder import SentenceEncoder
from rag_qa.errors import IndexMismatchError, InputError, SettingsError
from rag_qa.evaluation.gold import load_gold
from rag_qa.settings import load_settings


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
    return [(info, engine.passages(info.id)) for info, _ in engine.documents()]


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
        "added": ["d.txt"], "changed": ["a.txt"], "renamed": ["renamed.txt"], "unchanged": [], "removed": ["c.txt"]
    }  # fmt: skip
    assert (report.passages.encoded, report.passages.cached) == (2, 1)
    assert {info.path for info, _ in Engine.open(index).documents()} == {"a.txt", "d.txt", "renamed.txt"}


def test_unchanged_input_encodes_nothing_and_writes_nothing(folder, with_encoder, monkeypatch):
    index = with_encoder()
    first = build([folder], index)
    before = sorted(path.name for path in (index / "snapshots").iterdir())
    monkeypatch.setattr(SentenceEncoder, "encode_passages", None)  # would fail if anything were encoded
    second = build([folder], index)
    assert (second.snapshot, second.files.unchanged, second.passages.encoded) == (first.snapshot, 3, 0)
    assert sorted(path.name for path in (index / "snapshots").iterdir()) == before


@pytest.mark.parametrize("name", ["documents.sqlite", "vectors.faiss", "sentences.npy"])
def test_indexing_again_repairs_a_damaged_snapshot(folder, with_encoder, name):
    index = with_encoder()
    first = build([folder], index)
    (path,) = (index / "snapshots").rglob(name)
    data = path.read_bytes()
    path.write_bytes(data[:-100] + bytes(100))
    second = build([folder], index)
    assert (second.snapshot, second.passages.encoded) == (first.snapshot, 0)
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
    assert Engine.open(again).manifest.id == Engine.open(seeds_index).manifest.id
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
    assert Engine.open(index).manifest.id == report.snapshot


def test_a_stop_while_encoding_loses_no_index_and_no_vector(folder, with_encoder, monkeypatch):
    index = with_encoder()
    report = build([folder], index)
    for number in range(300):
        (folder / f"{number}.txt").write_text(f"Ship number {number} arrives.")
    encode = SentenceEncoder.encode_passages
    calls = []

    def stopped(self, texts):
        calls.append(len(texts))
        if len(calls) > 1:
            raise KeyboardInterrupt
        return encode(self, texts)

    monkeypatch.setattr(SentenceEncoder, "encode_passages", stopped)
    with pytest.raises(KeyboardInterrupt):
        build([folder], index)
    assert Engine.open(index).manifest.id == report.snapshot
    monkeypatch.setattr(SentenceEncoder, "encode_passages", encode)
    assert build([folder], index).passages.encoded == 300 - calls[0]


def test_a_stop_while_writing_leaves_no_trace(folder, with_encoder, monkeypatch):
    index = with_encoder()
    report = build([folder], index)
    (folder / "d.txt").write_text("A ferry leaves every hour.")

    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("rag_qa.indexing.publish", stopped)
    with pytest.raises(KeyboardInterrupt):
        build([folder], index)
    assert Engine.open(index).manifest.id == report.snapshot
    assert [path.name.split("-")[0] for path in (index / "snapshots").iterdir()] == [report.snapshot]


def test_settings_are_part_of_the_index(folder, with_encoder, monkeypatch):
    index = with_encoder()
    first = build([folder], index)
    second = build([folder], index, IndexSettings(passage_tokens=20))
    assert second.snapshot != first.snapshot
    Engine.open(index)  # nothing was asked for
    Engine.open(index, load_settings({"passage_tokens": 20}))
    with pytest.raises(IndexMismatchError, match="built with passage_tokens 20, the settings say 180"):
        Engine.open(index, load_settings({"passage_tokens": 180}))


def test_passages_longer_than_the_window_are_refused(folder, with_encoder):
    with pytest.raises(SettingsError, match="passage_tokens is 400, but all-MiniLM-L6-v2 reads 254 tokens"):
        build([folder], with_encoder(), IndexSettings(passage_tokens=400))


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


@given(texts=DOCUMENTS, question=SENTENCES)
@settings(deadline=None, max_examples=8, suppress_health_check=list(HealthCheck))
def test_saving_and_opening_changes_nothing(texts, question, seeds_index, tmp_path_factory):
    base = tmp_path_factory.mktemp("case")
    shutil.copytree(seeds_index / "encoder", base / "index" / "encoder")
    (base / "in").mkdir()
    for number, text in enumerate(texts):
        (base / "in" / f"{number}.txt").write_text(text, newline="")
    build([base / "in"], base / "index", IndexSettings(passage_tokens=16))
    first = rankings(base / "index", [question])
    moved = base / "moved"
    shutil.move(base / "index", moved)
    assert rankings(moved, [question]) == first
    engine = Engine.open(moved)
    for info, passages in contents(moved):
        text = engine.document(info.id).text
        assert text == texts[int(info.path.removesuffix(".txt"))]
        for passage in passages:
            assert text[passage.start : passage.end] == passage.text


def test_the_query_encoder_is_the_encoder(seeds_index, encoder, engine):
    config = json.loads((seeds_index / "encoder" / encoder.digest / "encoder.json").read_text())
    assert config["lowest_cosine"] >= 0.9999
    question = "Who brought the super-complaint?"
    exported, original = engine._encoder.encode_query(question), encoder.encode_query(question)
    assert exported.dtype == np.float32
    assert float(exported @ original) > 0.9999
    assert np.linalg.norm(exported) == pytest.approx(1, abs=1e-5)
    assert encoder.encode_passages(["a text", "another"]).shape == (2, 384)
