"""An index that was made in many steps answers as one that was made at once."""

import os
import random
from functools import partial

import msgspec
import numpy as np
import pytest
from support.indexes import build
from support.structures import HashEncoder

import rag_qa
from rag_qa import Engine
from rag_qa.errors import IndexDamagedError
from rag_qa.index import open_index
from rag_qa.index.local.segment.tombstones import Tombstones
from rag_qa.index.local.snapshot.previous import PreviousSnapshot
from rag_qa.settings import Settings

QUESTIONS = [
    "When does the harbour open?",
    "Who pays a fee of ten crowns?",
    "lighthouse",
    "Is fishing forbidden near the pier?",
    "What did the pilot say about ice?",
    "ships ships ships and a ferry",
]
SUBJECTS = ["The harbour", "A ship", "The lighthouse", "The pilot", "Fishing", "The ferry", "Ice", "The pier"]
REST = ["opens in March", "pays a fee of ten crowns", "was built in 1887", "is forbidden", "leaves every hour"]


def sentence(chance):
    return f"{chance.choice(SUBJECTS)} {chance.choice(REST)}{chance.choice(['', ' again', ' and again in May'])}."


def text(chance):
    return "\n\n".join(" ".join(sentence(chance) for _ in range(chance.randrange(1, 6))) for _ in range(3))


def written(tmp_path, count):
    """A folder of so many documents."""
    folder = tmp_path / "papers"
    folder.mkdir()
    chance = random.Random(0)
    for number in range(count):
        (folder / f"{number:02}.txt").write_text(text(chance))
    return folder


def contents(index):
    with Engine.open(index) as engine:
        return [
            (info, engine.collection.document(info.id).text, engine.collection.passages(info.id))
            for info, _ in engine.collection.documents()
        ]


def rankings(index):
    """What is found, place and marks, then the scores, which differ in the last digits."""
    with Engine.open(index) as engine:
        found = [engine.ask(question, k=8).passages for question in QUESTIONS]
    places = [
        [(p.citation.document, p.citation.start, [(mark.start, mark.end) for mark in p.highlights]) for p in passages]
        for passages in found
    ]
    return places, np.array([[p.score for p in passages] for passages in found])


def assert_same(found, expected):
    assert found[0] == expected[0]
    assert found[1] == pytest.approx(expected[1], abs=1e-4)


def vectors(index):
    """Passage and sentence vectors by document and place."""
    previous = PreviousSnapshot.open_current(index)
    found = {}
    for location in previous.table.each():
        _, both = previous.chunked(location)
        found[location.path] = (both.passages.copy(), both.sentences.astype(np.float32))
    previous.searcher.close()
    return found


@pytest.fixture
def patient(monkeypatch):
    """Segments are never merged for their tombstones."""
    monkeypatch.setattr("rag_qa.index.local.snapshot.merge_policy.MOST_DELETED", 1.0)


SMALL = Settings(passage_tokens=24, segment_passages=8)


@pytest.mark.parametrize(("seed", "real"), [(1, True), (2, False), (3, False)])
def test_many_steps_end_where_one_does(seed, real, tmp_path, with_encoder, encoder, patient):
    build = partial(rag_qa.build, encoder=encoder if real else HashEncoder.make())
    chance = random.Random(seed)
    folder = tmp_path / "papers"
    folder.mkdir()
    for number in range(12):
        (folder / f"{number:02}.txt").write_text(text(chance))
    index = with_encoder("steps")
    build([folder], index, SMALL)
    for step in range(5):
        files = sorted(folder.iterdir())
        chance.choice(files).write_text(text(chance))
        chance.choice(files[:5]).rename(folder / f"renamed {step}.txt")
        sorted(folder.iterdir())[chance.randrange(5, 9)].unlink()
        (folder / f"new {step}.txt").write_text(text(chance))
        report = build([folder], index, SMALL)
    with Engine.open(index) as engine:
        manifest = engine.index.snapshot.manifest
        assert len(manifest.segments) > 2
        assert sum(segment.passages for segment in manifest.segments) > manifest.counts.passages
        assert engine.index.snapshot.tombstones.is_file()
    once = with_encoder("once")
    assert build([folder], once).snapshot != report.snapshot  # other settings
    assert build([folder], once, Settings(passage_tokens=24)).snapshot == report.snapshot
    assert contents(index) == contents(once)
    assert_same(rankings(index), rankings(once))
    stepped, whole = vectors(index), vectors(once)
    assert stepped.keys() == whole.keys()
    for path, (passages, sentences) in stepped.items():
        assert np.abs(passages - whole[path][0]).max() < 2e-3  # a last bit of half precision
        assert np.abs(sentences - whole[path][1]).max() < 2e-3


