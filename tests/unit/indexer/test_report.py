"""Changes between the files of two runs."""

from rag_qa.indexer.report import changed_paths
from rag_qa.types import IndexedFile


def file(path, digest, reason=None, sidecar=None):
    return IndexedFile(path=path, source=path, sha256=digest, sidecar_sha256=sidecar, reason=reason)


def test_every_change_has_its_list():
    before = [file("same", "1"), file("edited", "2"), file("moved", "3"), file("gone", "4"), file("noted", "5")]
    now = [
        file("same", "1"),
        file("edited", "2b"),
        file("moved here", "3"),
        file("new", "6"),
        file("noted", "5", sidecar="s"),
        file("broken", "7", reason="binary data"),
    ]
    assert changed_paths(before, now) == {
        "added": ["new"],
        "changed": ["edited", "noted"],
        "renamed": ["moved here"],
        "unchanged": ["same"],
        "removed": ["gone"],
    }


def test_one_of_two_equal_files_is_renamed_and_the_other_removed():
    changes = changed_paths([file("a", "1"), file("b", "1")], [file("c", "1")])
    assert changes == {"added": [], "changed": [], "renamed": ["c"], "unchanged": [], "removed": ["a"]}


def test_a_file_that_no_longer_gives_a_document_is_in_no_list():
    changes = changed_paths([file("a", "1")], [file("a", "2", reason="it is encrypted")])
    assert not any(changes.values())
