"""A look into a collection in memory."""

import hashlib
from pathlib import Path

import pytest
from msgspec import structs
from support.memory_index import MemoryEngine
from support.small_collections import file_of, info, make_document, vectors_of, write

from rag_qa.answering.collection import CollectionView
from rag_qa.errors import NotFoundError
from rag_qa.settings import Settings
from rag_qa.types import FailedFile, IndexedFile

A = make_document("a.txt", [["The harbour opens."], ["Ships pay."]], language="en")
B = make_document("b.txt", [["The Office for Port Fees (OPF) acts."]], language="en")


@pytest.fixture
def view():
    engine = MemoryEngine(Path("nowhere"))
    write(engine, [A, B])
    return engine.open_index(CollectionView)


def test_documents_by_path_with_their_passages(view):
    assert view.documents() == [(A.document.info, 2), (B.document.info, 1)]
    assert view.documents(1, 1) == [(B.document.info, 1)]
    assert view.info(A.document.id) == (A.document.info, 2)
    assert view.document(B.document.id) == B.document
    assert view.passages(A.document.id) == list(A.passages)
    assert view.rows(B.document.id) == range(2, 3)
    assert view.facets() == {"format": [("text", 2)], "language": [("en", 2)]}
    assert [(pair.acronym, pair.long_form) for pair in view.acronyms] == [("OPF", "Office for Port Fees")]


def test_an_unknown_document_is_not_found(view):
    for read in (view.info, view.document, view.passages, view.rows, lambda name: view.reference(name, 0, 1)):
        with pytest.raises(NotFoundError, match="No document has the id “unknown”"):
            read("unknown")


def test_files_that_gave_no_document_are_listed_with_their_reason():
    engine = MemoryEngine(Path("nowhere"))
    failed = IndexedFile(path="c.pdf", source="c.pdf", reason="encrypted")
    with engine.open_writer(Settings(), lambda *_: None) as writer:
        writer.add([A], [vectors_of([A])])
        writer.commit([file_of(A), failed], info(writer, "0" * 16), 1)
    assert engine.open_index(CollectionView).failed() == [FailedFile("c.pdf", "encrypted")]


def test_a_span_as_a_reference(view):
    reference = view.reference(A.document.id, 4, 11)
    assert (reference.quote, reference.snapshot) == ("harbour", "0123456789abcdef")
    assert (reference.citation.document, reference.citation.start, reference.citation.end) == ("a.txt", 4, 11)
    assert reference.metadata == A.document.metadata


@pytest.mark.parametrize(("start", "end"), [(-1, 3), (3, 2), (0, 10**9), (3, 3)])
def test_a_span_that_is_none_is_not_found(view, start, end):
    with pytest.raises(NotFoundError, match=f"start .*{start}"):
        view.reference(A.document.id, start, end)


def test_the_file_of_a_document_while_it_is_what_was_indexed(view, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where the sources were named
    (tmp_path / "a.txt").write_text("The harbour.")
    described = structs.replace(A.document.info, sha256=hashlib.sha256(b"The harbour.").hexdigest())
    assert view.source_file(described).read_text() == "The harbour."
    for changed in (structs.replace(described, sha256="0" * 64), structs.replace(described, source="b.txt")):
        with pytest.raises(NotFoundError, match=r"The file of “a\.txt” is not there any more as it was indexed"):
            view.source_file(changed)
