import codecs
import hashlib
import json
import os
import subprocess
from itertools import pairwise

import pypdfium2
import pytest
from support.files import docx, epub, odt, pdf, png, pptx, xlsx, zipped

from rag_qa.ingest.chunker import Chunker
from rag_qa.ingest.parsers.dispatch import parse_file
from rag_qa.ingest.sources import find_sources
from rag_qa.settings import IndexSettings


def read_all(path, **settings):
    """What became of the one file."""
    sources = find_sources([path], max_file_mb=100)
    (file,) = sources.files
    return parse_file(file, IndexSettings(**settings))


def read(path, **settings):
    result = read_all(path, **settings)
    assert result.reason is None
    (document,) = result.documents
    return document


def test_utf8_text_is_the_files_own_content(tmp_path):
    content = "\n\n  Title\r\n\r\n\tIndented, naïve 😀 text\rold line end\n\n\n"
    path = tmp_path / "a.txt"
    path.write_bytes(content.encode())
    document = read(path)
    assert document.text == content
    assert document.sha256 == hashlib.sha256(content.encode()).hexdigest()
    assert document.metadata["encoding"] == "utf-8"
    assert document.characters == len(content)


def test_seeds_are_read_unchanged(root):
    sources = find_sources([root / "seeds"], max_file_mb=1)
    assert not sources.failed
    assert [file.path for file in sources.files] == sorted(path.name for path in (root / "seeds").iterdir())
    for file in sources.files:
        (document,) = parse_file(file, IndexSettings()).documents
        assert document.text.encode() == file.location.read_bytes()


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
    ],
)
def test_byte_order_mark_is_not_counted(tmp_path, mark, encoding):
    (tmp_path / "a.txt").write_bytes(mark + "Prüfung bestanden".encode(encoding))
    document = read(tmp_path / "a.txt")
    assert document.text == "Prüfung bestanden"
    assert document.metadata["encoding"] == encoding
    assert "encoding_guessed" not in document.metadata


def test_other_encodings_are_guessed_and_the_guess_is_recorded(tmp_path):
    text = "Der Prüfbericht über die Straßenverkehrsbehörde erschien im März. Größere Mängel gäbe es nicht. " * 5
    (tmp_path / "a.txt").write_bytes(text.encode("cp1252"))
    document = read(tmp_path / "a.txt")
    assert document.text == text
    assert document.metadata["encoding_guessed"] is True
    assert document.metadata["encoding"]


def test_utf16_without_a_mark_is_recognised(tmp_path):
    (tmp_path / "a.txt").write_bytes("The harbour opens in March.".encode("utf-16-le"))
    assert read(tmp_path / "a.txt").text == "The harbour opens in March."


def scan(width=1, height=1, gray=b"\0") -> bytes:
    """A PDF with one page that shows an image."""
    image = (
        f"<< /Type /XObject /Subtype /Image /Width {width} /Height {height} /ColorSpace /DeviceGray "
        f"/BitsPerComponent 8 /Length {len(gray)} >>\nstream\n{gray.decode('latin-1')}\nendstream"
    )
    return pdf([""], resources="/XObject << /Im 6 0 R >>", extra=[image], drawing="q 612 0 0 792 0 0 cm /Im Do Q")


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


def test_pdf_has_pages(tmp_path):
    (tmp_path / "a.pdf").write_bytes(pdf(["The first page speaks of harbours.", "", "The third page speaks of ships."]))
    document = read(tmp_path / "a.pdf")
    assert len(document.pages) == 3
    assert document.text[document.pages[2] :].startswith("The third page")
    assert document.parser.startswith("kreuzberg/")
    assert "\ue000" not in document.text


def test_a_pdf_under_another_name_is_read_as_one(tmp_path):
    (tmp_path / "report").write_bytes(pdf(["The first page speaks of harbours."]))
    assert read(tmp_path / "report").metadata["format"] == "pdf"


