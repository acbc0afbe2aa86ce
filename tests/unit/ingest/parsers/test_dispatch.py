"""Files to documents: the parser of each, its sidecar, and why there is none."""

import codecs
import json
import os

import pytest
from support.files import docx, pdf, scan
from support.parsing import read, read_all

from rag_qa.ingest.parsers.dispatch import parse_file
from rag_qa.ingest.sources import find_sources
from rag_qa.settings import IndexSettings


def test_seeds_are_read_unchanged(root):
    sources = find_sources([root / "seeds"], max_file_mb=1)
    assert not sources.failed
    assert [file.path for file in sources.files] == sorted(path.name for path in (root / "seeds").iterdir())
    for file in sources.files:
        (document,) = parse_file(file, IndexSettings()).documents
        assert document.text.encode() == file.location.read_bytes()


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("program.txt", b"\x7fELF\x02\x01\x01" + bytes(range(256)), "binary data"),
        ("noise.txt", bytes((i * 89 + 7) % 255 + 1 for i in range(4000)), "binary data"),
        ("odd.txt", codecs.BOM_UTF16_LE + b"\x00\xd8a", "begins as utf-16-le text but is not"),
        ("blank.txt", b" \n\n", "no text: the file is empty"),
        ("broken.pdf", b"%PDF-1.4\n%broken", "damaged, truncated or no PDF: "),
        ("broken.docx", b"PK\x03\x04 not a zip", "damaged, truncated or no DOCX: "),
        ("encrypted.docx", b"\xd0\xcf\x11\xe0" + "EncryptedPackage".encode("utf-16-le"), "encrypted: "),
        ("scan.pdf", scan(), "no text: scanned images; OCR is off"),
        ("blank.pdf", pdf([""]), "no text: its pages are blank, drawings or empty forms"),
        ("photo.png", b"\x89PNG\r\n\x1a\n", "no text: an image; OCR is off"),
        ("all.zip", b"PK\x03\x04", "an archive: unpack it, and index the folder"),
        ("backup", b"PK\x03\x04" + bytes(9), "an archive: unpack it, and index the folder"),
        ("blank.docx", docx([""]), "no text found in it"),
    ],
)
def test_what_gives_no_text_says_why(tmp_path, name, data, reason):
    (tmp_path / name).write_bytes(data)
    assert read_all(tmp_path / name).reason.startswith(reason)


def test_a_reason_says_nothing_twice(tmp_path):
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.4\n%broken")
    parts = read_all(tmp_path / "a.pdf").reason.split(": ")
    assert len(set(parts)) == len(parts)


def test_a_pdf_under_another_name_is_read_as_one(tmp_path):
    (tmp_path / "report").write_bytes(pdf(["The first page speaks of harbours."]))
    assert read(tmp_path / "report").metadata["format"] == "pdf"


def test_files_without_a_known_suffix_are_text_if_they_are(tmp_path):
    (tmp_path / "README").write_text("Read me first.\nThen go on.")
    assert read(tmp_path / "README").parser == "text/2"


def test_a_file_that_changes_while_it_is_read_is_not_read_half(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    path.write_text("The harbour opens in March.")
    fstat = os.fstat

    def touched(descriptor):
        status = fstat(descriptor)
        with path.open("a") as other:
            other.write("!")
        return status

    monkeypatch.setattr(os, "fstat", touched)
    assert read_all(path).reason == "it changed while it was read: index again when it rests"


def test_a_sidecar_adds_and_overrides(tmp_path):
    (tmp_path / "a.txt").write_text("Title\nThe harbour opens in March.")
    said = {"title": "Season", "authors": "Anna Berg", "date": "2024-05", "language": "en-GB", "client": 7}
    said |= {"format": ["pdf"], "size": 1, "\ud800": {"\ud800": 1}}
    (tmp_path / "a.txt.meta.json").write_text(json.dumps(said))
    sources = find_sources([tmp_path], max_file_mb=1)
    assert sources.sidecars == ["a.txt.meta.json"]
    (file,) = sources.files
    (document,) = parse_file(file, IndexSettings()).documents
    assert document.title == "Season"
    assert document.metadata["authors"] == ["Anna Berg"]
    assert (document.metadata["date"], document.metadata["language"]) == ("2024-05", "en")
    assert document.metadata["client"] == 7
    assert (document.metadata["format"], document.metadata["size"]) == ("text", 33)


@pytest.mark.parametrize("content", ["not JSON", "[1]", "\ud800"])
def test_a_sidecar_that_is_no_json_is_told_and_costs_nothing_else(tmp_path, content):
    (tmp_path / "a.txt").write_text("The harbour opens in March.")
    (tmp_path / "a.txt.meta.json").write_bytes(content.encode("utf-8", "surrogatepass"))
    (file,) = find_sources([tmp_path], max_file_mb=1).files
    result = parse_file(file, IndexSettings())
    assert len(result.documents) == 1
    (failed,) = result.broken
    assert failed.path == "a.txt.meta.json"
    assert "read without it" in failed.reason


def test_a_language_is_told_from_the_text_where_the_file_says_none(tmp_path):
    (tmp_path / "a.txt").write_text("Der Hafen öffnet im März, und jedes Schiff zahlt eine Gebühr von zehn Kronen.")
    document = read(tmp_path / "a.txt")
    assert document.metadata["language"] == "de"
    assert document.metadata["language_guessed"] is True
