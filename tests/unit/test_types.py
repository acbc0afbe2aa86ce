"""Records that pass between the stages."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from support.small_collections import make_document

from rag_qa.types import DocumentInfo, document_id

CHUNKED = make_document("feed.jsonl", [["One.", "Two."], ["Three."]], record=7, context="Port", client="ACME")


def test_a_document_without_its_text():
    info = CHUNKED.document.info
    assert type(info) is DocumentInfo
    assert (info.path, info.file, info.record) == ("feed.jsonl#7", "feed.jsonl", 7)
    assert structs.asdict(info).items() <= structs.asdict(CHUNKED.document).items()
    assert make_document("a#7", [["One."]]).document.file == "a#7"  # a whole file of that name


def test_a_passage_in_its_context_and_its_sentences():
    first, second = CHUNKED.passages
    assert (first.in_context, second.in_context) == ("Port\nOne. Two.", "Port\nThree.")
    assert structs.replace(first, context="").in_context == "One. Two."
    assert (first.sentence_texts, second.sentence_texts) == (["One.", "Two."], ["Three."])
    assert CHUNKED.document.text[second.start : second.end] == second.text
    assert CHUNKED.tokens == 3


def test_the_digest_depends_on_all_but_where_the_file_lies():
    document, digest = CHUNKED.document, CHUNKED.digest
    assert structs.replace(CHUNKED, document=structs.replace(document, source="elsewhere")).digest == digest
    for changed in ({"text": "Other."}, {"title": "Other"}, {"metadata": {}}, {"sha256": "ff"}, {"path": "b"}):
        assert structs.replace(CHUNKED, document=structs.replace(document, **changed)).digest != digest
    assert structs.replace(CHUNKED, passages=CHUNKED.passages[:1]).digest != digest


@given(st.text(), st.text())
def test_ids_are_short_fit_an_address_and_tell_paths_apart(one, other):
    assert len(document_id(one)) == 16
    assert set(document_id(one)) <= set("0123456789abcdef")
    assert (document_id(one) == document_id(other)) == (one == other)
