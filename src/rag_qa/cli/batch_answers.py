"""Files of answers: a record for each question of a batch, in order, as JSON lines; a stopped run can be resumed."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from filelock import FileLock, Timeout
from msgspec import UNSET, Struct, UnsetType, json

from rag_qa.cli.batch_questions import BatchQuestion
from rag_qa.errors import BatchError, BusyError, InputError, write_errors
from rag_qa.files import sync
from rag_qa.schemas import json_decoder
from rag_qa.types import Answer

if TYPE_CHECKING:
    from rag_qa.engine import Engine

__all__ = ["Answered", "Answers", "Failed", "Record", "Tally", "ask_one", "check_output", "resume_answers"]

ANSWERS_STAY = "what was answered stays"


class _Numbered(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The beginning of every record: line and id of its question."""

    line: int
    id: str | UnsetType = UNSET


class Answered(_Numbered, frozen=True, kw_only=True):
    """The record of a question with its answer, which repeats the question."""

    answer: Answer

    @property
    def asked(self) -> str:
        """Text of the question."""
        return self.answer.question


class Failed(_Numbered, frozen=True, kw_only=True):
    """The record of a question that could not be answered."""

    question: str
    problem: str
    """The reason, one sentence."""

    @property
    def asked(self) -> str:
        """Text of the question."""
        return self.question


Record = Answered | Failed

_ANSWERED, _FAILED = json_decoder(Answered), json_decoder(Failed)


class Tally(Struct):
    """Counts of the records of a batch."""

    answered: int = 0
    absent: int = 0
    """Questions that the collection does not answer."""
    failed: int = 0
    """Questions that could not be answered."""
    first_failed: int = 0
    """Line of the first question that could not be answered; 0 where there is none."""
    last: int = 0
    """Line of the last question."""

    @property
    def done(self) -> int:
        """Number of all records."""
        return self.answered + self.absent + self.failed

    def add(self, record: Record) -> None:
        """Counts a record."""
        self.last = record.line
        if isinstance(record, Failed):
            self.failed += 1
            self.first_failed = self.first_failed or record.line
        elif record.answer.answered:
            self.answered += 1
        else:
            self.absent += 1


class Answers:
    """A file of answers that is open for appending."""

    def __init__(self, path: Path, file: FileIO, tally: Tally) -> None:
        self._path = path
        self._file = file
        self.tally = tally
        """Counts of the records that the file held when it was opened."""

    def write(self, record: Record) -> None:
        """Appends a record without a buffer, so that it survives when the process is killed.

        Raises:
            WriteError: the disk is full or fails.
        """
        left = memoryview(json.encode(record) + b"\n")
        with write_errors(f"“{self._path}”", OSError, left=ANSWERS_STAY):
            while left:
                left = left[self._file.write(left) :]


def check_output(path: Path, questions: Path | None) -> None:
    """Raises an error if answers cannot be written to a file.

    Args:
        path: the file, which need not exist.
        questions: the file of questions; None for standard input.

    Raises:
        BatchError: the path is no regular file, is that of the questions, or lies in no folder.
    """
    if not Path(os.path.realpath(path)).parent.is_dir():
        raise BatchError(f"The folder of “{path}” is not there: make it.")
    if path.exists() and not path.is_file():
        raise BatchError(f"“{path}” is no file that answers can be kept in: name another output.")
    if path.exists() and questions is not None and path.samefile(questions):
        raise BatchError(f"“{path}” holds the questions: name another output.")


def ask_one(question: BatchQuestion, engine: "Engine") -> Record:
    """Asks a question and returns its record; an InputError becomes a failed one."""
    try:
        answer = engine.ask(question.question, question.k, question.max_tokens, question.filters)
    except InputError as error:
        return Failed(line=question.line, id=question.id, question=question.question, problem=str(error))
    return Answered(line=question.line, id=question.id, answer=answer)


@contextmanager
def resume_answers(path: Path, questions: Sequence[BatchQuestion], snapshot: str) -> Iterator[Answers]:
    """Opens a file of answers, new or begun, for the one process that may write it; flushes it to the disk at the end.

    The lock is a file beside it that is never deleted, like the lock of an index.

    Args:
        path: the file; an incomplete last line, which a killed process leaves, is cut off.
        questions: all questions of the batch.
        snapshot: the id of the snapshot that answers.

    Raises:
        BatchError: the file does not hold answers to the first of these questions, or another snapshot gave them.
        BusyError: another process writes the file.
        WriteError: the disk is full or fails.
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
                with write_errors(f"“{path}”", OSError, left=ANSWERS_STAY):
                    os.fsync(file)
    finally:
        lock.release()


def _read_answers(path: Path, questions: Sequence[BatchQuestion], snapshot: str) -> tuple[Tally, int]:
    """Returns the counts of the complete records of a file, and their length in bytes."""
    tally, end = Tally(), 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if number > len(questions):
                raise BatchError(f"“{path}” goes on after the last question is answered: name another output.")
            question = questions[number - 1]
            if not line.endswith(b"\n"):
                if not _may_begin_record(line, question):
                    raise _foreign(path, number, question)
                break
            record = _read_record(line)
            if record is None or not _is_record_of(record, question):
                raise _foreign(path, number, question)
            if isinstance(record, Answered) and record.answer.snapshot != snapshot:
                raise BatchError(
                    f"“{path}” was begun with snapshot {record.answer.snapshot}, {snapshot} answers now: "
                    "name another output."
                )
            tally.add(record)
            end += len(line)
    return tally, end


def _read_record(line: bytes) -> Record | None:
    """Parses a complete line; None where it is no record."""
    for decoder in (_ANSWERED, _FAILED):
        with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return decoder.decode(line)
    return None


def _is_record_of(record: Record, question: BatchQuestion) -> bool:
    return (record.line, record.id, record.asked) == (question.line, question.id, question.question)


def _may_begin_record(line: bytes, question: BatchQuestion) -> bool:
    """Returns whether an incomplete line may be the beginning of the question's record."""
    numbers = json.encode(_Numbered(line=question.line, id=question.id)).removesuffix(b"}")
    asked = b'"question":' + json.encode(question.question)
    beginnings = (numbers + b',"answer":{' + asked, numbers + b"," + asked)
    return any(line[: len(beginning)] == beginning[: len(line)] for beginning in beginnings)


def _foreign(path: Path, number: int, question: BatchQuestion) -> BatchError:
    return BatchError(
        f"“{path}”, line {number}: this is no record of the question in line {question.line}: name another output."
    )
