"""Questions that can be asked, and those that cannot."""

import pytest

from rag_qa.errors import QuestionError
from rag_qa.retrieval.query import check_question


@pytest.mark.parametrize("question", ["Who?", "7", "中", "a" * 20])
def test_a_letter_or_a_digit_makes_a_question(question):
    check_question(question, 20)


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ("a" * 21, "has 21 characters, at most 20 are read: shorten it"),
        ("", "is empty"),
        (" \t\n", "is empty"),
        ("who\0?", "NUL or bytes that are no text"),
        ("who \udcff?", "NUL or bytes that are no text"),
        ("?!…", "no letter and no digit"),
    ],
)
def test_a_question_that_cannot_be_asked_is_refused_with_the_reason(question, message):
    with pytest.raises(QuestionError, match=message):
        check_question(question, 20)
