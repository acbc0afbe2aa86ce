"""Names as text, digests, and files that a crash leaves whole."""

import errno
import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_qa.files import (
    FileRecord,
    damaged,
    file_sha256,
    folder_digest,
    folder_listing,
    is_whole,
    link,
    make_folder,
    named_path,
    record_file,
    save_array,
    shown_path,
    write_atomically,
)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"fees.txt", "fees.txt"),
        ("Gebühr 😀".encode(), "Gebühr 😀"),
        (b"bad\xff.txt", "bad\\xff.txt"),
        (b"a\\xff", "a\\x5cxff"),  # a backslash that would read as an escape
        (b"a\\x5c", "a\\x5cx5c"),
        (b"a\\n", "a\\n"),
    ],
)
def test_a_path_as_text(name, shown):
    path = Path(os.fsdecode(name))
    assert shown_path(path) == shown
    assert named_path(shown) == path


@given(st.lists(st.sampled_from([b"\\", b"x", b"5c", b"ff", b"\xff", b"\xc3", "é".encode(), b"a"]), min_size=1))
def test_every_path_comes_back_from_its_text(parts):
    path = Path(os.fsdecode(b"".join(parts)))
    shown = shown_path(path)
    assert shown.encode()
    assert named_path(shown) == path


def test_the_digest_of_a_folder_is_of_names_and_bytes_but_what_is_left_out(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "b.txt").write_text("b")
    (tmp_path / "sub" / "a.txt").write_text("a")
    (tmp_path / "README.md").write_text("x")
    digests = [hashlib.sha256(text).hexdigest() for text in (b"b", b"a")]
    assert folder_listing(tmp_path, ["*.md"]) == f"\nb.txt {digests[0]}\nsub/a.txt {digests[1]}"
    before = folder_digest(tmp_path, ["*.md"])
    (tmp_path / "README.md").write_text("y")
    assert folder_digest(tmp_path, ["*.md"]) == before != folder_digest(tmp_path, [])
    (tmp_path / "b.txt").rename(tmp_path / "c.txt")
    assert folder_digest(tmp_path, ["*.md"]) != before


def test_a_file_is_whole_by_its_record(tmp_path):
    (tmp_path / "a").write_bytes(b"harbour")
    record = record_file(tmp_path / "a")
    assert record == FileRecord(7, hashlib.sha256(b"harbour").hexdigest())
    assert is_whole(tmp_path / "a", record)
    (tmp_path / "a").write_bytes(b"Harbour")
    assert not is_whole(tmp_path / "a", record)
    assert is_whole(tmp_path / "a", record, by_size=True)
    assert not is_whole(tmp_path / "missing", record)
    (tmp_path / "b").write_bytes(b"harbour")
    assert damaged(tmp_path, {"b": record, "a": record, "missing": record}) == ["a", "missing"]


def test_an_array_comes_back(tmp_path):
    save_array(tmp_path / "a.npy", np.arange(6).reshape(2, 3))
    assert np.load(tmp_path / "a.npy").tolist() == [[0, 1, 2], [3, 4, 5]]


def test_missing_folders_are_made(tmp_path):
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


def test_a_link_is_the_same_file(tmp_path):
    (tmp_path / "a").write_text("a")
    link(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").samefile(tmp_path / "a")
    with pytest.raises(FileExistsError):
        link(tmp_path / "a", tmp_path / "b")


class Unlinkable(type(Path())):
    """A place on a file system that cannot link."""

    def hardlink_to(self, target):
        raise OSError(errno.EXDEV, "Invalid cross-device link")


def test_a_file_is_copied_where_there_are_no_links(tmp_path):
    (tmp_path / "a").write_text("a")
    link(tmp_path / "a", Unlinkable(tmp_path / "b"))
    assert (tmp_path / "b").read_text() == "a"
    assert not (tmp_path / "b").samefile(tmp_path / "a")


def test_a_text_is_replaced_and_nothing_is_left_beside_it(tmp_path):
    path = tmp_path / "current"
    for left_over in (".current.123", ".current.4567"):  # of runs that were killed
        (tmp_path / left_over).touch()
    (tmp_path / ".current.lock").touch()
    write_atomically(path, "one\n")
    path.chmod(0o640)
    write_atomically(path, "zwei ü\n")
    assert path.read_bytes() == "zwei ü\n".encode()
    assert path.stat().st_mode & 0o777 == 0o640
    assert sorted(each.name for each in tmp_path.iterdir()) == [".current.lock", "current"]


def test_a_symbolic_link_stays_one(tmp_path):
    (tmp_path / "real").write_text("one")
    (tmp_path / "named").symlink_to(tmp_path / "real")
    write_atomically(tmp_path / "named", "two")
    assert (tmp_path / "named").is_symlink()
    assert (tmp_path / "real").read_text() == "two"


def test_what_cannot_be_written_leaves_the_old_text(tmp_path):
    (tmp_path / "current").write_text("one")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(tmp_path / "current", "\ud800")
    assert (tmp_path / "current").read_text() == "one"
    assert file_sha256(tmp_path / "current") == hashlib.sha256(b"one").hexdigest()
    assert [each.name for each in tmp_path.iterdir()] == ["current"]
