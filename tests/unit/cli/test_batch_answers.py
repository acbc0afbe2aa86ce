"""Files of answers that are begun, cut and gone on with."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from rag_qa.cli.batch_answers import Answered, Failed, Tally, ask_one, check_output, resume_answers
from rag_qa.cli.batch_questions import BatchQuestion
from rag_qa.errors import BatchError, BusyError, QuestionError
from rag_qa.types import Answer, Timings

QUESTIONS = [
    BatchQuestion(line=line, question=text, id=name)
    for line, text, name in ((1, "When?", UNSET), (3, "Who “là”?", "q3"), (4, "Why?", UNSET))
]


def answer(question, answered=True):
    return Answer(
        question=question, snapshot="s" * 16, answered=answered, confidence=None, passages=[], expansions=[],
        timings_ms=Timings(encode=0, dense=0, lexical=0, total=0),
    )  # fmt: skip


RECORDS = [
    Answered(line=1, answer=answer("When?")),
    Failed(line=3, id="q3", question="Who “là”?", problem="It is too long."),
    Answered(line=4, answer=answer("Why?", answered=False)),
]


def resume(path, questions=QUESTIONS, snapshot="s" * 16):
    return resume_answers(path, questions, snapshot)


@pytest.fixture
def whole(tmp_path):
    """A file of all answers."""
    with resume(tmp_path / "whole.jsonl") as answers:
        assert answers.tally == Tally()
        for record in RECORDS:
            answers.write(record)
    return tmp_path / "whole.jsonl"


def test_each_record_is_a_line_and_is_counted(whole):
    first, second, third = whole.read_bytes().splitlines(keepends=True)
    assert first.startswith(b'{"line":1,"answer":{"question":"When?"')
    assert second == '{"line":3,"id":"q3","question":"Who “là”?","problem":"It is too long."}\n'.encode()
    assert third.endswith(b"\n")
    with resume(whole) as answers:
        assert answers.tally == Tally(answered=1, absent=1, failed=1, first_failed=3, last=4)
        assert answers.tally.done == 3


@given(st.data())
def test_a_file_cut_anywhere_is_gone_on_with_to_the_same(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("cut")
    with resume(folder / "whole.jsonl") as answers:
        for record in RECORDS:
            answers.write(record)
    content = (folder / "whole.jsonl").read_bytes()
    cut = content[: data.draw(st.integers(0, len(content)))]
    (folder / "cut.jsonl").write_bytes(cut)
    with resume(folder / "cut.jsonl") as answers:
        assert answers.tally.done == cut.count(b"\n")
        for record in RECORDS[answers.tally.done :]:
            answers.write(record)
    assert (folder / "cut.jsonl").read_bytes() == content


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (b'"question":"When?"', b'"question":"Where?"', "line 1: this is no record of the question in line 1"),
        (b'"id":"q3",', b"", "line 2: this is no record of the question in line 3"),
        (b'{"line":4', b'{"line":5', "line 3: this is no record of the question in line 4"),
        (b"s" * 16, b"t" * 16, "was begun with snapshot t{16}, s{16} answers now"),
        (b'{"line":1', b"[", "line 1: this is no record"),
    ],
)
def test_a_file_of_something_else_is_left_alone(whole, before, after, message):
    content = whole.read_bytes().replace(before, after)
    whole.write_bytes(content)
    with pytest.raises(BatchError, match=message), resume(whole):
        raise AssertionError
    assert whole.read_bytes() == content


def test_a_beginning_of_something_else_and_what_goes_on_too_long_are_left_alone(whole):
    with pytest.raises(BatchError, match="goes on after the last question is answered"), resume(whole, QUESTIONS[:2]):
        raise AssertionError
    whole.write_bytes(b'{"line":1,"answer":{"question":"Whe?')
    with pytest.raises(BatchError, match="line 1: this is no record"), resume(whole):
        raise AssertionError


def test_one_process_writes_a_file(tmp_path):
    with resume(tmp_path / "a.jsonl"), pytest.raises(BusyError, match="Another process is writing"):  # noqa: SIM117
        with resume(tmp_path / "a.jsonl"):
            raise AssertionError


def test_where_answers_can_be_kept(tmp_path):
    questions = tmp_path / "questions.jsonl"
    questions.touch()
    check_output(tmp_path / "new.jsonl", questions)
    check_output(tmp_path / "new.jsonl", None)
    for path, message in (
        (tmp_path / "nowhere" / "a.jsonl", "The folder of .* is not there: make it"),
        (tmp_path, "is no file that answers can be kept in"),
        (questions, "holds the questions: name another output"),
    ):
        with pytest.raises(BatchError, match=message):
            check_output(path, questions)


class Asked:
    """An engine that answers one question."""

    def ask(self, question, k, max_tokens, filters):
        if question != "When?":
            raise QuestionError("It is too long.")
        assert (k, max_tokens, filters) == (5, None, None)
        return answer(question)


def test_a_question_that_cannot_be_asked_has_its_problem():
    assert [ask_one(question, Asked()) for question in QUESTIONS[:2]] == RECORDS[:2]
