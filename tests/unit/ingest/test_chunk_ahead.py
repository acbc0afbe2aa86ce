"""Documents that are chunked ahead: all of them, in order, with their acronyms."""

import pytest
from msgspec import structs
from support.small_collections import make_document

from rag_qa.ingest.chunk_ahead import CHARACTERS_AHEAD, chunk_ahead, make_chunker
from rag_qa.settings import IndexSettings
from rag_qa.text.acronyms.mentions import find_mentions

TEXTS = [f"The Office for Port Fees (OPF) has text {number}." for number in range(20)]


@pytest.fixture
def chunker(encoder):
    return make_chunker(encoder, IndexSettings())


def documents(closed, count=20, **changes):
    try:
        for number, text in enumerate(TEXTS[:count]):
            yield structs.replace(make_document(f"{number}.txt", [[text]]).document, **changes)
    finally:
        closed.append(True)


def test_documents_come_in_order_as_the_chunker_cuts_them(chunker):
    closed = []
    found = list(chunk_ahead(documents(closed), chunker))
    assert [each.document.text for each in found] == TEXTS
    for each in found:
        assert list(each.passages) == list(chunker.chunk(each.document))
        assert each.mentions == find_mentions(each.document.text)
    assert closed == [True]


def test_long_documents_wait_for_one_another(chunker):
    taken = []

    def counted():
        for document in documents([], characters=CHARACTERS_AHEAD):
            taken.append(document)
            yield document

    ahead = [len(taken) - done for done, _ in enumerate(chunk_ahead(counted(), chunker))]
    assert len(ahead) == len(taken) == 20
    assert max(ahead) <= 2  # the one that is given, and the next


def test_what_is_abandoned_closes_the_documents(chunker):
    closed = []
    chunked = chunk_ahead(documents(closed), chunker)
    assert next(chunked).document.path == "0.txt"
    chunked.close()
    assert closed == [True]


def test_an_error_among_the_documents_is_raised(chunker):
    def broken():
        yield from documents([], count=2)
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        list(chunk_ahead(broken(), chunker))
