"""Text and Markdown, whose text is the file's own."""

import codecs
import hashlib
import json

import pytest
from support.parsing import read


def test_utf8_text_is_the_files_own_content(tmp_path):
    content = "\n\n  Title\r\n\r\n\tIndented, naïve 😀 text\rold line end\n\n\n"
    path = tmp_path / "a.txt"
    path.write_bytes(content.encode())
    document = read(path)
    assert document.text == content
    assert document.sha256 == hashlib.sha256(content.encode()).hexdigest()
    assert document.metadata["encoding"] == "utf-8"
    assert document.characters == len(content)


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
