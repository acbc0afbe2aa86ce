"""Files of rows that are checked when they are read."""

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_qa.errors import IndexDamagedError, WriteError
from rag_qa.index.local.sqlite_file import CheckedDatabase, DatabaseWriter, checksum

SCHEMA = "CREATE TABLE fees (number INTEGER PRIMARY KEY, ship TEXT NOT NULL, checksum BLOB NOT NULL);"


def write(path, count):
    writer = DatabaseWriter(path, SCHEMA)
    writer.insert("fees", ((number, f"ship {number}", checksum(number, f"ship {number}")) for number in range(count)))
    writer.close()
    return CheckedDatabase(path)


def test_rows_come_back_and_more_values_than_a_statement_takes(tmp_path):
    database = write(tmp_path / "a.sqlite", 1203)
    assert database.query("SELECT ship FROM fees WHERE number = ?", [7]) == [("ship 7",)]
    wanted = [*range(0, 1203, 2), 5000]
    found = list(database.query_in("SELECT number FROM fees WHERE number IN", wanted))
    assert sorted(number for (number,) in found) == wanted[:-1]
    assert list(database.query_in("SELECT number FROM fees WHERE number IN", [])) == []
    database.close()


def test_a_row_that_was_changed_is_damaged(tmp_path):
    write(tmp_path / "a.sqlite", 2).close()
    with sqlite3.connect(tmp_path / "a.sqlite") as connection:
        connection.execute("UPDATE fees SET ship = 'ferry' WHERE number = 1")
    connection.close()
    database = CheckedDatabase(tmp_path / "a.sqlite")
    same, other = database.query("SELECT number, ship, checksum FROM fees ORDER BY number")
    database.check(same[2], *same[:2])
    with pytest.raises(IndexDamagedError, match=r"a\.sqlite is damaged"):
        database.check(other[2], *other[:2])
    database.close()


def test_what_is_no_such_file_is_damaged(tmp_path):
    (tmp_path / "noise.sqlite").write_bytes(b"no database" * 100)
    database = CheckedDatabase(tmp_path / "noise.sqlite")
    with pytest.raises(IndexDamagedError, match=r"noise\.sqlite is damaged"):
        database.query("SELECT * FROM fees")
    database.close()
    with pytest.raises(IndexDamagedError, match=r"missing\.sqlite is damaged"):
        CheckedDatabase(tmp_path / "missing.sqlite").query("SELECT 1")


def test_a_file_that_cannot_be_written_is_told(tmp_path):
    with pytest.raises(WriteError, match="cannot be written"):
        DatabaseWriter(tmp_path / "nowhere" / "a.sqlite", SCHEMA)
    with pytest.raises(WriteError, match="cannot be written"):
        DatabaseWriter(tmp_path / "a.sqlite", "CREATE TABL fees;")


PARTS = st.lists(st.none() | st.integers(-(2**63), 2**63 - 1) | st.text() | st.binary(), max_size=4)


@given(PARTS, PARTS)
def test_checksums_of_equal_parts_alone_are_equal(one, other):
    assert len(checksum(*one)) == 16
    assert (checksum(*one) == checksum(*other)) == (one == other)
