"""Many questions at once: reads and checks them, asks them, and goes on with answers that were begun.

A file of questions holds a JSON object a line, and so does one of answers: a record for each question, in their order.
"""

import os
from codecs import BOM_UTF8
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from filelock import FileLock, Timeout
from msgspec import UNSET, Struct, UnsetType, json

from rag_qa.errors import BatchError, BusyError, InputError, QuestionError, WriteError
from rag_qa.files import sync
from rag_qa.filters import Filters
from rag_qa.types import Answer

if TYPE_CHECKING:
    from rag_qa.engine import Engine

__all__ = [
    "Answers",
    "BatchOptions",
    "BatchQuestion",
    "Record",
    "Tally",
    "answers_to_go_on_with",
    "ask_one",
    "check_output",
    "check_questions",
    "read_questions",
]


class BatchOptions(Struct, frozen=True):
    """What a question is asked with, where its line does not say."""

    k: int = 5
    max_tokens: int | None = None
    filters: Filters | None = None


class BatchQuestion(BatchOptions, frozen=True, kw_only=True):
    """A question and all that it is asked with."""

    line: int
    """1-based line of the file of questions."""
    question: str
    id: str | UnsetType


class Record(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What became of a question: an answer, or why there is none."""

    line: int
    id: str | UnsetType = UNSET
    answer: Answer | UnsetType = UNSET
    question: str | UnsetType = UNSET
    """Only beside a problem: an answer holds its question."""
    problem: str | UnsetType = UNSET
    """One sentence."""

    def is_of(self, question: BatchQuestion) -> bool:
        """Whether it is whole, and this question's."""
        whole = (self.answer is UNSET) == (self.question is not UNSET) == (self.problem is not UNSET)
        asked = self.question if self.answer is UNSET else self.answer.question
        return whole and (self.line, self.id, asked) == (question.line, question.id, question.question)


class Tally(Struct):
    """How many questions came to what."""

    answered: int = 0
    absent: int = 0
    """Those that the collection does not answer."""
    failed: int = 0
    """Those that could not be answered."""
    first_failed: int = 0
    """The line of the first of them."""
    last: int = 0
    """The line of the last question."""

    @property
    def done(self) -> int:
        """How many there are of all."""
        return self.answered + self.absent + self.failed

    def add(self, record: Record) -> None:
        """Counts a record."""
        self.last = record.line
        if record.answer is UNSET:
            self.failed += 1
            self.first_failed = self.first_failed or record.line
        elif record.answer.answered:
            self.answered += 1
        else:
            self.absent += 1


class Answers:
    """A file of answers that is open for more."""

    def __init__(self, path: Path, file: FileIO, tally: Tally) -> None:
        self._path = path
        self._file = file
        self.tally = tally
        """What its records came to when it was opened."""

    def write(self, record: Record) -> None:
        """Adds a record; afterwards a process that is killed does not lose it.

        Raises:
            WriteError: the disk takes no more, or cannot be written to.
        """
        left = memoryview(json.encode(record) + b"\n")
        with _in_a_sentence(self._path):
            while left:
                left = left[self._file.write(left) :]


class _Line(Struct, frozen=True, forbid_unknown_fields=True):
    """A line of a file of questions; null is no budget and no filters, whatever the options are."""

    question: str
    k: int | UnsetType = UNSET
    max_tokens: int | UnsetType | None = UNSET
    filters: Filters | UnsetType | None = UNSET
    id: str | UnsetType = UNSET


def read_questions(data: bytes, name: str, options: BatchOptions) -> list[BatchQuestion]:
    """The questions of a file, in order; blank lines are let be.

    Args:
        data: the file's bytes.
        name: the file's name, for messages.
        options: what counts where a line has no value of its own.

    Raises:
        BatchError: a line is no question, or there is none; the message names it.
    """
    questions = []
    for number, line in enumerate(data.removeprefix(BOM_UTF8).split(b"\n"), start=1):
        if not line.strip():
            continue
        where = f"{name}, line {number}"
        try:
            given = _LINE.decode(line.decode())
        except UnicodeDecodeError:
            raise BatchError(f"{where}: this is not UTF-8: save the file as such.") from None
        except (msgspec.DecodeError, RecursionError) as error:
            raise BatchError(f"{where}: {error}: correct or delete it.") from None
        question = BatchQuestion(
            line=number,
            question=given.question,
            k=options.k if given.k is UNSET else given.k,
            max_tokens=options.max_tokens if given.max_tokens is UNSET else given.max_tokens,
            filters=options.filters if given.filters is UNSET else given.filters,
            id=given.id,
        )
        questions.append(question)
    if not questions:
        raise BatchError(f"{name} holds no question: write one a line, such as {EXAMPLE}.")
    return questions


def check_questions(questions: Sequence[BatchQuestion], name: str, options: BatchOptions, engine: "Engine") -> None:
    """Sees that questions can be asked.

    Raises:
        QuestionError: the options cannot be used.
        BatchError: one of the questions cannot be asked; the message names its line.
    """
    engine.check_options(options.k, options.max_tokens, options.filters)
    for each in questions:
        try:
            engine.check(each.question, each.k, each.max_tokens, each.filters)
        except QuestionError as error:
            raise BatchError(f"{name}, line {each.line}: {error}") from None


def check_output(path: Path, questions: Path | None) -> None:
    """Sees that answers can be written to a file.

    Args:
        path: the file, which need not be there.
        questions: the file that the questions are from.

    Raises:
        BatchError: it is no file, holds the questions, or has no folder.
    """
    if not Path(os.path.realpath(path)).parent.is_dir():
        raise BatchError(f"The folder of “{path}” is not there: make it.")
    if path.exists() and not path.is_file():
        raise BatchError(f"“{path}” is no file that answers can be kept in: name another output.")
    if path.exists() and questions is not None and path.samefile(questions):
        raise BatchError(f"“{path}” holds the questions: name another output.")


def ask_one(question: BatchQuestion, engine: "Engine") -> Record:
    """What became of a question."""
    try:
        answer = engine.ask(question.question, question.k, question.max_tokens, question.filters)
    except InputError as error:
        return Record(line=question.line, id=question.id, question=question.question, problem=str(error))
    return Record(line=question.line, id=question.id, answer=answer)


@contextmanager
def answers_to_go_on_with(path: Path, questions: Sequence[BatchQuestion], snapshot: str) -> Iterator[Answers]:
    """Opens a file of answers, made if it is missing, for the one process that writes it; on the disk when it closes.

    The lock is a file beside it that stays, as that of an index does.

    Args:
        path: the file; a last line that a killed process has not finished is cut off.
        questions: the whole batch.
        snapshot: the id of the one that answers.

    Raises:
        BatchError: what is there are not answers to the first of these questions, or another snapshot gave them.
        BusyError: another process writes it.
        WriteError: the disk takes no more, or cannot be written to.
    """
    real = Path(os.path.realpath(path))
    lock = FileLock(real.with_name(f".{real.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise BusyError(
            f"Another process is writing “{path}”: wait until it has finished, or name another output."
        ) from None
    try:
        is_new = not real.exists()
        tally, end = (Tally(), 0) if is_new else _read_answers(path, questions, snapshot)
        with real.open("ab", buffering=0) as file:
            file.truncate(end)
            if is_new:
                sync(real.parent)
            try:
                yield Answers(path, file, tally)
            finally:
                with _in_a_sentence(path):
                    os.fsync(file)
    finally:
        lock.release()


def _read_answers(path: Path, questions: Sequence[BatchQuestion], snapshot: str) -> tuple[Tally, int]:
    """What the whole records of a file came to, and how many bytes they are."""
    tally, end = Tally(), 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if number > len(questions):
                raise BatchError(f"“{path}” goes on after the last question is answered: name another output.")
            question = questions[number - 1]
            is_torn = not line.endswith(b"\n")
            record = None if is_torn else _record(line)
            is_ours = _may_be_of(question, line) if is_torn else record is not None and record.is_of(question)
            if not is_ours:
                raise BatchError(
                    f"“{path}”, line {number}: this is no record of the question in line {question.line}: "
                    "name another output."
                )
            if record is None:
                break
            if record.answer is not UNSET and record.answer.snapshot != snapshot:
                raise BatchError(
                    f"“{path}” was begun with snapshot {record.answer.snapshot}, {snapshot} answers now: "
                    "name another output."
                )
            tally.add(record)
            end += len(line)
    return tally, end


def _record(line: bytes) -> Record | None:
    try:
        return _RECORD.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _may_be_of(question: BatchQuestion, torn: bytes) -> bool:
    """Whether the beginning of a line may be that of a question's record."""
    begun = json.encode(Record(line=question.line, id=question.id)).removesuffix(b"}")
    asked = b'"question":' + json.encode(question.question)
    beginnings = (begun + b',"answer":{' + asked, begun + b"," + asked)
    return any(torn[: len(beginning)] == beginning[: len(torn)] for beginning in beginnings)


@contextmanager
def _in_a_sentence(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise WriteError(f"“{path}”", error, "what was answered stays") from None


EXAMPLE = '{"question": "When does the lease end?"}'
_LINE = json.Decoder(_Line)
_RECORD = json.Decoder(Record)
