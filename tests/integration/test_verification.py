import shutil
from pathlib import Path

import msgspec
import pytest
from support.files import pdf

from rag_qa import Engine
from rag_qa.answering.verification import decode_answer, verify_sources
from rag_qa.indexer.build import build
from rag_qa.settings import Settings
from rag_qa.types import Answer

TEXTS = {
    "around.txt": "Notice.\n\nThe harbour opens in March. Ships pay ten crowns.\n",
    "inside.txt": "The lighthouse was built by Anna Berg in 1887.\n",
    "deleted.txt": "Fishing is forbidden within a mile of the pier.\n",
    "kept.txt": "Pilots wait at the outer buoy until noon.\n",
    "forged.txt": "The ice breaker leaves on Mondays before dawn.\n",
}
CITATION = {
    "start",
    "end",
    "page",
    "line",
    "sha256",
    "record",
    "id",
    "document",
    "source",
    "page_unit",
    "title",
    "section",
}


@pytest.fixture(scope="module")
def asked(seeds_index, tmp_path_factory):
    """A folder, its index, and an answer that cites each of its files."""
    base = tmp_path_factory.mktemp("verifying")
    folder = base / "papers"
    folder.mkdir()
    for name, text in TEXTS.items():
        (folder / name).write_text(text)
    (folder / "pages.pdf").write_bytes(pdf(["The first page speaks of tolls.", "The second page speaks of dues."]))
    (folder / "feed.jsonl").write_text('{"text": "Buoys are painted in April."}\n{"text": "Bells ring in fog."}\n')
    (base / "index").mkdir()
    (base / "index" / "encoder").symlink_to(seeds_index / "encoder")
    build([folder], base / "index")
    with Engine.open(base / "index") as engine:
        answer = engine.ask("what is known of the harbour?", k=20)
        assert {passage.citation.document.partition("#")[0] for passage in answer.passages} == {
            *TEXTS,
            "pages.pdf",
            "feed.jsonl",
        }
        yield folder, engine, answer


@pytest.fixture
def papers(asked, tmp_path):
    """A copy of the folder, and the answer with the sources there."""
    folder, _, answer = asked
    copy = shutil.copytree(folder, tmp_path / "papers")
    return copy, decode_answer(msgspec.json.encode(answer).replace(str(folder).encode(), str(copy).encode()))


def states(verification):
    return {citation.document: citation.state for citation in verification.citations}


def of(answer: Answer, document: str, /, **changes) -> Answer:
    """The answer with only the passages of one document, its first citation changed."""
    first, *others = [passage for passage in answer.passages if passage.citation.document == document]
    citation = msgspec.structs.replace(
        first.citation, **{name: value for name, value in changes.items() if name in CITATION}
    )
    rest = {name: value for name, value in changes.items() if name not in CITATION}
    return msgspec.structs.replace(
        answer, passages=[msgspec.structs.replace(first, citation=citation, **rest), *others]
    )


def check(answer):
    return verify_sources(answer, [Path()], Settings())


def test_untouched_sources_hold(papers):
    _, answer = papers
    verification = verify_sources(answer, [papers[0].parent], Settings())
    assert verification.holds
    assert set(states(verification).values()) == {"holds"}


def test_each_change_is_told_for_what_it_is(papers):
    folder, answer = papers
    (folder / "around.txt").write_text("A new first line.\n" + TEXTS["around.txt"])
    (folder / "inside.txt").write_text(TEXTS["inside.txt"].replace("1887", "1888"))
    (folder / "deleted.txt").unlink()
    forged = of(answer, "forged.txt", start=1).passages[0]
    answer = msgspec.structs.replace(
        answer,
        passages=[forged if p.citation.document == "forged.txt" else p for p in answer.passages],
    )
    verification = verify_sources(answer, [folder.parent], Settings())
    assert not verification.holds
    assert states(verification) == {
        "around.txt": "changed",
        "inside.txt": "changed",
        "deleted.txt": "gone",
        "forged.txt": "forged",
        "kept.txt": "holds",
        "pages.pdf": "holds",
        "feed.jsonl#1": "holds",
        "feed.jsonl#2": "holds",
    }
    told = {citation.document: citation for citation in verification.citations}
    around = told["around.txt"]
    assert around.detail.startswith("The source has changed; the quote still occurs, in line 2, characters 18 to ")
    assert (folder / "around.txt").read_text()[around.found.start : around.found.end] == next(
        passage.text for passage in answer.passages if passage.citation.document == "around.txt"
    )
    assert told["inside.txt"].detail.endswith("the quote does not occur in it any more.")
    assert told["inside.txt"].found is None
    assert told["forged.txt"].found.start == 0


