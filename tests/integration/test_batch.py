"""Many questions on the command line, and going on with answers however they were stopped."""

import json
import resource
import signal
import subprocess
import sys
import time
from contextlib import nullcontext

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from rag_qa import Engine
from rag_qa.cli import batch as cli_batch
from rag_qa.cli.batch_answers import ask_one, resume_answers
from rag_qa.cli.batch_questions import BatchOptions, check_questions, read_questions
from rag_qa.errors import QuestionError
from rag_qa.filters import Filters

QUESTION = "what did HMICFRS recommend?"
ABSENT = "Who won the world cup of 1966?"
BATCH = [
    {"question": QUESTION, "id": "first"},
    {"question": ABSENT},
    {"question": "Who pays “ünïcode”?", "id": "ö", "max_tokens": 1},
    {"question": "what did the watchdogs say?", "k": 2, "filters": {"document": "001*"}},
    {"question": "what is secure reporting?", "k": 1},
]
# Asks so many questions, and is in the middle of the next one until it is killed.
HANGING = """
import threading
from rag_qa import Engine
ask, asked = Engine.ask, []
def ask_some(*given):
    asked.append(given)
    if len(asked) > 2:
        threading.Event().wait()
    return ask(*given)
Engine.ask = ask_some
from rag_qa.cli.commands import main
main()
"""


def lines(questions):
    return "".join(f"{json.dumps(question, ensure_ascii=False)}\n" for question in questions)


def records(text):
    """The records of an output, without how long it took."""
    found = [json.loads(line) for line in text.splitlines()]
    for record in found:
        record.get("answer", {}).pop("timings_ms", None)
    return found


@pytest.fixture
def opened_once(engine, monkeypatch):
    """Lets the command line take the index as it is open already."""
    monkeypatch.setattr(cli_batch, "open_engine", lambda _: nullcontext(engine))


