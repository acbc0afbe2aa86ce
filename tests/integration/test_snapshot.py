"""Damage is found; what is given is right or an error."""

import random

import pytest

from rag_qa import Engine
from rag_qa.errors import (
    IndexDamagedError,
    IndexMismatchError,
    IndexMissingError,
    NotFoundError,
    QuestionError,
    SnapshotError,
)
from rag_qa.index.local.segment.docstore import DocumentStore
from rag_qa.index.records import FORMAT

QUESTION = "what did HMICFRS recommend?"


def snapshot_folder(index):
    return index / "snapshots" / (index / "current").read_text().strip()


def quotes(answer):
    return [(p.text, p.citation) for p in answer.passages]


def test_no_index(tmp_path):
    with pytest.raises(IndexMissingError, match="build it with `rag-qa index"):
        Engine.open(tmp_path)


@pytest.mark.parametrize("text", ["", "nowhere", "../../etc", "0123456789abcdef-01234567"])
def test_current_that_names_no_snapshot(index_copy, text):
    (index_copy / "current").write_text(text)
    with pytest.raises(IndexDamagedError):
        Engine.open(index_copy)


def test_every_truncated_file_is_found_and_named(index_copy):
    folder = snapshot_folder(index_copy)
    for path in [path for path in folder.rglob("*") if path.is_file() and path.stat().st_size and path.name[0] != "."]:
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2])
        with pytest.raises(IndexDamagedError, match=path.name):
            Engine.open(index_copy)
        path.write_bytes(data)
    Engine.open(index_copy).close()


def test_another_format_version(index_copy):
    path = snapshot_folder(index_copy) / "manifest.json"
    path.write_text(path.read_text().replace(f'"format": {FORMAT}', '"format": 99'))
    with pytest.raises(IndexMismatchError, match="format 99"):
        Engine.open(index_copy)


def test_flipped_bytes_never_give_a_wrong_quote(index_copy, engine):
    right = quotes(engine.ask(QUESTION))
    path = snapshot_folder(index_copy) / "segments" / "000001" / "documents.sqlite"
    data = path.read_bytes()
    chance = random.Random(0)
    refused = 0
    for _ in range(50):
        place = chance.randrange(len(data))
        path.write_bytes(data[:place] + bytes([data[place] ^ (1 << chance.randrange(8))]) + data[place + 1 :])
        try:
            with Engine.open(index_copy) as damaged:
                assert quotes(damaged.ask(QUESTION)) == right
        except SnapshotError:
            refused += 1
    assert refused > 0


def test_flipped_bytes_in_the_search_structures_never_crash_or_misquote(index_copy, engine, root):
    """They may change the ranking, which only a checksum of the whole file shows, but not a quote or its place."""
    chance = random.Random(1)
    folder = snapshot_folder(index_copy) / "segments" / "000001"
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)
    assert len(files) >= 8
    for _ in range(50):
        path = chance.choice(files)
        data = path.read_bytes()
        place = chance.randrange(len(data))
        path.write_bytes(data[:place] + bytes([data[place] ^ (1 << chance.randrange(8))]) + data[place + 1 :])
        try:
            with Engine.open(index_copy) as damaged:
                for text, citation in quotes(damaged.ask(QUESTION)):
                    source = (root / "seeds" / citation.document).read_bytes().decode()
                    assert source[citation.start : citation.end] == text
        except SnapshotError:
            pass
        path.write_bytes(data)


def test_damaged_text_that_is_no_utf8_is_an_error_of_ours(index_copy):
    path = snapshot_folder(index_copy) / "manifest.json"
    data = path.read_bytes()
    path.write_bytes(data.replace(b"all-MiniLM", b"all\xffMiniLM"))
    with pytest.raises(IndexDamagedError, match=r"manifest\.json is damaged"):
        Engine.open(index_copy)


def test_a_changed_row_is_refused(index_copy):
    path = snapshot_folder(index_copy) / "segments" / "000001" / "documents.sqlite"
    data = path.read_bytes()
    assert data.count("chief constables ‘immediately stop’".encode()) == 2  # the document's text and a passage
    path.write_bytes(data.replace(b"immediately stop", b"immediately star"))
    store = DocumentStore(path)
    with pytest.raises(IndexDamagedError, match="is damaged"):
        store.passages(range(19))
    with pytest.raises(IndexDamagedError, match="is damaged"):
        [store.document(place) for place in range(3)]
    store.close()


def test_rows_come_in_the_order_they_are_asked_for(engine):
    index = engine.index
    forward = index.passages([0, 1, 2, 3])
    assert index.passages([3, 1, 2, 0]) == [forward[3], forward[1], forward[2], forward[0]]


def test_documents(engine, root):
    listed = engine.collection.documents()
    assert [info.path for info, _ in listed] == sorted(path.name for path in (root / "seeds").iterdir())
    for info, passages in listed:
        assert engine.collection.document(info.id).text.encode() == (root / "seeds" / info.path).read_bytes()
        assert len(engine.collection.passages(info.id)) == passages
    with pytest.raises(NotFoundError):
        engine.collection.document("unknown")


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ("", "is empty"),
        (" \n ", "is empty"),
        ("?!… — “”", "no letter and no digit"),
        ("😀😀", "no letter and no digit"),
        ("what\0is", "NUL"),
        ("what \udcff is", "no text"),
        ("x" * 100_000, "has 100000 characters, at most 2000"),
    ],
)
def test_questions_that_cannot_be_asked(engine, question, message):
    with pytest.raises(QuestionError, match=message):
        engine.ask(question)


@pytest.mark.parametrize(
    "question", ["内政部建议了什么?", "Что рекомендовал HMICFRS?", "ماذا أوصت؟", "7", "a", "x" * 2000]
)
def test_questions_in_any_script_are_answered(engine, question):
    assert len(engine.ask(question).passages) == 5


@pytest.mark.parametrize("k", [0, -1, 10**9])
def test_k_out_of_range(engine, k):
    with pytest.raises(QuestionError, match="must be from 1 to 100"):
        engine.ask("what?", k)


def test_max_tokens_is_a_budget(engine):
    full = engine.ask(QUESTION, k=10)
    budget = full.passages[0].tokens + full.passages[1].tokens
    answer = engine.ask(QUESTION, k=10, max_tokens=budget)
    assert sum(passage.tokens for passage in answer.passages) <= budget
    assert [passage.rank for passage in answer.passages][:2] == [1, 2]
    with pytest.raises(QuestionError, match="No passage fits into max_tokens 1"):
        engine.ask(QUESTION, max_tokens=1)
    with pytest.raises(QuestionError):
        engine.ask(QUESTION, max_tokens=0)


def test_marks_and_citations_are_slices_of_the_documents(engine):
    for passage in engine.ask(QUESTION, k=20).passages:
        text = engine.collection.document(passage.citation.id).text
        assert text[passage.citation.start : passage.citation.end] == passage.text
        for mark in passage.highlights:
            assert text[mark.start : mark.end] == mark.text
            assert passage.citation.start <= mark.start < mark.end <= passage.citation.end
