"""Pages of a PDF."""

from itertools import pairwise

from support.files import pdf
from support.parsing import read


def test_pdf_has_pages(tmp_path):
    (tmp_path / "a.pdf").write_bytes(pdf(["The first page speaks of harbours.", "", "The third page speaks of ships."]))
    document = read(tmp_path / "a.pdf")
    assert len(document.pages) == 3
    assert document.text[document.pages[2] :].startswith("The third page")
    assert document.parser.startswith("kreuzberg/")
    assert "\ue000" not in document.text


def test_a_pdf_of_many_pages(tmp_path):
    (tmp_path / "a.pdf").write_bytes(pdf([f"This is page number {number}." for number in range(1, 501)]))
    document = read(tmp_path / "a.pdf")
    assert len(document.pages) == 500
    for number, (start, end) in enumerate(pairwise([*document.pages, len(document.text)]), start=1):
        assert document.text[start:end].strip() == f"This is page number {number}."