@pytest.fixture
def batch(rag_qa_main, seeds_index, opened_once, monkeypatch, tmp_path):
    """Asks the questions of a file in an empty folder; gives its exit code and what it printed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "questions.jsonl").write_text(lines(BATCH), "utf-8")

    def batch(*options, file="questions.jsonl", typed=""):
        return rag_qa_main("ask", "--batch", file, "--index", seeds_index, *options, typed=typed)

    return batch


@pytest.fixture
def out(tmp_path):
    return tmp_path / "answers.jsonl"


@pytest.fixture
def whole(batch, out):
    """What the whole batch gives, on standard output."""
    code, printed, told = batch()
    assert code == 2
    assert told == "2 answered, 2 not in this collection.\n1 could not be answered, the first in line 3.\n"
    return printed


def test_answers_come_in_order_each_as_a_single_question_has_it(batch, engine, tmp_path):
    given = (
        "\ufeff"
        + lines([{"question": QUESTION, "id": "a", "k": 1}])
        + "\n \t\r\n"
        + lines(
            [
                {"question": QUESTION, "filters": {"document": "001*"}},
                {"question": ABSENT, "max_tokens": None, "filters": None},
            ]
        ).rstrip("\n")
    )
    (tmp_path / "questions.jsonl").write_text(given, "utf-8")
    code, printed, told = batch("-k", 3, "--max-tokens", 260, "--document", "004*")
    assert (code, told) == (0, "2 answered, 1 not in this collection.\n")
    found = records(printed)
    assert [list(record) for record in found] == [["line", "id", "answer"], ["line", "answer"], ["line", "answer"]]
    assert [record["line"] for record in found] == [1, 4, 5]
    single = [
        engine.ask(QUESTION, 1, 260, Filters(document="004*")),
        engine.ask(QUESTION, 3, 260, Filters(document="001*")),
        engine.ask(ABSENT, 3),
    ]

    assert [record["answer"] for record in found] == [without_timings(answer) for answer in single]


def without_timings(answer):
    fields = msgspec.to_builtins(answer)
    del fields["timings_ms"]
    return fields


def test_standard_input_and_output(batch, whole, tmp_path):
    for options in ([], ["--json"], ["--output", "-"]):
        code, printed, _ = batch(*options, file="-", typed=lines(BATCH))
        assert (code, records(printed)) == (2, records(whole))
    code, _, told = batch(file="-", typed="no\n")
    assert (code, told.split(":")[0]) == (2, "Standard input, line 1")
    assert [path.name for path in tmp_path.iterdir()] == ["questions.jsonl"]


def test_what_fails_only_when_it_is_asked_has_its_problem(batch, out, whole):
    record = json.loads(whole.splitlines()[2])
    problem = record.pop("problem")
    assert record == {"line": 3, "id": "ö", "question": BATCH[2]["question"]}
    assert problem.startswith("No passage fits into max_tokens 1: the shortest of the first 5 has")
    assert batch("--output", out)[0] == 2
    code, printed, told = batch("--output", out)  # it counts as done, and as failed
    assert (code, printed) == (2, "")
    assert told.splitlines()[0] == "Going on after line 5."
    assert "1 could not be answered, the first in line 3." in told
    assert records(out.read_text("utf-8")) == records(whole)


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (b'{"question": "\xff\xfe"}', "this is not UTF-8: save the file as such."),
        (b'{"question": "a"', "Input data was truncated: correct or delete it."),
        (b"what is it?", "JSON is malformed: invalid character (byte 0): correct or delete it."),
        (b'["what is it?"]', "Expected `object`, got `array`: correct or delete it."),
        (b"[" * 100_000, "Expected `object`, got `array`: correct or delete it."),
        (b'{"id": "a"}', "Object missing required field `question`: correct or delete it."),
        (b'{"question": "a", "colour": 1}', "Object contains unknown field `colour`: correct or delete it."),
        (b'{"question": "a", "k": "3"}', "Expected `int`, got `str` - at `$.k`: correct or delete it."),
        (b'{"question": "a", "id": 7}', "Expected `str`, got `int` - at `$.id`: correct or delete it."),
        (b'{"question": "a", "id": "\\ud800"}', "Input data was truncated: correct or delete it."),
        (b'{"question": " "}', "The question is empty: ask in words."),
        (b'{"question": "?"}', "The question has no letter and no digit: ask in words."),
        (
            b'{"question": "' + b"x" * 2001 + b'"}',
            "The question has 2001 characters, at most 2000 are read: shorten it.",
        ),
        (b'{"question": "a", "k": 0}', "k is 0: it must be from 1 to 100."),
        (b'{"question": "a", "max_tokens": 0}', "max_tokens is 0: it must be 1 or more."),
        (b'{"question": "a", "filters": {"colour": "red"}}', "unknown field `colour` - at `$.filters`: correct"),
        (b'{"question": "a", "filters": {"metadata": {"client": "A"}}}', "No document has the metadata field “client”"),
        (b'{"question": "a", "filters": {"date_from": "soon"}}', "date_from is “soon”: write a date such as"),
        (b'{"question": "a", "filters": {"document": "a****b"}}', "The glob “a****b” has more than 3 “*” in a part"),
    ],
)
def test_a_bad_line_is_one_sentence_before_anything_is_asked(batch, out, tmp_path, monkeypatch, second, message):
    (tmp_path / "questions.jsonl").write_bytes(lines(BATCH).encode() + b"\n" + second + b"\n")
    monkeypatch.setattr(Engine, "ask", lambda *_: pytest.fail("a question was asked"))
    code, printed, told = batch("--output", out)
    assert (code, printed) == (2, "")
    assert told.startswith("questions.jsonl, line 7: ")
    assert message in told
    assert len(told.splitlines()) == 1
    assert not out.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["what?", "--batch", "questions.jsonl"], "QUESTION asks one question and --batch those of a file"),
        (["what?", "--output", "answers.jsonl"], "--output is for the answers of --batch"),
        ([], "Missing argument QUESTION: give it, or a file of questions with --batch."),
        (["--batch", "none.jsonl"], "none.jsonl cannot be used: No such file or directory."),
        (["--batch", "empty.jsonl"], "empty.jsonl holds no question: write one a line, such as {"),
        (["--batch", "questions.jsonl", "-k", "0"], "k is 0: it must be from 1 to 100."),
        (["--batch", "questions.jsonl", "--metadata", "client=A"], "No document has the metadata field “client”"),
        (["--batch", "questions.jsonl", "--output", "questions.jsonl"], "“questions.jsonl” holds the questions"),
        (["--batch", "questions.jsonl", "--output", "link.jsonl"], "“link.jsonl” holds the questions"),
        (["--batch", "questions.jsonl", "--output", "none/a.jsonl"], "The folder of “none/a.jsonl” is not there"),
        (["--batch", "questions.jsonl", "--output", "."], "“.” is no file that answers can be kept in"),
        (["--batch", "questions.jsonl", "--output", "/dev/full"], "“/dev/full” is no file that answers can be kept in"),
    ],
)
def test_wrong_usage_is_exit_2_and_writes_nothing(batch, rag_qa_main, seeds_index, tmp_path, options, message):
    (tmp_path / "empty.jsonl").write_text("\n \n")
    (tmp_path / "link.jsonl").symlink_to("questions.jsonl")
    there = sorted(tmp_path.iterdir())
    code, printed, told = rag_qa_main("ask", *options, "--index", seeds_index)
    assert (code, printed) == (2, "")
    assert message in told.splitlines()[-1]
    assert sorted(tmp_path.iterdir()) == there
    assert (tmp_path / "questions.jsonl").read_text("utf-8") == lines(BATCH)


def test_each_answer_is_in_the_file_before_the_next_question(batch, out, monkeypatch):
    ask, seen = Engine.ask, []

    def seeing(*given):
        seen.append(out.read_bytes().count(b"\n"))
        return ask(*given)

    monkeypatch.setattr(Engine, "ask", seeing)
    batch("--output", out)
    assert seen == [0, 1, 2, 3, 4]


class Remembered:
    """Gives the answers that an engine gave, timings and all."""

    def __init__(self, engine):
        self._engine = engine
        self._answers = {}

    def ask(self, question, *options):
        if question not in self._answers:
            try:
                self._answers[question] = self._engine.ask(question, *options)
            except QuestionError as error:
                self._answers[question] = error
        if isinstance(self._answers[question], QuestionError):
            raise self._answers[question]
        return self._answers[question]


@pytest.fixture(scope="module")
def asked(engine, tmp_path_factory):
    """Asks the batch to a file, or goes on with it."""
    questions = read_questions(lines(BATCH).encode(), "questions.jsonl", BatchOptions(k=1))
    check_questions(questions, "questions.jsonl", BatchOptions(k=1), engine)
    remembered = Remembered(engine)

    def asked(path):
        with resume_answers(path, questions, engine.info.id) as answers:
            done = answers.tally.done
            for question in questions[done:]:
                answers.write(ask_one(question, remembered))
        return done

    path = tmp_path_factory.mktemp("asked") / "answers.jsonl"
    asked(path)
    return asked, path, path.read_bytes()


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_an_output_cut_anywhere_is_gone_on_with_to_the_same(asked, data):
    asked, path, whole = asked
    ends = [place for place, byte in enumerate(whole) if byte == ord("\n")]
    near = st.sampled_from([place + step for place in ends for step in (0, 1, 2) if place + step <= len(whole)])
    left = whole[: data.draw(near | st.integers(0, len(whole)))]
    path.write_bytes(left)
    assert asked(path) == left.count(b"\n")
    assert path.read_bytes() == whole


def test_a_batch_that_has_grown_is_gone_on_with(batch, out, tmp_path, whole):
    (tmp_path / "questions.jsonl").write_text(lines(BATCH[:2]), "utf-8")
    assert batch("--output", out)[0] == 0
    (tmp_path / "questions.jsonl").write_text(lines(BATCH), "utf-8")
    code, _, told = batch("--output", out)
    assert (code, told.splitlines()[0]) == (2, "Going on after line 2.")
    assert records(out.read_text("utf-8")) == records(whole)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda out: b"My notes.\n", "line 1: this is no record of the question in line 1: name another output."),
        (lambda out: b"My notes", "line 1: this is no record"),
        (lambda out: b'{"line": 1, "colour": "red"}\n', "line 1: this is no record"),
        (lambda out: b'{"line":1,"id":"first"}\n', "line 1: this is no record"),
        (lambda out: b'{"line":1,"id":"first","question":"other?","problem":', "line 1: this is no record"),
        (lambda out: out.replace(b'"id":"first"', b'"id":"other"'), "line 1: this is no record"),
        (lambda out: out.replace(b'"line":2', b'"line":3'), "line 2: this is no record of the question in line 2"),
        (lambda out: out.replace(b'"question":"Who', b'"question":"When'), "line 2: this is no record"),
        (lambda out: out[:-1] + b"{}\n", "line 2: this is no record of the question in line 2"),
        (lambda out: b"\n" + out, "line 1: this is no record"),
        (lambda out: out + b"more", "goes on after the last question is answered: name another output."),
        (lambda out: out.replace(b'"snapshot":"', b'"snapshot":"f'), "was begun with snapshot f"),
    ],
)
def test_a_file_that_is_not_this_batchs_is_left_alone(batch, out, tmp_path, change, message):
    (tmp_path / "questions.jsonl").write_text(lines(BATCH[:2]), "utf-8")
    batch("--output", out)
    changed = change(out.read_bytes())
    out.write_bytes(changed)
    code, printed, told = batch("--output", "answers.jsonl")
    assert (code, printed) == (2, "")
    assert told.startswith("“answers.jsonl”")
    assert message in told
    assert len(told.splitlines()) == 1
    assert out.read_bytes() == changed


def test_one_run_at_a_time_writes_an_output(batch, out, engine, tmp_path):
    (tmp_path / "link.jsonl").symlink_to(out.name)
    questions = read_questions(lines(BATCH).encode(), "", BatchOptions())
    with resume_answers(out, questions, engine.info.id):
        code, _, told = batch("--output", "link.jsonl")
        assert code == 2
        assert told == (
            "Another process is writing “link.jsonl”: wait until it has finished, or name another output.\n"
        )
        assert out.read_bytes() == b""
    assert batch("--output", "link.jsonl")[2].startswith("2 answered")


def test_a_killed_run_is_gone_on_with(batch, out, whole, seeds_index):
    arguments = ["ask", "--batch", "questions.jsonl", "--output", str(out), "--index", str(seeds_index)]
    process = subprocess.Popen([sys.executable, "-c", HANGING, *arguments])
    while not (out.exists() and out.read_bytes().count(b"\n") == 2) and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    again = subprocess.run([sys.executable, "-m", "rag_qa", *arguments], capture_output=True, timeout=60, check=False)
    assert (again.returncode, again.stdout) == (2, b"")
    assert again.stderr.decode().splitlines() == [
        "Going on after line 2.",
        "2 answered, 2 not in this collection.",
        "1 could not be answered, the first in line 3.",
    ]
    assert records(out.read_text("utf-8")) == records(whole)


def test_ctrl_c_keeps_what_was_answered(batch, out, whole, monkeypatch):
    ask = Engine.ask

    def interrupted(engine, question, *options):
        if question == BATCH[3]["question"]:
            raise KeyboardInterrupt
        return ask(engine, question, *options)

    with monkeypatch.context() as patch:
        patch.setattr(Engine, "ask", interrupted)
        code, _, told = batch("--output", out)
        assert (code, told) == (130, "\nStopped. Ask again with the same --output to go on.\n")
        code, printed, told = batch()
        assert (code, told) == (130, "\nStopped. With --output, asking again would go on from here.\n")
        assert records(printed) == records(out.read_text("utf-8")) == records(whole)[:3]
    assert batch("--output", out)[2].startswith("Going on after line 3.\n")
    assert records(out.read_text("utf-8")) == records(whole)


def test_a_disk_that_takes_no_more_is_a_sentence_and_loses_nothing(batch, out, whole):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = len(whole.splitlines()[0].encode()) + 100  # in the middle of the second record
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        code, _, told = batch("--output", "answers.jsonl")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (code, out.stat().st_size) == (2, size)
    assert told.startswith("“answers.jsonl” cannot be written (File too large): ")
    assert told.endswith("; what was answered stays.\n")
    assert len(told.splitlines()) == 1
    assert batch("--output", out)[2].startswith("Going on after line 1.\n")
    assert records(out.read_text("utf-8")) == records(whole)


def test_progress_is_shown_on_a_terminal_and_answers_are_not_in_it(batch, whole, monkeypatch):
    monkeypatch.setattr(Console, "is_terminal", True)
    code, printed, told = batch()
    assert (code, records(printed)) == (2, records(whole))
    assert "asking" in told
    assert "5/5" in told
