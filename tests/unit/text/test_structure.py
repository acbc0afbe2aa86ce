from hypothesis import given
from hypothesis import strategies as st

from rag_qa.text.structure import line_starts, sentences, text_title


def split(text):
    return [text[start:end] for start, end in sentences(text)]


def test_sentences_end_at_full_stops_but_not_at_abbreviations():
    assert split("Dr. Smith left at 5 p.m. on Monday. He met Mr. Jones.") == [
        "Dr. Smith left at 5 p.m. on Monday.",
        "He met Mr. Jones.",
    ]


def test_sentences_within_quoted_speech_are_told_apart():
    assert split("She said: “We reject this. It must go.” He left the room.") == [
        "She said: “We reject this.",
        "It must go.”",
        "He left the room.",
    ]


def test_very_short_sentences_are_joined_to_a_neighbour():
    assert split("NOTICE\n\nTo all skippers here.\nThank you.") == ["NOTICE\n\nTo all skippers here.\nThank you."]
    assert split("Why? Because the tide turned. The end.") == ["Why? Because the tide turned. The end."]
    assert split("Yes.") == ["Yes."]
    assert split("We welcome it all. https://a.example/b\nThe report is clear.") == [
        "We welcome it all. https://a.example/b",
        "The report is clear.",
    ]


def test_a_hard_line_end_ends_a_sentence_a_wrapped_line_does_not():
    assert split("A title without a stop\nThe text begins. It goes on.") == [
        "A title without a stop",
        "The text begins.",
        "It goes on.",
    ]
    wrapped = (
        "The committee found that the harbour at\nPortsmouth had not been dredged for many years\nand asked for it."
    )
    assert split(wrapped) == [wrapped]
    assert split("The harbour at Portsmouth and its dredging, a report\n\nNothing was found.") == [
        "The harbour at Portsmouth and its dredging, a report",
        "Nothing was found.",
    ]


@given(st.text(alphabet=st.sampled_from("Ab .!?\n\r“”é😀-:1"), max_size=200))
def test_sentences_are_disjoint_ordered_and_leave_out_only_white_space(text):
    spans = sentences(text)
    position = 0
    for start, end in spans:
        assert position <= start < end
        assert not text[position:start].strip()
        assert text[start:end] == text[start:end].strip()
        position = end
    assert not text[position:].strip()


@given(st.text(alphabet=st.sampled_from("a\r\n"), max_size=60))
def test_line_starts_are_as_many_as_lines(text):
    lines = text.splitlines(keepends=True)
    expected = [sum(len(line) for line in lines[:i]) for i in range(len(lines))]
    if not text or text[-1] in "\r\n":
        expected.append(len(text))
    assert line_starts(text) == expected


def test_a_title_is_a_short_first_line_with_something_after_it():
    assert text_title("\n\n Notice to skippers \n\nThe harbour is closed.") == "Notice to skippers"
    assert text_title("One line only") is None
    assert text_title("x" * 200 + "\nmore") is None
