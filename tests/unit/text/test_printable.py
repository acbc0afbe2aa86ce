"""What a document may print."""

from hypothesis import given
from hypothesis import strategies as st

from rag_qa.text.printable import in_line, printable


def test_escape_sequences_are_not_obeyed():
    assert printable("a\x1b[31mred\x07\x9b1m\tb\nc") == "a[31mred1m\tb\nc"


def test_a_name_stays_one_line_in_one_direction():
    assert in_line("a\r\nerror: b\u2028c\u202etxt.exe\u2066d") == "a error: b c txt.exe d"


@given(st.text())
def test_no_control_character_is_left(text):
    assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in in_line(text))
    assert {character for character in printable(text) if ord(character) < 32} <= {"\n", "\t"}
    assert len(in_line(text).splitlines()) <= 1
