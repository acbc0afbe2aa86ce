import codecs
import hashlib
import os
from types import SimpleNamespace

import pytest
from files import docx, pdf

from rag_qa.errors import InputError, ReadError
from rag_qa.readers import find_files, read_document


def read(path):
    (file,), failed = find_files([path])
    assert not failed
    return read_document(file)


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
    files, failed = find_files([root / "seeds"])
    assert not failed
    assert [file.document for file in files] == sorted(path.name for path in (root / "seeds").iterdir())
    for file in files:
        assert read_document(file).text.encode() == file.location.read_bytes()


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


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("program.txt", b"\x7fELF\x02\x01\x01" + bytes(range(256)), "binary data"),
        ("noise.txt", bytes((i * 89 + 7) % 255 + 1 for i in range(4000)), "binary data"),
        ("odd.txt", codecs.BOM_UTF16_LE + b"\x00\xd8a", "begins as utf-16-le text but is not"),
        ("empty.txt", b"", "the file is empty"),
        ("blank.txt", b" \n\n", "the file is empty"),
        ("broken.pdf", b"%PDF-1.4\n%broken", "cannot be read as pdf"),
        ("broken.docx", b"PK\x03\x04 not a zip", "cannot be read as docx"),
    ],
)
def test_what_gives_no_text_says_why(tmp_path, name, data, reason):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ReadError, match=reason):
        read(tmp_path / name)


def test_pdf_has_pages(tmp_path):
    (tmp_path / "a.pdf").write_bytes(pdf(["The first page speaks of harbours.", "The second page speaks of ships."]))
    document = read(tmp_path / "a.pdf")
    assert len(document.pages) == 2
    assert document.text[document.pages[1] :].startswith("The second page")
    assert document.reader.startswith("kreuzberg/")


def test_pages_are_kept_where_they_differ_from_the_whole_in_hyphens_only(tmp_path, monkeypatch):
    import kreuzberg

    result = SimpleNamespace(
        content="self\xadpublishing is easy\n\nnext page",
        pages=[{"content": "self-publishing is easy"}, {"content": "next page"}],
        metadata={"title": None},
    )
    monkeypatch.setattr(kreuzberg, "extract_bytes_sync", lambda *_: result)
    (tmp_path / "a.pdf").write_bytes(b"%PDF")
    document = read(tmp_path / "a.pdf")
    assert document.text[document.pages[1] :] == "next page"
    result.pages = ({"content": "self-publishing"}, {"content": "next page"})
    document = read(tmp_path / "a.pdf")
    assert document.pages == ()
    assert document.text == result.content


def test_docx_and_html(tmp_path):
    (tmp_path / "a.docx").write_bytes(docx(["The harbour opens in March.", "Ships pay a fee."]))
    assert "Ships pay a fee." in read(tmp_path / "a.docx").text
    (tmp_path / "a.html").write_text(
        "<html><head><title>Harbour news</title></head><body><p>Ships pay a fee.</p></body></html>"
    )
    document = read(tmp_path / "a.html")
    assert document.title == "Harbour news"
    assert "Ships pay a fee." in document.text


def test_markdown_headings_and_title(tmp_path):
    (tmp_path / "a.md").write_text("# Harbour\n\nOpen.\n\nFees\n----\n\nShips pay.\n\n```\n# no heading\n```\n")
    document = read(tmp_path / "a.md")
    assert document.title == "Harbour"
    assert [(heading.level, heading.title) for heading in document.headings] == [(1, "Harbour"), (2, "Fees")]
    assert document.text[document.headings[1].start :].startswith("Fees\n----")


def test_files_without_a_known_suffix_are_text_if_they_are(tmp_path):
    (tmp_path / "README").write_text("Read me first.\nThen go on.")
    (tmp_path / "settings.cfg").write_text("[harbour]\nopen = yes\n")
    files, _ = find_files([tmp_path])
    assert [read_document(file).reader for file in files] == ["text/1", "text/1"]


def test_a_folder_is_walked_in_sorted_order_and_nothing_is_dropped(tmp_path):
    for name in ("b/2.txt", "b/1.txt", "a.txt", "c.txt", "B.txt"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_text("text")
    os.mkfifo(tmp_path / "in" / "pipe.txt")
    (tmp_path / "in" / "linked").symlink_to(tmp_path / "in" / "b")
    (tmp_path / "in" / "dangling.txt").symlink_to(tmp_path / "nowhere")
    files, failed = find_files([tmp_path / "in"])
    assert [file.document for file in files] == ["B.txt", "a.txt", "b/1.txt", "b/2.txt", "c.txt"]
    assert [file.path for file in failed] == ["dangling.txt", "linked", "pipe.txt"]
    assert "not a regular file" in failed[2].reason


def test_a_folder_that_cannot_be_listed_is_reported(tmp_path, monkeypatch):
    for name in ("in/a.txt", "in/closed/b.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("text")
    scandir = os.scandir

    def refuse(path):
        if os.fspath(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    files, failed = find_files([tmp_path / "in"])
    assert [file.document for file in files] == ["a.txt"]
    assert [(file.path, file.reason) for file in failed] == [("closed", "the folder cannot be read: Permission denied")]


def test_several_paths_are_told_apart_by_their_last_part(tmp_path):
    for name in ("x/in/a.txt", "y/out/a.txt", "z/in/a.txt"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("text")
    files, _ = find_files([tmp_path / "x/in", tmp_path / "y/out"])
    assert [file.document for file in files] == ["in/a.txt", "out/a.txt"]
    with pytest.raises(InputError, match="end in “in”"):
        find_files([tmp_path / "x/in", tmp_path / "z/in"])
    with pytest.raises(InputError, match="no file or folder"):
        find_files([tmp_path / "nowhere"])


def test_the_index_itself_is_left_out(tmp_path):
    (tmp_path / "a.txt").write_text("text")
    (tmp_path / "index").mkdir()
    (tmp_path / "index" / "current").write_text("x")
    files, failed = find_files([tmp_path], leave_out=tmp_path / "index")
    assert [file.document for file in files] == ["a.txt"]
    assert not failed


def test_a_name_that_is_not_utf8_is_shown_escaped(tmp_path):
    (tmp_path / os.fsdecode(b"caf\xe9.txt")).write_text("text")
    (file,), _ = find_files([tmp_path])
    assert file.document == "caf\\xe9.txt"
    assert read_document(file).text == "text"