def test_a_small_change_links_what_stays(tmp_path, with_encoder, patient):
    folder = written(tmp_path, 21)
    index = with_encoder()
    build([folder], index, SMALL)
    before = {path.stat().st_ino for path in index.rglob("vectors.faiss")}
    assert len(before) > 3
    (folder / "07.txt").write_text("The harbour opens in April.")
    report = build([folder], index, SMALL)
    assert report.passages.encoded == 1
    current = index / "snapshots" / (index / "current").read_text().strip()
    after = {path.stat().st_ino for path in current.rglob("vectors.faiss")}
    assert before <= after
    assert len(after) == len(before) + 1


def test_a_segment_with_many_tombstones_is_written_anew(tmp_path, with_encoder):
    folder = written(tmp_path, 10)
    index = with_encoder()
    build([folder], index, SMALL)
    for number in range(10):
        if number % 2:
            (folder / f"{number:02}.txt").unlink()
    build([folder], index, SMALL)
    with Engine.open(index) as engine:
        gone = (
            sum(segment.passages for segment in engine.index.snapshot.manifest.segments) - engine.info.counts.passages
        )
        assert gone <= 0.2 * engine.info.counts.passages
    assert contents(index) == contents_of_new(folder, with_encoder)


def contents_of_new(folder, with_encoder):
    index = with_encoder("new")
    build([folder], index, Settings(passage_tokens=24))
    return contents(index)


def test_a_collection_with_graphs_answers_as_without(tmp_path, with_encoder):
    folder = written(tmp_path, 60)
    index = with_encoder()
    build([folder], index, Settings(passage_tokens=24, graph_passages=50))
    with Engine.open(index) as engine:
        (segment,) = engine.index.snapshot.manifest.segments
        assert segment.graph is not None
        assert segment.graph.recall >= 0.98
    with Engine.open(index) as by_graph, Engine.open(index, Settings(exact_search=True)) as exact:
        for question in QUESTIONS:
            found, wanted = by_graph.ask(question), exact.ask(question)
            assert [p.citation for p in found.passages] == [p.citation for p in wanted.passages]


def test_a_manifest_that_names_a_missing_segment(index_copy):
    current = index_copy / "snapshots" / (index_copy / "current").read_text().strip()
    (current / "segments" / "000001").rename(current / "elsewhere")
    with pytest.raises(IndexDamagedError, match=r"segments/000001/\S+ is missing or truncated: go back"):
        Engine.open(index_copy)


def test_rows_that_do_not_fit_are_damage(index_copy, monkeypatch):
    monkeypatch.setattr("rag_qa.index.local.snapshot.layout.CHECKED_BYTES", 0)
    monkeypatch.setattr("rag_qa.index.local.snapshot.layout.ALWAYS_CHECKED", ())
    (path,) = index_copy.rglob("rows/*.npy")
    rows = np.load(path)
    for wrong in (rows[::-1] * 0, rows + 1):
        np.save(path, wrong)
        with pytest.raises(IndexDamagedError, match="do not make up its passages"):
            Engine.open(index_copy)
    np.save(path, rows[::-1])  # every passage is there, but under the row of another
    with Engine.open(index_copy) as engine:
        for info, _ in engine.collection.documents():
            with pytest.raises(IndexDamagedError):
                engine.collection.passages(info.id)
        for document, passage in engine.index.passages(range(len(rows))):
            text = engine.collection.document(document.id).text
            assert text[passage.start : passage.end] == passage.text


def test_tombstones_that_do_not_fit_are_damage(index_copy):
    opened = open_index(index_copy, lambda opened: opened)
    opened.close()
    opened.snapshot.tombstones.write_bytes(msgspec.msgpack.encode({"000001": Tombstones(passages=1)}))
    with pytest.raises(IndexDamagedError, match="does not belong to the passages that are gone"):
        open_index(index_copy, lambda opened: opened)
    opened.snapshot.tombstones.write_bytes(b"\xc1")
    with pytest.raises(IndexDamagedError, match="cannot be read"):
        open_index(index_copy, lambda opened: opened)


def test_where_files_cannot_be_linked_they_are_copied(tmp_path, with_encoder, patient, monkeypatch):
    folder = written(tmp_path, 12)
    index = with_encoder()
    build([folder], index, SMALL)

    def refuse(*_):
        raise OSError(95, os.strerror(95))

    monkeypatch.setattr(os, "link", refuse)
    (folder / "07.txt").write_text("The harbour opens in April.")
    build([folder], index, SMALL)
    assert {path.stat().st_nlink for path in index.rglob("vectors.faiss")} == {1}
    assert_same(rankings(index), rankings_of_new(folder, with_encoder, monkeypatch))


def rankings_of_new(folder, with_encoder, monkeypatch):
    monkeypatch.undo()
    index = with_encoder("new")
    build([folder], index, Settings(passage_tokens=24))
    return rankings(index)
