"""Formats of offices, mail and books."""

from support.files import docx, epub, odt, pptx
from support.parsing import read

from rag_qa.ingest.chunker import Chunker
from rag_qa.settings import IndexSettings


def test_slides_are_pages_and_blank_ones_count(tmp_path):
    (tmp_path / "a.pptx").write_bytes(pptx(["The harbour opens.", "", "Ships pay a fee."]))
    document = read(tmp_path / "a.pptx")
    assert document.page_unit == "slide"
    assert len(document.pages) == 3
    assert document.text[document.pages[2] :] == "Ships pay a fee."
    assert document.title == "Harbour plan"
    assert document.metadata["authors"] == ["Anna Berg"]
    assert document.metadata["date"] == "2024-05-17T09:00:00+00:00"


def test_chapters_of_a_book(tmp_path, encoder):
    (tmp_path / "a.epub").write_bytes(epub({"Seasons": "The harbour opens in March.", "Fees": "Ships pay ten crowns."}))
    document = read(tmp_path / "a.epub")
    assert document.title == "The harbour book"
    assert document.metadata["authors"] == ["Anna Berg"]
    passages = Chunker(encoder.tokenizer, encoder.room, IndexSettings()).chunk(document)
    assert [passage.section for passage in passages] == ["Seasons", "Fees"]


def test_mail(tmp_path):
    (tmp_path / "a.eml").write_bytes(
        b"Subject: Harbour fees\r\nFrom: Anna Berg <anna@example.org>\r\nTo: x@example.org\r\n"
        b"Date: Fri, 17 May 2024 09:00:00 +0200\r\n\r\nShips pay a fee of ten crowns.\r\n"
    )
    document = read(tmp_path / "a.eml")
    assert document.title == "Harbour fees"
    assert document.metadata["date"] == "2024-05-17T09:00:00+02:00"
    assert "anna@example.org" in document.metadata["authors"][0]
    assert "Ships pay a fee of ten crowns." in document.text


def test_open_document_and_rich_text(tmp_path):
    (tmp_path / "a.odt").write_bytes(odt(["The harbour opens.", "Ships pay."]))
    (tmp_path / "a.rtf").write_bytes(rb"{\rtf1\ansi The harbour opens.\par Ships pay.}")
    assert read(tmp_path / "a.odt").text == read(tmp_path / "a.rtf").text == "The harbour opens.\n\nShips pay."


def test_docx_has_no_pages(tmp_path):
    (tmp_path / "a.docx").write_bytes(docx(["The harbour opens in March.", "Ships pay a fee."]))
    document = read(tmp_path / "a.docx")
    assert "Ships pay a fee." in document.text
    assert document.pages == ()
