"""Quotes are found wherever they stand, whatever white space has become of."""

from hypothesis import given
from hypothesis import strategies as st

from rag_qa.text.quotes import nearest

TEXTS = st.text(st.sampled_from("ab \n\t\u00a0"), max_size=60)


def test_the_nearest_of_several():
    text = "a fee, a fee and a fee"
    assert nearest(text, "a fee", 0) == (0, 5)
    assert nearest(text, "a fee", 9) == (7, 12)
    assert nearest(text, "a fee", 900) == (17, 22)
    assert nearest(text, "a toll", 0) is None
    assert nearest(text, " \n", 0) is None


def test_other_white_space():
    assert nearest("The  fee\n is\u00a0due. The fee", "fee is due.", 0) == (5, 17)
    assert nearest("x The\tfee", "The\r\nfee", 0) == (2, 9)


@given(TEXTS, st.integers(0, 60), st.integers(0, 20), st.integers(0, 60))
def test_a_slice_is_found(text, start, length, near):
    quote = text[start : start + length]
    found = nearest(text, quote, near)
    if not quote.strip():
        assert found is None
        return
    assert text[slice(*found)] == quote
    assert abs(found[0] - near) <= max(abs(start - near), len(quote) + abs(start - near))


@given(TEXTS, st.integers(0, 60), st.integers(0, 20), st.sampled_from([" ", "\n", "\r\n", "  \t"]))
def test_a_slice_with_other_white_space_is_found(text, start, length, blank):
    quote = text[start : start + length]
    found = nearest(text, blank.join(quote.split()), start)
    assert (found is None) == (not quote.strip())
    if found:
        assert text[slice(*found)].split() == quote.split()
        assert text[slice(*found)] == text[slice(*found)].strip()
