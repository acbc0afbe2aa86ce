"""The terms of a text, by hand."""

from hypothesis import given
from hypothesis import strategies as st

from rag_qa.text.analysis import analyze, question_terms, stems


def test_stems_repeat_as_they_stand_there():
    assert stems("The harbours' fees: harbour FEES, 12 a year") == [
        "the", "harbour", "fee", "harbour", "fee", "12", "a", "year",
    ]  # fmt: skip


def test_terms_are_stems_without_stopwords_and_single_characters():
    assert analyze("What is the fee of x in the harbours, and the fee of 7 ships?") == ["fee", "harbour", "fee", "ship"]
    assert analyze("What is it?") == []


def test_a_word_of_forty_bytes_and_more_gives_no_term():
    assert stems("a" * 39) == ["a" * 39]
    assert stems("a" * 40) == []


@given(st.text())
def test_terms_are_a_part_of_the_stems_in_their_order(text):
    left = iter(stems(text))
    assert all(term in left for term in analyze(text))
    assert question_terms(analyze(text)) == analyze(text)
