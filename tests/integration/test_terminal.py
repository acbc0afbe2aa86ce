import io

import msgspec
import pytest
from rich.console import Console
from support.indexes import build

from rag_qa import Engine
from rag_qa.cli.terminal import show_answer, show_index_report


def shown(show, *arguments, colours=None, **options):
    console = Console(
        file=io.StringIO(), width=100, force_terminal=bool(colours), color_system=colours, highlight=False
    )
    show(*arguments, console, **options)
    return console.file.getvalue()


def test_escape_sequences_in_documents_and_names_do_not_reach_the_terminal(with_encoder, tmp_path):
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "a\x1b[2J.txt").write_text("The harbour \x1b]0;title\x07 opens \x1b[2J\x9b2J in March.")
    (tmp_path / "papers" / "b\x1b[2J.txt").write_bytes(b"\0")
    (tmp_path / "papers" / "c\nfailed    d\u202e.txt").write_text("Ships pay.")
    report = build([tmp_path / "papers"], with_encoder())
    with Engine.open(tmp_path / "fresh") as engine:
        out = shown(show_answer, engine.ask("When does the harbour open?"))
    out += shown(show_index_report, report, listed=True)
    assert "in March" in out
    assert "added     a[2J.txt" in out
    assert "added     c failed    d .txt" in out
    assert "failed    b[2J.txt: binary data" in out
    assert not [character for character in out if ord(character) < 32 and character != "\n"]
    assert "\x9b" not in out


def test_marks_are_stars_without_colours_and_colours_with(engine):
    answer = engine.ask("what did HMICFRS recommend?", k=1)
    mark = answer.passages[0].highlights[0].text.split()[0]
    assert f"**{mark}" in shown(show_answer, answer)
    coloured = shown(show_answer, answer, colours="standard")
    assert "**" not in coloured
    assert f"\x1b[1;33m{mark}" in coloured


def test_the_line_at_the_top_is_that_of_the_quote(engine, root):
    answer = engine.ask("what did HMICFRS recommend?", k=1)
    place = shown(show_answer, answer).split("— ")[1].splitlines()[0]
    number = int(place.rsplit("line ", 1)[1].split()[0])
    quote = answer.passages[0].highlights[0].text.splitlines()[0]
    lines = (root / answer.passages[0].citation.source).read_text().splitlines()
    assert quote in lines[number - 1]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"page": 3, "page_unit": "slide"}, ", slide 3  score"),
        ({"record": 7}, ", record 7  score"),
        ({"line": 9, "section": "Fees › Boats"}, ", line 9, in “Fees › Boats”  score"),
        ({"page": 2, "page_unit": "page", "section": "x" * 10 + " y" * 80}, ", page 2, in “xxxxxxxxxx y"),
    ],
)
def test_where_a_passage_stands(engine, changes, words):
    answer = engine.ask("what did the watchdogs recommend?", k=1)
    (passage,) = answer.passages
    citation = msgspec.structs.replace(passage.citation, **changes)
    answer = msgspec.structs.replace(answer, passages=[msgspec.structs.replace(passage, citation=citation)])
    assert words in " ".join(shown(show_answer, answer).split("\n\n")[1].split(" ")).replace("\n", " ")
