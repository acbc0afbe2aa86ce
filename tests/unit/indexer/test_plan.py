"""What is taken over from the snapshot before, and what is read anew; no file is parsed here."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest
from msgspec import structs
from support.small_collections import make_document

from rag_qa.errors import SettingsError
from rag_qa.files import file_sha256
from rag_qa.indexer.plan import Plan, Reused, plan_documents, plan_files, renamed
from rag_qa.ingest.sources import find_sources
from rag_qa.settings import Settings
from rag_qa.types import FailedFile, IndexedFile, document_id

SETTINGS = Settings()
NAMES = ("a.txt", "b.txt", "c.md")


@dataclass
class Before:
    """A snapshot of which only the files are looked at, and where they were named."""

    indexed: list
    info: SimpleNamespace = field(default_factory=SimpleNamespace)

    def files(self):
        return self.indexed


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "papers"
    folder.mkdir()
    for name in NAMES:
        (folder / name).write_text(f"The text of {name}.")
    return folder


@pytest.fixture
def planned(folder, encoder):
    """Plans a run over the folder, after a snapshot with some files."""

    def plan(before=None, settings=SETTINGS, sources=None, progress=lambda *_: None):
        previous = None if before is None else Before(before)
        return plan_files(sources or find_sources([folder], max_file_mb=1), previous, settings, encoder, progress)

    return plan


def digest_of_inputs(encoder, settings=SETTINGS):
    """What documents depend on besides their bytes, as plans write it down."""
    (file,) = plan_documents(
        [make_document("x.txt", [["X."]]).document], None, settings, encoder, lambda *_: None
    ).known
    return file.inputs_digest


@pytest.fixture
def before(folder, encoder):
    """The files as a snapshot has them that was made of them as they are."""
    return [
        IndexedFile(
            path=name,
            source=str(folder / name),
            sha256=file_sha256(folder / name),
            inputs_digest=digest_of_inputs(encoder),
        )
        for name in NAMES
    ]


def taken_over(plan):
    return [(reused.before.path, reused.now.path) for reused in plan.reused]


def test_all_is_read_where_there_is_no_snapshot(planned, folder):
    told = []
    plan = planned(progress=lambda *progress: told.append(progress))
    assert (plan.known, plan.reused, plan.paths) == ([], [], (str(folder),))
    assert told == [("comparing", 0, 3), ("comparing", 1, 3), ("comparing", 2, 3), ("comparing", 3, 3)]


def test_what_did_not_change_is_taken_over_and_the_rest_is_read(planned, folder, before):
    (folder / "a.txt").write_text("Another text.")
    (folder / "new.txt").write_text("New.")
    plan = planned(before)
    assert taken_over(plan) == [("b.txt", "b.txt"), ("c.md", "c.md")]
    assert plan.known == []
    assert not any(reused.moved for reused in plan.reused)


def test_a_moved_file_is_taken_over_under_its_new_name(planned, folder, before):
    (folder / "law").mkdir()
    (folder / "a.txt").rename(folder / "law" / "fees.txt")
    before[0] = structs.replace(before[0], broken=(FailedFile("a.txt#7", "no JSON"),))
    (moved,) = [reused for reused in planned(before).reused if reused.moved]
    assert (moved.before, moved.now.path) == (before[0], "law/fees.txt")
    assert moved.now.source == str(folder / "law" / "fees.txt")
    assert moved.now.broken == (FailedFile("law/fees.txt#7", "no JSON"),)


def test_the_suffix_decides_how_bytes_are_read(planned, folder, before):
    (folder / "a.txt").rename(folder / "a.md")
    assert ("a.txt", "a.md") not in taken_over(planned(before))


def test_a_copy_is_taken_over_too_and_the_file_of_the_same_name_comes_first(planned, folder, before):
    (folder / "d.txt").write_bytes((folder / "b.txt").read_bytes())
    assert taken_over(planned(before)) == [("a.txt", "a.txt"), ("b.txt", "b.txt"), ("c.md", "c.md"), ("b.txt", "d.txt")]
    (folder / "a.txt").write_bytes((folder / "b.txt").read_bytes())
    assert ("b.txt", "a.txt") in taken_over(planned(before))
    assert ("b.txt", "b.txt") in taken_over(planned(before))


def test_a_sidecar_that_changed_makes_its_file_be_read(planned, folder, before):
    (folder / "a.txt.meta.json").write_text('{"client": "ACME"}')
    assert taken_over(planned(before)) == [("b.txt", "b.txt"), ("c.md", "c.md")]
    before[0] = structs.replace(before[0], sidecar_sha256=file_sha256(folder / "a.txt.meta.json"))
    assert len(planned(before).reused) == 3


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({"passage_tokens": 100}, False),
        ({"feed_text": "body"}, False),
        ({"precision": "float32"}, False),
        ({"depth": 7, "read_seconds": 5.0, "index": "elsewhere"}, True),  # nothing that documents depend on
    ],
)
def test_other_settings_of_the_index_make_all_be_read(planned, encoder, before, changes, same):
    settings = structs.replace(SETTINGS, **changes)
    assert len(planned(before, settings).reused) == (3 if same else 0)
    assert (digest_of_inputs(encoder, settings) == digest_of_inputs(encoder)) is same


def test_a_file_that_failed_is_read_again_where_its_limits_may_be_others(planned, before):
    before[0] = structs.replace(before[0], reason="it took too long")  # with a digest that knows no limits
    before[1] = structs.replace(before[1], inputs_digest="")  # failed for a reason that may pass
    assert taken_over(planned(before)) == [("c.md", "c.md")]


def test_what_cannot_be_read_is_known_beforehand(planned, folder, before):
    sources = find_sources([folder], max_file_mb=1)
    sources.failed.append(FailedFile("big.txt", "larger than 1 MB"))
    (folder / "b.txt").unlink()
    plan = planned(before, sources=sources)
    assert [(file.path, file.source, file.reason) for file in plan.known] == [
        ("big.txt", "big.txt", "larger than 1 MB"),
        ("b.txt", str(folder / "b.txt"), f"cannot be read: {os.strerror(2)}"),
    ]


def test_a_run_is_done_where_all_is_as_it_was_and_named_as_it_was(before):
    plan = Plan(known=[], reused=[], ingest=lambda _: None, paths=("papers",))
    here = SimpleNamespace(working_directory=str(Path.cwd()), paths=("papers",))
    assert plan.is_done(before, Before(before, here))
    assert not plan.is_done(before, None)
    assert not plan.is_done(before[1:], Before(before, here))
    for changed in ({"working_directory": "/elsewhere"}, {"paths": ("other",)}):
        assert not plan.is_done(before, Before(before, SimpleNamespace(**vars(here) | changed)))


DOCUMENTS = [make_document(name, [[f"The text of {name}."]]).document for name in NAMES]


def test_documents_at_hand_are_compared_by_their_own_name(encoder):
    first = plan_documents(DOCUMENTS, None, SETTINGS, encoder, lambda *_: None)
    assert [file.path for file in first.known] == list(NAMES)
    others = [DOCUMENTS[0], make_document("b.txt", [["Another text."]]).document]
    others.append(structs.replace(DOCUMENTS[2], path="moved.md"))
    told = []
    plan = plan_documents(others, Before(first.known), SETTINGS, encoder, lambda *progress: told.append(progress))
    assert taken_over(plan) == [("a.txt", "a.txt")]
    assert [file.path for file in plan.known] == ["b.txt", "moved.md"]
    chunked = list(plan.ingest(lambda _: None))
    assert [each.document for each in chunked] == others[1:]
    assert [each.passages[0].text for each in chunked] == [document.text for document in others[1:]]
    assert told == [("cutting", 0, 2), ("cutting", 1, 2), ("cutting", 2, 2)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"passage_tokens": 300}, "passage_tokens is 300, but .* reads 254 tokens of a text"),
        ({"overlap_tokens": 71}, r"overlap_tokens is 71, more than half of passage_tokens \(140\)"),
    ],
)
def test_passages_that_the_encoder_cannot_read_or_that_are_mostly_overlap_are_refused(encoder, changes, message):
    with pytest.raises(SettingsError, match=message):
        plan_documents([], None, structs.replace(SETTINGS, **changes), encoder, lambda *_: None)


@pytest.mark.parametrize(
    ("path", "record", "title", "expected"),
    [
        ("a.txt", None, "a.txt", ("b.txt", "b.txt")),  # a title that was only the name
        ("a.txt", None, "Fees", ("b.txt", "Fees")),
        ("a.txt#3", 3, "a.txt#3", ("b.txt#3", "b.txt#3")),
    ],
)
def test_a_document_under_another_name(path, record, title, expected):
    document = structs.replace(make_document(path, [["Fees."]]).document, record=record, title=title)
    found = renamed(document, IndexedFile(path="b.txt", source="papers/b.txt"))
    assert (found.path, found.title) == expected
    assert (found.id, found.source) == (document_id(found.path), "papers/b.txt")
    assert (
        structs.replace(found, id=document.id, path=path, source=document.source, title=title) == document
    )  # all else is the same


def test_only_another_name_or_place_is_a_move():
    file = IndexedFile(path="a.txt", source="papers/a.txt")
    assert not Reused(file, structs.replace(file, sha256="ff")).moved
    assert Reused(file, structs.replace(file, path="b.txt")).moved
    assert Reused(file, structs.replace(file, source="other/a.txt")).moved