def test_slides_are_pages_and_blank_ones_count(tmp_path):
    (tmp_path / "a.pptx").write_bytes(pptx(["The harbour opens.", "", "Ships pay a fee."]))
    document = read(tmp_path / "a.pptx")
    assert document.page_unit == "slide"
    assert len(document.pages) == 3
    assert document.text[document.pages[2] :] == "Ships pay a fee."
    assert document.title == "Harbour plan"
    assert document.metadata["authors"] == ["Anna Berg"]
    assert document.metadata["date"] == "2024-05-17T09:00:00+00:00"


ANSWERS = [
    ["Question", "Answer"],
    ["When does the harbour open?", "It opens in March, when the ice is gone and the pilots are back at work."],
    ["Who pays?", "Every ship pays a fee of ten crowns for each night that it stays in the port."],
]


def test_sheets_are_pages_and_rows_of_texts_are_passages(tmp_path, encoder):
    (tmp_path / "a.xlsx").write_bytes(xlsx({"Fees": [["Ship", "Fee"], ["Boat", "10"]], "Rules": ANSWERS}))
    document = read(tmp_path / "a.xlsx")
    assert document.page_unit == "sheet"
    passages = Chunker(encoder.tokenizer, encoder.room, IndexSettings()).chunk(document)
    assert [passage.page for passage in passages] == [1, 2, 2]
    assert passages[0].section == "Fees"
    assert passages[2].text.startswith("Who pays?\tEvery ship")
    assert "Question Answer" in passages[2].context
    assert passages[2].section == "Rules"


def test_csv_is_the_files_own_text_with_rows_as_passages(tmp_path, encoder):
    rows = [",".join(f'"{cell}"' for cell in row) for row in ANSWERS]
    text = "\r\n".join(rows).replace("in March, when", "in March,\nwhen") + "\r\n"
    (tmp_path / "a.csv").write_text(text, newline="")
    document = read(tmp_path / "a.csv")
    assert document.text == text
    assert document.metadata["rows"] == 3
    passages = Chunker(encoder.tokenizer, encoder.room, IndexSettings()).chunk(document)
    assert [passage.line for passage in passages] == [1, 4]
    assert passages[0].text.startswith('"Question","Answer"')
    assert "Question" in passages[1].context


def test_a_table_of_numbers_is_cut_like_text(tmp_path):
    (tmp_path / "a.csv").write_text("ship;fee\n" + "boat;10\n" * 50)
    document = read(tmp_path / "a.csv")
    assert document.breaks == ()
    assert [heading.title for heading in document.headings] == ["ship;fee"]


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


PAGE = """<html lang="en"><head><title>Harbour news</title><meta name="author" content="Anna Berg">
<meta property="article:published_time" content="2024-05-17"><link rel="canonical" href="https://example.org/fees">
</head><body><nav><ul><li><a href="/">Home</a></li><li><a href="/contact">Contact us</a></li></ul></nav>
<article><h1>Harbour news</h1><p>From May on every ship pays a fee of ten crowns for each night in the port.</p>
<h2>Exceptions</h2><p>Boats of less than five metres pay nothing, as long as they leave before noon.</p></article>
<footer><p>All rights reserved. Cookie settings.</p></footer></body></html>"""


def test_html_is_its_main_content(tmp_path):
    (tmp_path / "a.html").write_text(PAGE)
    document = read(tmp_path / "a.html")
    assert document.title == "Harbour news"
    assert "ten crowns" in document.text
    assert "Boats of less than five metres" in document.text
    assert "Contact us" not in document.text
    assert "Cookie" not in document.text
    assert [heading.title for heading in document.headings] == ["Harbour news", "Exceptions"]
    said = {name: document.metadata[name] for name in ("authors", "date", "language", "url", "format")}
    assert said == {
        "authors": ["Anna Berg"],
        "date": "2024-05-17",
        "language": "en",
        "url": "https://example.org/fees",
        "format": "html",
    }


def test_html_without_a_main_content_is_read_whole(tmp_path):
    (tmp_path / "a.html").write_text("<html><body><nav>Home port</nav></body></html>")
    assert "Home port" in read(tmp_path / "a.html").text


