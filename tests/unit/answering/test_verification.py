"""Citations against documents that are at hand, and against files; no document is parsed here."""

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import json as msgspec_json
from msgspec import structs

from rag_qa.answering.citations import cite_span
from rag_qa.answering.verification import (
    SourceState,
    Unreadable,
    decode_answer,
    find_quote,
    locate_source,
    source_states,
    verify,
)
from rag_qa.errors import InputError
from rag_qa.types import Answer, Document, Heading, Highlight, RankedPassage, Scores, Timings, document_id

TEXT = "Notice\n\nThe harbour opens in March. Ships pay ten crowns.\n"
QUOTE = "The harbour opens in March."
START = TEXT.index(QUOTE)
END = START + len(QUOTE)


def document(text=TEXT, path="notice.txt", **changes):
    fields = {
        "id": document_id(path),
        "path": path,
        "title": "Notice",
        "source": f"papers/{path}",
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        "parser": "text/1",
        "characters": len(text),
        "headings": (Heading(0, 1, "Notice"),),
        "text": text,
    }
    return Document(**fields | changes)


def cited(of=None, start=START, end=END, /, **changes):
    """A passage that quotes a stretch of a document, with the whole of it marked."""
    of = of or document()
    passage = RankedPassage(
        rank=1, score=0.9, scores=Scores(0.9, 1.0), text=of.text[start:end], tokens=6,
        highlights=[Highlight(start, end, of.text[start:end])], citation=cite_span(of, start, end),
    )  # fmt: skip
    citation = {name: value for name, value in changes.items() if hasattr(passage.citation, name)}
    others = {name: value for name, value in changes.items() if name not in citation}
    return structs.replace(passage, citation=structs.replace(passage.citation, **citation), **others)


def answer(*passages):
    return Answer(
        question="When?", snapshot="0" * 16, answered=True, confidence=None, passages=list(passages), expansions=[],
        timings_ms=Timings(encode=0, dense=0, lexical=0, total=0),
    )  # fmt: skip


def checked(passage, *documents, **options):
    """What became of the only citation."""
    found = documents[0] if documents and isinstance(documents[0], Unreadable) else documents
    verification = verify(answer(passage), lambda _: found, **options)
    (citation,) = verification.citations
    assert verification.holds == (citation.state == "holds")
    return citation


def test_a_quote_that_stands_where_it_was_holds():
    assert checked(cited(), document()).state == "holds"
    assert verify(answer(), lambda _: ()).holds  # of none, all


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"start": START + 1}, f"its characters {START + 1} to {END} are not the quote"),
        ({"end": 9999}, f"it has no characters {START} to 9999"),
        ({"start": -5}, "it has no characters -5 to"),
        ({"line": 7}, f"the quote is in line 3, characters {START} to"),
        ({"page": 1}, "the quote is in line 3"),
        ({"text": "The harbour opens in May."}, "are not the quote"),
        ({"record": 1}, "it has no such record"),
        ({"section": "Chapter 9"}, "its section is “Notice”"),
        ({"id": "x"}, "its id is"),
        ({"document": "other.txt"}, "its document is “notice.txt”"),
        ({"source": "other.txt"}, "its source is “papers/notice.txt”"),
        ({"page_unit": "slide"}, "its page_unit is “None”"),
        ({"highlights": [Highlight(START, START + 3, "No!")]}, "a highlight is no part of the quote"),
        ({"highlights": [Highlight(0, 6, "Notice")]}, "a highlight is no part of the quote"),
    ],
)
def test_a_citation_that_says_what_the_source_does_not_is_forged(changes, words):
    found = checked(cited(**changes), document())
    assert found.state == "forged"
    assert words in found.detail


def test_only_the_snapshot_knows_the_title_and_that_nothing_can_have_changed():
    assert checked(cited(title="Another"), document()).state == "holds"
    assert checked(cited(title="Another"), document(), same_snapshot=True).state == "forged"
    assert checked(cited(sha256="0" * 64), document(), same_snapshot=True).state == "forged"
    assert checked(cited(), same_snapshot=True).detail == "The snapshot that answered has no such document."


