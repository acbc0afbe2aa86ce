"""Words that spell an acronym, nearest first."""

import re

import pytest

from rag_qa.text.acronyms.initials import SMALL_WORDS, is_among, spelled_by


def words(text):
    """The words before an acronym, nearest first, each in its hyphenated parts."""
    return [list(re.finditer(r"[^\W_]+|&", word)) for word in reversed(text.split())]


@pytest.mark.parametrize(
    ("text", "letters", "count"),
    [
        ("the Office for National Statistics", "ONS", 4),  # a small word may give none
        ("the Department of Health", "DOH", 3),  # or its own
        ("tumour necrosis factor alpha", "TNF", 0),  # the nearest word has to give a letter
        ("tumour necrosis factor", "TNF", 3),
        ("the cardiovascular disease", "CVD", 2),  # an element begins within a word
        ("bone marrow-derived mesenchymal cell", "BMDMC", 4),
        ("tumour necrosis factor-alpha", "TNFalpha", 3),
        ("an unrelated phrase", "XYZ", 0),
        ("", "A", 0),
    ],
)
def test_the_fewest_words_that_spell_the_letters(text, letters, count):
    assert spelled_by(words(text), letters) == count


def test_small_words_have_no_hyphen():
    (small,), (joined,) = words("Of"), words("of-and")
    assert is_among(SMALL_WORDS, small)
    assert not is_among(SMALL_WORDS, joined)
