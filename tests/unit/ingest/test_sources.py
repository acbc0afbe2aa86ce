import os

import pytest

from rag_qa.errors import InputError
from rag_qa.files import named_path, shown_path
from rag_qa.ingest.sources import find_sources


def find(*paths, **options):
    return find_sources(list(paths), **{"max_file_mb": 1, **options})


def names(sources):
    return [file.path for file in sources.files]


def fill(folder, *files):
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("text")


def test_a_folder_is_walked_in_sorted_order_and_nothing_is_dropped(tmp_path):
    fill(tmp_path / "in", "b/2.txt", "b/1.txt", "a.txt", "c.txt", "B.txt")
    fill(tmp_path, "secret.txt")
    (tmp_path / "in" / "empty.txt").touch()
    os.mkfifo(tmp_path / "in" / "pipe.txt")
    (tmp_path / "in" / "device").symlink_to("/dev/zero")
    (tmp_path / "in" / "linked").symlink_to(tmp_path / "in" / "b")
    (tmp_path / "in" / "dangling.txt").symlink_to(tmp_path / "nowhere")
    (tmp_path / "in" / "out.txt").symlink_to(tmp_path / "secret.txt")
    (tmp_path / "in" / "same.txt").symlink_to("a.txt")
    sources = find(tmp_path / "in")
    assert names(sources) == ["B.txt", "a.txt", "b/1.txt", "b/2.txt", "c.txt", "same.txt"]
    reasons = {failed.path: failed.reason.partition(":")[0] for failed in sources.failed}
    assert reasons == {
        "dangling.txt": "cannot be read",
        "device": "a symbolic link out of the folder",
        "empty.txt": "no text",
        "linked": "a symbolic link to a folder",
        "out.txt": "a symbolic link out of the folder",
        "pipe.txt": "not a regular file",
    }


def test_a_file_that_is_too_large_is_refused(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"a" * 1_000_001)
    (failed,) = find(tmp_path).failed
    assert failed.reason == "larger than max_file_mb, 1 MB: split it, or raise that setting"
    assert not find(tmp_path, max_file_mb=2).failed


