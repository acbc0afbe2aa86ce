"""Documents and passages of a segment, and what a change of the file does to them."""

import sqlite3

import pytest
from msgspec import structs
from support.small_collections import make_document

from rag_qa.errors import IndexDamagedError
from rag_qa.index.local.segment.docstore import DocumentStore, StoreWriter
from rag_qa.types import NO_MENTIONS

DOCUMENTS = [
    make_document("a.txt", [["The harbour opens."], ["Ships pay.", "Boats do not."]], client="ACME"),
    make_document("b.txt", [["The Office for Port Fees (OPF) acts."]]),
    make_document("feed.jsonl", [["An article."]], record=3),
]


@pytest.fixture
def path(tmp_path):
    writer = StoreWriter(tmp_path / "documents.sqlite")
    assert [writer.add(document) for document in DOCUMENTS] == [(0, 0), (1, 2), (2, 3)]
    assert writer.passages == 4
    writer.close()
    return tmp_path / "documents.sqlite"


@pytest.fixture
def store(path):
    store = DocumentStore(path)
    yield store
    store.close()


def test_documents_come_back_as_they_were_written(store):
    for place, document in enumerate(DOCUMENTS):
        assert store.chunked(place) == document
        assert store.document(place) == document.document
    assert store.infos([2, 0]) == [DOCUMENTS[2].document.info, DOCUMENTS[0].document.info]
    assert store.mentions([1, 0, 1]) == [DOCUMENTS[1].mentions, NO_MENTIONS, DOCUMENTS[1].mentions]


def test_breaks_are_kept(tmp_path):
    document = structs.replace(DOCUMENTS[0], document=structs.replace(DOCUMENTS[0].document, breaks=(4, 9)))
    writer = StoreWriter(tmp_path / "a.sqlite")
    writer.add(document)
    writer.close()
    store = DocumentStore(tmp_path / "a.sqlite")
    assert store.chunked(0) == document
    store.close()


def test_passages_are_in_the_order_of_the_rows_that_are_asked_for(store):
    first, second = DOCUMENTS[0].passages
    (third,) = DOCUMENTS[1].passages
    found = store.passages([2, 1, 0, 2])
    assert [passage for _, passage in found] == [third, second, first, third]
    assert [info.path for info, _ in found] == ["b.txt", "a.txt", "a.txt", "b.txt"]
    assert store.passages([]) == []


def test_what_is_not_there_is_damage(store):
    for read in (lambda: store.passages([0, 4]), lambda: store.infos([3]), lambda: store.document(3)):
        with pytest.raises(IndexDamagedError, match="is damaged"):
            read()


@pytest.mark.parametrize(
    ("change", "read"),
    [
        ("UPDATE documents SET text = 'The harbour closes.' WHERE place = 0", lambda store: store.document(0)),
        ("UPDATE documents SET text = x'00' WHERE place = 0", lambda store: store.document(0)),
        ("UPDATE documents SET info = x'00' WHERE place = 0", lambda store: store.infos([0])),
        ("UPDATE documents SET first_row = 1 WHERE place = 0", lambda store: store.infos([0])),
        ("UPDATE passages SET passage = x'00' WHERE row = 1", lambda store: store.passages([1])),
        ("UPDATE passages SET document = 1 WHERE row = 1", lambda store: store.passages([1])),
        ("DELETE FROM passages WHERE row = 1", lambda store: store.chunked(0)),
        ("UPDATE mentions SET mentions = x'00'", lambda store: store.mentions([1])),
    ],
)
def test_what_was_changed_is_never_given(path, change, read):
    with sqlite3.connect(path) as connection:
        connection.execute(change)
    connection.close()
    store = DocumentStore(path)
    with pytest.raises(IndexDamagedError, match=r"documents\.sqlite is damaged"):
        read(store)
    assert store.document(2) == DOCUMENTS[2].document  # the rest can be read
    store.close()