def test_markdown_headings_and_title(tmp_path):
    (tmp_path / "a.md").write_text("# Harbour\n\nOpen.\n\nFees\n----\n\nShips pay.\n\n```\n# no heading\n```\n")
    document = read(tmp_path / "a.md")
    assert document.title == "Harbour"
    assert [(heading.level, heading.title) for heading in document.headings] == [(1, "Harbour"), (2, "Fees")]
    assert document.text[document.headings[1].start :].startswith("Fees\n----")


def test_front_matter_is_text_and_metadata(tmp_path):
    text = "---\ntitle: Rules\ndate: 2024-05-17\nauthor: Anna Berg\nclient: ACME\n---\n# Fishing\n\nIt is forbidden.\n"
    (tmp_path / "a.md").write_text(text)
    document = read(tmp_path / "a.md")
    assert document.text == text
    assert document.title == "Rules"
    assert document.metadata["date"] == "2024-05-17"
    assert document.metadata["authors"] == ["Anna Berg"]
    assert document.metadata["client"] == "ACME"
    assert [heading.title for heading in document.headings] == ["Fishing"]


@pytest.mark.parametrize(
    "front",
    [
        "---\n: [\n---\n",
        "---\njust a line\n---\n",
        "---\n",
        "---\na: &a [*a]\n---\n",
        "---\na: !!int ''\n---\n",
        "---\na: !!bool foo\n---\n",
        "---\na: !!timestamp foo\n---\n",
        "---\na: !!python/object/apply:os.getcwd []\n---\n",
        "---\na: " + "[" * 5000 + "\n---\n",
    ],
)
def test_a_rule_is_no_front_matter(tmp_path, front):
    (tmp_path / "a.md").write_text(f"{front}\nFishing is forbidden.\n")
    assert read(tmp_path / "a.md").text == f"{front}\nFishing is forbidden.\n"


def test_front_matter_of_any_kind_has_one_plain_form(tmp_path):
    deep = "[" * 40 + "]" * 40
    lines = [f"deep: {deep}", "set: !!set {b, a, c}", f"big: 0x{'f' * 5000}", "nan: .nan", "format: report", "1: one"]
    (tmp_path / "a.md").write_text("\n".join(["---", *lines, "---", "# Rules"]))
    document = read(tmp_path / "a.md")
    said = document.metadata
    assert said["set"] == ["a", "b", "c"]
    assert said["big"].startswith("0xfff")
    assert (said["nan"], said["format"], said["1"]) == ("nan", "markdown", "one")
    assert json.dumps(said["deep"]).count("[") < 20
    assert "…" in json.dumps(said["deep"], ensure_ascii=False)


def test_each_record_of_a_feed_is_a_document(tmp_path):
    lines = [
        '{"title": "Fees", "text": "Ships pay ten crowns.", "published": "2024-05-17", "url": "https://example.org/1"}',
        "",
        '{"headline": "Season", "body": "The harbour opens in March.", "client": "ACME", "big": 99999999999999999999}',
        "broken",
        '{"title": "nothing"}',
        '{"text": "half a pair: \\ud800"}',
    ]
    (tmp_path / "feed.jsonl").write_text("\n".join(lines))
    result = read_all(tmp_path / "feed.jsonl")
    assert [document.path for document in result.documents] == ["feed.jsonl#1", "feed.jsonl#3", "feed.jsonl#6"]
    first, second, third = result.documents
    assert (first.title, first.text, first.record, first.file) == ("Fees", "Ships pay ten crowns.", 1, "feed.jsonl")
    assert (first.metadata["date"], first.metadata["url"]) == ("2024-05-17", "https://example.org/1")
    assert second.title == "Season"
    assert second.metadata["client"] == "ACME"
    assert second.metadata["big"] == "99999999999999999999"
    assert third.text == "half a pair: \ufffd"
    assert [failed.path for failed in result.broken] == ["feed.jsonl#4", "feed.jsonl#5"]
    assert "no JSON" in result.broken[0].reason