def test_a_changed_source_says_where_the_quote_stands_now():
    now = "A new line.\n" + TEXT.replace("in March", "in\r\nMarch")
    found = checked(cited(), document(now))
    start = now.index("The harbour")
    assert found.detail == (
        f"The source has changed; the quote still occurs, in line 4, characters {start} to {start + len(QUOTE) + 1}."
    )
    assert (found.state, found.found.line, found.found.page) == ("changed", 4, None)
    gone = checked(cited(), document("Nothing."))
    assert (gone.state, gone.found) == ("changed", None)
    assert gone.detail == "The source has changed, and the quote does not occur in it any more."


def test_pages_are_told_where_there_are_any():
    paged = document(pages=(0, START))
    assert checked(cited(paged), paged).state == "holds"
    assert "the quote is on page 2" in checked(cited(paged, page=1), paged).detail


def test_a_record_that_moved_is_found_in_another():
    first, second = (
        document(text, f"feed.jsonl#{number}", record=number, source="feed.jsonl", sha256="new")
        for number, text in enumerate(["New.", TEXT], start=1)
    )
    found = checked(cited(document(TEXT, "feed.jsonl#1", record=1, source="feed.jsonl")), first, second)
    assert (found.state, found.found.document) == ("changed", "feed.jsonl#2")


def test_a_source_that_is_gone_or_cannot_be_read():
    assert checked(cited()).state == "gone"
    found = checked(cited(), Unreadable("encrypted"))
    assert (found.state, found.detail) == ("unreadable", "The source cannot be read now: encrypted.")


@given(st.integers(0, len(TEXT) - 1), st.integers(1, 30), st.text(alphabet="ab\n ", max_size=9))
def test_a_true_citation_holds_and_is_found_again_behind_other_text(start, length, before):
    end = min(len(TEXT), start + length)
    passage = cited(None, start, end)
    assert checked(passage, document()).state == "holds"
    if passage.text.strip():
        found = checked(passage, document(f"{before}!{TEXT}")).found
        assert " ".join(f"{before}!{TEXT}"[found.start : found.end].split()) == " ".join(passage.text.split())


def test_the_nearest_of_several_places_counts_in_the_first_document_that_has_the_quote():
    documents = [document("No."), document("fee, fee and fee", "b.txt"), document("fee", "c.txt")]
    found = find_quote("fee", 6, documents)
    assert (found.document, found.start, found.end, found.line) == ("b.txt", 5, 8, 1)
    assert find_quote("toll", 0, documents) is None


def test_a_source_is_looked_for_in_each_folder_in_turn(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "both.txt").touch()
    (tmp_path / "two" / "a.txt").touch()
    folders = [tmp_path / "one", tmp_path / "two"]
    assert locate_source("both.txt", folders) == tmp_path / "one" / "both.txt"
    assert locate_source("a.txt", folders) == tmp_path / "two" / "a.txt"
    for nowhere in ("b.txt", "", "x" * 300, "a\0b", "a.txt/b"):
        assert locate_source(nowhere, folders) is None


def test_sources_that_are_no_longer_what_was_indexed(tmp_path):
    for name in ("same.txt", "edited.txt"):
        (tmp_path / name).write_text(TEXT)
    passages = [
        cited(document(path=name, source=name)) for name in ("same.txt", "edited.txt", "gone.txt", "edited.txt")
    ]
    (tmp_path / "edited.txt").write_text("Another.")
    assert source_states(answer(*passages), [tmp_path]) == [
        SourceState("edited.txt", "changed"),
        SourceState("gone.txt", "gone"),
    ]


def test_an_answer_is_decoded_as_it_was_written():
    whole = answer(cited(), cited(rank=2))
    assert decode_answer(msgspec_json.encode(whole)) == whole


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b"\xff", b'{"x":' + b"[" * 100_000, json.dumps({"passages": 1}).encode()]
)
def test_what_is_no_answer(data):
    with pytest.raises(InputError, match="This is no answer of `rag-qa ask --json`"):
        decode_answer(data)
