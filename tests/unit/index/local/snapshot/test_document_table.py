"""The table of a snapshot: documents in order, whatever the order they came in."""

import sqlite3

import pytest
from support.small_collections import file_of, make_document

from rag_qa.errors import IndexDamagedError, InputError
from rag_qa.index.local.snapshot.document_table import DocumentTable, DocumentTableWriter
from rag_qa.types import IndexedFile

A = make_document("a.txt", [["One."], ["Two."]])
B = make_document("b.txt", [["Three and four."]])
FEED = [make_document("feed.jsonl", [["Five."]], record=number) for number in (2, 10)]
FILES = [
    file_of(A),
    IndexedFile(path="b.pdf", source="b.pdf", reason="encrypted"),
    file_of(B),
    IndexedFile(path="feed.jsonl", source="feed.jsonl", sha256="ff"),
]


@pytest.fixture
def writer():
    """B lies first in segment 1, the feed in segment 2, A behind B."""
    writer = DocumentTableWriter(None)
    writer.add(FEED[1], segment=2, place=0, first_row=0)
    writer.add(B, segment=1, place=0, first_row=0)
    writer.add(FEED[0], segment=2, place=1, first_row=1)
    writer.add(A, segment=1, place=1, first_row=1)
    yield writer
    writer.discard()


@pytest.fixture
def table(writer, tmp_path):
    writer.write(tmp_path / "contents.sqlite", FILES)
    table = DocumentTable(tmp_path / "contents.sqlite")
    yield table
    table.close()


def paths(locations):
    return [location.path for location in locations]


def test_rows_are_counted_by_file_and_record(writer):
    layout = writer.layout()
    assert layout.segments.tolist() == [1, 1, 2, 2]
    assert layout.first_rows.tolist() == [1, 0, 1, 0]
    assert layout.passages.tolist() == [2, 1, 1, 1]
    assert layout.starts.tolist() == [0, 2, 3, 4]
    assert list(writer.digests()) == [A.digest, B.digest, FEED[0].digest, FEED[1].digest]
    assert writer.totals() == (4, 5, 2 + 3 + 1 + 1)
    assert writer.live() == {1: 3, 2: 2}


def test_an_empty_collection():
    writer = DocumentTableWriter(None)
    assert (writer.totals(), writer.live(), list(writer.digests())) == ((0, 0, 0), {}, [])
    assert writer.layout().starts.tolist() == []
    writer.discard()


def test_two_documents_of_one_name_are_refused(writer):
    with pytest.raises(InputError, match=r"Two documents would both be called “a\.txt”"):
        writer.add(A, segment=3, place=0, first_row=0)


def test_a_document_that_was_copied_lies_elsewhere(writer):
    writer.move(A.document.id, segment=2, place=2, first_row=2)
    assert paths(writer.in_segment(1)) == ["b.txt"]
    (moved,) = [location for location in writer.in_segment(2) if location.path == "a.txt"]
    assert (moved.place, moved.rows) == (2, range(2, 4))


def test_what_is_written_is_read_in_order(table):
    assert table.files() == FILES
    assert paths(table.documents()) == ["a.txt", "b.txt", "feed.jsonl#2", "feed.jsonl#10"]
    assert paths(table.documents(1, 2)) == ["b.txt", "feed.jsonl#2"]
    assert table.documents(4) == table.documents(0, 0) == table.documents(10**30, 10**30) == []
    assert list(table.each()) == table.documents()


def test_documents_are_found_by_id_file_and_segment(table):
    found = table.document(FEED[1].document.id)
    assert (found.path, found.file, found.record, found.digest) == ("feed.jsonl#10", "feed.jsonl", 10, FEED[1].digest)
    assert table.document("unknown") is None
    assert paths(table.of_file("feed.jsonl")) == ["feed.jsonl#2", "feed.jsonl#10"]
    assert table.of_file("b.pdf") == []
    assert paths(table.in_segment(1)) == ["a.txt", "b.txt"]


@pytest.mark.parametrize(
    ("change", "read"),
    [
        ("UPDATE documents SET first_row = 9 WHERE number = 0", DocumentTable.documents),
        ("UPDATE documents SET path = 'c.txt' WHERE number = 0", lambda table: list(table.each())),
        ("UPDATE files SET file = x'00' WHERE number = 0", DocumentTable.files),
    ],
)
def test_a_row_that_was_changed_is_damaged(table, tmp_path, change, read):
    with sqlite3.connect(tmp_path / "contents.sqlite") as connection:
        connection.execute(change)
    connection.close()
    changed = DocumentTable(tmp_path / "contents.sqlite")
    with pytest.raises(IndexDamagedError, match="is damaged"):
        read(changed)
    changed.close()