def test_a_json_file_of_records_is_a_feed_and_another_is_text(tmp_path):
    (tmp_path / "feed.json").write_text('{"version": "1", "items": [{"title": "Fees", "content_text": "Ships pay."}]}')
    assert read(tmp_path / "feed.json").path == "feed.json#1"
    (tmp_path / "other.json").write_text('{"fee": 10, "harbours": [{"name": "North"}]}')
    other = read(tmp_path / "other.json")
    assert (other.path, other.record, other.metadata["format"]) == ("other.json", None, "json")
    assert other.text == '{"fee": 10, "harbours": [{"name": "North"}]}'


def test_only_what_is_used_loses_its_name(tmp_path):
    record = {"text": "Ships pay.", "title": "Fees", "subject": "law", "created": "20240517", "updated": "2025"}
    (tmp_path / "a.json").write_text(json.dumps({**record, "data": [1, 2]}))
    document = read(tmp_path / "a.json")
    assert (document.title, document.metadata["date"]) == ("Fees", "2024-05-17")
    kept = {name: document.metadata[name] for name in ("subject", "updated", "data")}
    assert kept == {"subject": "law", "updated": "2025", "data": [1, 2]}


def test_a_feed_that_breaks_in_full_is_no_text(tmp_path):
    (tmp_path / "a.jsonl").write_text('broken\n{"title": "x"}\n')
    assert read_all(tmp_path / "a.jsonl").reason.startswith("none of its lines is a record with a text (the line is no")
    (tmp_path / "b.jsonl").write_text('{"text": "Ships pay."}\r{"text": "na\\u00efve"}\r')
    assert [document.record for document in read_all(tmp_path / "b.jsonl").documents] == [1, 2]
    (tmp_path / "c.json").write_text("[]")
    assert read_all(tmp_path / "c.json").reason == "no text found in it"


def test_the_fields_of_a_feed_by_setting(tmp_path):
    record = {"content": "wrong", "abschnitt": "Ships pay.", "kopf": "Fees", "tag": "17 May 2024", "ort": "https://a.b"}
    (tmp_path / "a.json").write_text(json.dumps([record]))
    names = {"feed_text": "abschnitt", "feed_title": "kopf", "feed_date": "tag", "feed_url": "ort"}
    document = read(tmp_path / "a.json", **names)
    assert (document.text, document.title, document.metadata["url"]) == ("Ships pay.", "Fees", "https://a.b")
    assert document.metadata["date_as_given"] == "17 May 2024"
    reason = read_all(tmp_path / "a.json", feed_text="nothing").reason
    assert reason == "no record has text in the field “nothing”, which feed_text names"


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


def test_a_pdf_of_many_pages(tmp_path):
    (tmp_path / "a.pdf").write_bytes(pdf([f"This is page number {number}." for number in range(1, 501)]))
    document = read(tmp_path / "a.pdf")
    assert len(document.pages) == 500
    for number, (start, end) in enumerate(pairwise([*document.pages, len(document.text)]), start=1):
        assert document.text[start:end].strip() == f"This is page number {number}."


def test_a_docx_that_unpacks_to_too_much_is_refused(tmp_path):
    bomb = zipped({"word/document.xml": b"<w:t>" + b"A" * 120_000_000, "[Content_Types].xml": "<Types/>"})
    assert len(bomb) < 1_000_000
    (tmp_path / "a.docx").write_bytes(bomb)
    assert read_all(tmp_path / "a.docx").reason.startswith("too much is packed in it")


@pytest.mark.skipif(
    subprocess.run(["sh", "-c", "command -v tesseract"], capture_output=True, check=False).returncode != 0,
    reason="Tesseract is not installed",
)
def test_ocr_where_tesseract_is_installed(tmp_path):
    """A page is made to a picture, and read again."""
    picture = pypdfium2.PdfDocument(pdf(["Ships pay ten crowns."]))[0].render(scale=2, grayscale=True).to_numpy()
    height, width = picture.shape[:2]
    (tmp_path / "a.png").write_bytes(png(width, height, picture.tobytes()))
    assert read(tmp_path / "a.png", ocr=True).text.strip() == "Ships pay ten crowns."
    (tmp_path / "a.pdf").write_bytes(scan(width, height, picture.tobytes()))
    document = read(tmp_path / "a.pdf", ocr=True)
    assert document.text.strip() == "Ships pay ten crowns."
    assert len(document.pages) == 1
