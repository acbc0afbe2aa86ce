"""Files of questions: defaults, what a line may say itself, and what is said of a bad one."""

import pytest
from msgspec import UNSET

from rag_qa.cli.batch_questions import BatchOptions, BatchQuestion, read_questions
from rag_qa.errors import BatchError
from rag_qa.filters import Filters

OPTIONS = BatchOptions(7, 500, Filters(format="pdf"))


def test_a_line_has_the_options_that_it_does_not_give():
    data = (
        b'\xef\xbb\xbf{"question": "When?"}\n'
        b"\r\n"
        b'{"question": "Who?", "k": 2, "max_tokens": 9, "filters": {"language": "de"}, "id": "q"}\n'
        b'{"question": "Why?", "max_tokens": null, "filters": null}'
    )
    assert read_questions(data, "questions", OPTIONS) == [
        BatchQuestion(line=1, question="When?", k=7, max_tokens=500, filters=Filters(format="pdf"), id=UNSET),
        BatchQuestion(line=3, question="Who?", k=2, max_tokens=9, filters=Filters(language="de"), id="q"),
        BatchQuestion(line=4, question="Why?", k=7, max_tokens=None, filters=None, id=UNSET),
    ]


def test_a_question_may_hold_what_some_take_for_a_line_end():
    (question,) = read_questions('{"question": "a\u2028b\x85c"}'.encode(), "questions", OPTIONS)
    assert question.question == "a\u2028b\x85c"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"{", "questions, line 2: Input data was truncated: correct or delete it"),
        (b'{"question": 7}', r"questions, line 2: Expected `str`, got `int` - at `\$.question`: correct"),
        (b'{"k": 7}', "questions, line 2: .*missing required field `question`"),
        (b'{"question": "a", "K": 7}', "questions, line 2: .*unknown field `K`"),
        (b'{"question": "\xff"}', "questions, line 2: this is not UTF-8: save the file as such"),
        (b'{"question": ' + b"[" * 5000, "questions, line 2: "),
    ],
)
def test_a_bad_line_is_named(line, message):
    with pytest.raises(BatchError, match=message):
        read_questions(b'{"question": "a"}\n' + line, "questions", OPTIONS)


@pytest.mark.parametrize("data", [b"", b"\n \n", b"\xef\xbb\xbf"])
def test_a_file_without_a_question_says_what_to_write(data):
    with pytest.raises(BatchError, match="questions holds no question: write one a line, such as"):
        read_questions(data, "questions", OPTIONS)