def test_a_folder_that_cannot_be_listed_is_reported(tmp_path, monkeypatch):
    fill(tmp_path, "in/a.txt", "in/closed/b.txt")
    scandir = os.scandir

    def refuse(path):
        if os.fspath(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    sources = find(tmp_path / "in")
    assert names(sources) == ["a.txt"]
    assert [(failed.path, failed.reason) for failed in sources.failed] == [
        ("closed", "the folder cannot be read: Permission denied")
    ]


def test_several_paths_are_told_apart_by_their_last_part(tmp_path):
    fill(tmp_path, "x/in/a.txt", "y/out/a.txt", "z/in/a.txt")
    assert names(find(tmp_path / "x/in", tmp_path / "y/out")) == ["in/a.txt", "out/a.txt"]
    with pytest.raises(InputError, match="end in “in”"):
        find(tmp_path / "x/in", tmp_path / "z/in")
    with pytest.raises(InputError, match="no file or folder"):
        find(tmp_path / "nowhere")


def test_a_single_file_is_named_by_its_name_and_keeps_its_sidecar(tmp_path):
    fill(tmp_path, "in/a.txt", "in/a.txt.meta.json")
    sources = find(tmp_path / "in/a.txt")
    assert names(sources) == ["a.txt"]
    assert sources.files[0].sidecar == tmp_path / "in/a.txt.meta.json"
    assert names(find(tmp_path / "in/a.txt", tmp_path / "in")) == ["a.txt", "in/a.txt"]


def test_the_index_itself_is_left_out(tmp_path):
    fill(tmp_path, "a.txt", "index/current")
    sources = find(tmp_path, leave_out=tmp_path / "index")
    assert names(sources) == ["a.txt"]
    assert not sources.failed


def test_a_sidecar_without_its_file_is_a_file(tmp_path):
    fill(tmp_path, "a.txt.meta.json")
    assert names(find(tmp_path)) == ["a.txt.meta.json"]


def test_a_sidecar_that_is_no_file_is_refused_and_not_used(tmp_path):
    fill(tmp_path, "in/a.txt", "in/b.txt", "in/c.txt", "in/c.txt.meta.json")
    os.mkfifo(tmp_path / "in" / "a.txt.meta.json")
    (tmp_path / "in" / "b.txt.meta.json").symlink_to(tmp_path)
    sources = find(tmp_path / "in")
    assert [(file.path, file.sidecar is not None) for file in sources.files] == [
        ("a.txt", False),
        ("b.txt", False),
        ("c.txt", True),
    ]
    assert [failed.path for failed in sources.failed] == ["a.txt.meta.json", "b.txt.meta.json"]
    assert sources.sidecars == ["c.txt.meta.json"]


def test_files_given_one_by_one_keep_their_sidecars(tmp_path):
    fill(tmp_path, "a.txt", "a.txt.meta.json", "b.txt")
    sources = find(*sorted(tmp_path.iterdir()))
    assert names(sources) == ["a.txt", "b.txt"]
    assert sources.sidecars == ["a.txt.meta.json"]


def test_links_of_the_same_name_are_told_apart(tmp_path):
    fill(tmp_path, "1/one.txt", "2/two.txt")
    (tmp_path / "1" / "x.txt").symlink_to("one.txt")
    (tmp_path / "2" / "x.txt").symlink_to("two.txt")
    with pytest.raises(InputError, match=r"end in “x\.txt”"):
        find(tmp_path / "1" / "x.txt", tmp_path / "2" / "x.txt")


def test_ignore_files_count_as_in_git(tmp_path):
    fill(
        tmp_path, "a.txt", "a.log", "keep.log", "build/x.txt", "sub/a.log", "sub/b.tmp", "sub/deep/c.tmp", "notes/d.txt"
    )
    fill(tmp_path, "build/keep.log", "a.txt.meta.json")
    (tmp_path / ".ragqaignore").write_text("*.log\n!keep.log\nbuild/\n/notes\n")
    (tmp_path / "sub" / ".ragqaignore").write_text("*.tmp\n!a.log\n")
    sources = find(tmp_path)
    assert names(sources) == ["a.txt", "keep.log", "sub/a.log"]
    in_root = [".ragqaignore", "a.log", "build/keep.log", "build/x.txt", "notes/d.txt"]
    assert sources.ignored == [*in_root, "sub/.ragqaignore", "sub/b.tmp", "sub/deep/c.tmp"]
    assert sources.sidecars == ["a.txt.meta.json"]


def test_an_ignored_sidecar_is_not_used(tmp_path):
    fill(tmp_path, "a.txt", "a.txt.meta.json")
    (tmp_path / ".ragqaignore").write_text("*.meta.json\n")
    sources = find(tmp_path)
    assert [file.sidecar for file in sources.files] == [None]
    assert sources.ignored == [".ragqaignore", "a.txt.meta.json"]


@pytest.mark.parametrize(
    ("patterns", "left"),
    [
        ("*\n!a/\n!a/1.txt\n", ["a/1.txt"]),
        ("*\n!*/\n!*.txt\n", ["3.txt", "a/1.txt", "b/2.txt"]),
        ("\ufeffa/\n", ["3.txt", "b/2.txt"]),
    ],
)
def test_folders_can_be_let_in_again(tmp_path, patterns, left):
    fill(tmp_path, "3.txt", "a/1.txt", "b/2.txt")
    (tmp_path / ".ragqaignore").write_text(patterns)
    assert names(find(tmp_path)) == left


@pytest.mark.parametrize("content", [b"\xff\xfe", b"!", b"[z-a]"])
def test_an_ignore_file_that_cannot_be_understood_stops_the_run(tmp_path, content):
    fill(tmp_path, "a.txt")
    (tmp_path / ".ragqaignore").write_bytes(content)
    with pytest.raises(InputError, match=r"\.ragqaignore cannot be understood"):
        find(tmp_path)


@pytest.mark.parametrize("name", [b"caf\xe9.txt", b"a\nb.txt", b"x" * 251 + b".txt", b"caf\\xe9.txt", b"a\\x5c.txt"])
def test_odd_names_are_shown_and_found_again(tmp_path, name):
    fill(tmp_path, os.fsdecode(name))
    (file,) = find(tmp_path).files
    assert file.path.encode()
    assert os.fsencode(named_path(file.path)) == name
    assert named_path(file.source) == file.location


def test_names_that_look_alike_are_shown_apart(tmp_path):
    fill(tmp_path, os.fsdecode(b"caf\xe9.txt"), "caf\\xe9.txt")
    first, second = find(tmp_path).files
    assert first.path != second.path
    assert shown_path(first.location) != shown_path(second.location)
