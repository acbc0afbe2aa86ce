"""The manifest, whose digest is in the name of its folder."""

import msgspec
import pytest
from msgspec import structs

from rag_qa.errors import IndexDamagedError, IndexMismatchError
from rag_qa.files import FileRecord
from rag_qa.index.local.manifest import FORMAT, Graph, Manifest, Segment, read_manifest, write_manifest
from rag_qa.index.records import Counts, EncoderRecord
from rag_qa.settings import IndexSettings

ID = "0123456789abcdef"
MANIFEST = Manifest(
    id=ID, sequence=3, created="2024-05-17T00:00:00+00:00", working_directory="/papers", paths=("law",),
    settings=IndexSettings(passage_tokens=64), encoder=EncoderRecord("e", "d" * 16, "m" * 16, "int8", 8, 256),
    counts=Counts(1, 2, 30), segments=(Segment(1, 2, 30), Segment(4, 9, 99, Graph(16, 64, 0.99))),
    files={"contents.sqlite": FileRecord(7, "ab" * 32)},
)  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    building = tmp_path / "snapshots" / "building"
    building.mkdir(parents=True)
    return building.rename(building.with_name(write_manifest(building, MANIFEST)))


def test_a_manifest_comes_back_and_names_its_folder(folder):
    assert folder.name.startswith(f"{ID}-")
    assert read_manifest(folder) == MANIFEST
    assert [segment.name for segment in MANIFEST.segments] == ["000001", "000004"]


def test_the_name_vouches_for_every_byte(folder):
    path = folder / "manifest.json"
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b'"sequence": 3', b'"sequence": 4'))
    with pytest.raises(IndexDamagedError, match="is not what was written"):
        read_manifest(folder)
    for data in (whole[:-9], b"", b"[]", b'{"format": "7"}', b"\xff"):
        path.write_bytes(data)
        with pytest.raises(IndexDamagedError, match="is damaged"):
            read_manifest(folder)
    path.unlink()
    with pytest.raises(IndexDamagedError, match="is missing or cannot be read"):
        read_manifest(folder)


def test_another_format_is_no_damage_and_says_what_to_do(folder):
    data = msgspec.json.encode(structs.replace(MANIFEST, format=FORMAT + 1)).replace(b"encoder", b"unknown")
    (folder / "manifest.json").write_bytes(data)
    with pytest.raises(
        IndexMismatchError, match=f"has format {FORMAT + 1}, this version of rag_qa reads format"
    ) as raised:
        read_manifest(folder)
    assert raised.value.found == FORMAT + 1
    assert f"--index {folder.parent.parent}" in str(raised.value)


def test_facts_for_others():
    info = MANIFEST.info("named")
    assert (info.id, info.name, info.counts, info.paths) == (ID, "named", MANIFEST.counts, ("law",))
    assert info.approximate  # the second segment has a graph
    assert not structs.replace(MANIFEST, segments=MANIFEST.segments[:1]).info("named").approximate
