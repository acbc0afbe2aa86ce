"""Which snapshot answers, and what is refused before anything of it is read."""

import hashlib

import pytest

from rag_qa.errors import IndexDamagedError, IndexMissingError
from rag_qa.files import FileRecord
from rag_qa.index.local.manifest import Manifest, write_manifest
from rag_qa.index.local.snapshot.layout import (
    Snapshot,
    SnapshotFolder,
    current_name,
    open_current,
    snapshot_folders,
    stored,
)
from rag_qa.index.records import Counts, EncoderRecord
from rag_qa.settings import IndexSettings


def record(data):
    return FileRecord(len(data), hashlib.sha256(data).hexdigest())


def add_snapshot(index, sequence, data=b"rows"):
    """A snapshot with one small file; gives the name of its folder."""
    folder = index / "snapshots" / "building"
    folder.mkdir(parents=True)
    (folder / "contents.sqlite").write_bytes(data)
    manifest = Manifest(
        id=f"{sequence:016x}", sequence=sequence, created="", working_directory="/", settings=IndexSettings(),
        encoder=EncoderRecord("e", "d" * 16, "m" * 16, "int8", 8, 256), counts=Counts(0, 0, 0), segments=(),
        files={"contents.sqlite": record(data)},
    )  # fmt: skip
    return folder.rename(folder.with_name(write_manifest(folder, manifest))).name


def make_current(index, name):
    (index / "current").write_text(f"{name}\n")


def test_paths_of_the_parts(tmp_path):
    folder = SnapshotFolder(tmp_path)
    assert folder.segment("000001") == tmp_path / "segments" / "000001"
    assert folder.rows("000001") == tmp_path / "rows" / "000001.npy"
    assert {folder.contents.name, folder.tombstones.name, folder.ballast.name, folder.acronyms.name} == {
        "contents.sqlite",
        "tombstones.msgpack",
        "ballast",
        "acronyms.msgpack",
    }


def test_the_current_snapshot_is_opened(tmp_path):
    one, other = (add_snapshot(tmp_path, sequence) for sequence in (1, 2))
    make_current(tmp_path, one)
    assert current_name(tmp_path) == one
    snapshot = Snapshot.open_current(tmp_path)
    assert (snapshot.name, snapshot.manifest.sequence) == (one, 1)
    assert snapshot.encoder == tmp_path / "encoder" / ("d" * 16)
    assert [folder.name for folder, _ in stored(tmp_path)] == [other, one]  # newest first


def test_no_index_and_one_without_a_current_snapshot(tmp_path):
    with pytest.raises(IndexMissingError, match="There is no index in"):
        current_name(tmp_path)
    name = add_snapshot(tmp_path, 1)
    with pytest.raises(IndexDamagedError, match="current is missing"):
        current_name(tmp_path)
    for wrong in ("", "../escape", name + "0", name.upper() + "x"):
        make_current(tmp_path, wrong)
        with pytest.raises(IndexDamagedError, match="current names no snapshot"):
            current_name(tmp_path)


def test_other_folders_are_no_snapshots(tmp_path):
    assert list(snapshot_folders(tmp_path)) == []
    name = add_snapshot(tmp_path, 1)
    (tmp_path / "snapshots" / ".building-0").mkdir()
    broken = tmp_path / "snapshots" / f"{'0' * 16}-{'0' * 8}"
    broken.mkdir()
    assert {folder.name for folder in snapshot_folders(tmp_path)} == {name, broken.name}
    assert [folder.name for folder, _ in stored(tmp_path)] == [name]


@pytest.mark.parametrize(
    ("data", "message"),
    [(None, "missing or truncated"), (b"row", "missing or truncated"), (b"ROWS", "is not what was written")],
)
def test_a_file_that_is_not_what_was_written_is_refused(tmp_path, data, message):
    name = add_snapshot(tmp_path, 1)
    make_current(tmp_path, name)
    path = tmp_path / "snapshots" / name / "contents.sqlite"
    path.unlink()
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(IndexDamagedError, match=rf"contents\.sqlite .*{message}"):
        Snapshot.open_current(tmp_path)


def test_a_snapshot_that_is_replaced_while_it_is_opened_gives_way_to_the_new_one(tmp_path):
    one, other = (add_snapshot(tmp_path, sequence) for sequence in (1, 2))
    make_current(tmp_path, one)
    opened = []

    def opening(snapshot):
        opened.append(snapshot.name)
        if snapshot.name == one:
            make_current(tmp_path, other)
            raise IndexDamagedError("it was removed")
        return snapshot

    assert open_current(tmp_path, opening).name == other
    assert opened == [one, other]