@pytest.mark.parametrize(
    ("document", "changes", "words"),
    [
        ("kept.txt", {"start": 3}, "are not the quote"),
        ("kept.txt", {"end": 9999}, "it has no characters 0 to 9999"),
        ("kept.txt", {"start": -5}, "it has no characters -5"),
        ("kept.txt", {"line": 7}, "the quote is in line 1"),
        ("kept.txt", {"text": "Pilots wait at the inner buoy until noon."}, "are not the quote"),
        ("pages.pdf", {"page": 3}, "the quote is on page"),
        ("kept.txt", {"record": 1}, "it has no such record"),
        ("kept.txt", {"section": "Chapter 9"}, "its section is “”"),
        ("kept.txt", {"document": "../nope"}, "its id is"),
    ],
)
def test_forgeries(papers, document, changes, words):
    _, answer = papers
    first = check(of(answer, document, **changes)).citations[0]
    assert first.state == "forged"
    assert words in first.detail


def test_a_forged_highlight(papers):
    _, answer = papers
    passage = of(answer, "kept.txt").passages[0]
    mark = msgspec.structs.replace(passage.highlights[0], text="Pilots never wait.")
    forged = msgspec.structs.replace(answer, passages=[msgspec.structs.replace(passage, highlights=[mark])])
    (citation,) = check(forged).citations
    assert (citation.state, "a highlight is no part" in citation.detail) == ("forged", True)


def test_a_quote_with_other_line_ends_still_occurs(papers):
    folder, answer = papers
    (folder / "around.txt").write_text(TEXTS["around.txt"].replace("March. Ships", "March.\r\nShips"), newline="")
    (citation,) = check(of(answer, "around.txt")).citations
    assert (citation.state, citation.found is not None) == ("changed", True)


def test_a_source_that_cannot_be_read_any_more(papers):
    folder, answer = papers
    (folder / "pages.pdf").write_bytes(b"%PDF-1.4\nbroken")
    assert {citation.state for citation in check(of(answer, "pages.pdf")).citations} == {"unreadable"}


def test_a_record_that_moved_is_found(papers):
    folder, answer = papers
    (folder / "feed.jsonl").write_text('{"text": "New."}\n{"text": "Buoys are painted in April."}\n')
    (citation,) = check(of(answer, "feed.jsonl#1")).citations
    assert citation.state == "changed"
    assert citation.found.document == "feed.jsonl#2"


def test_against_the_snapshot(asked):
    _, engine, answer = asked
    assert engine.verify(answer).holds
    for changes, state in (
        ({"start": 1}, "forged"),
        ({"sha256": "0" * 64}, "forged"),
        ({"id": "x"}, "forged"),
        ({"title": "A forged title"}, "forged"),
        ({"section": "Chapter 9"}, "forged"),
        ({"source": "court/other.txt"}, "forged"),
        ({"page_unit": "slide"}, "forged"),
        ({"document": "nowhere.txt"}, "forged"),
        ({"document": "inside.txt"}, "forged"),
    ):
        assert engine.verify(of(answer, "kept.txt", **changes)).citations[0].state == state


def test_against_another_snapshot(asked):
    """What is not in the served snapshot may have been in the one that answered."""
    _, engine, answer = asked
    answer = msgspec.structs.replace(answer, snapshot="0" * 16)
    for changes, state in (
        ({}, "holds"),
        ({"start": 1}, "forged"),
        ({"sha256": "0" * 64}, "changed"),
        ({"document": "nowhere.txt"}, "gone"),
    ):
        assert engine.verify(of(answer, "kept.txt", **changes)).citations[0].state == state


def test_an_answer_without_passages_holds(asked):
    _, engine, answer = asked
    assert engine.verify(msgspec.structs.replace(answer, passages=[])).holds


@pytest.mark.parametrize("source", ["../../etc", "/dev/zero", "x" * 300, "a\0b", "/etc"])
def test_odd_sources_are_gone(papers, source):
    _, answer = papers
    (citation,) = check(of(answer, "kept.txt", source=source)).citations
    assert citation.state == "gone"
