"""Files of questions: each line that is not blank is a JSON object with a question and, where wanted, its options."""

from codecs import BOM_UTF8
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, Struct, UnsetType

from rag_qa.errors import BatchError, QuestionError
from rag_qa.filters import Filters
from rag_qa.schemas import json_decoder

if TYPE_CHECKING:
    from rag_qa.engine import Engine

__all__ = ["BatchOptions", "BatchQuestion", "check_questions", "read_questions"]

EXAMPLE = '{"question": "When does the lease end?"}'


class BatchOptions(Struct, frozen=True):
    """Options of all questions whose lines do not give their own."""

    k: int = 5
    max_tokens: int | None = None
    filters: Filters | None = None


class BatchQuestion(BatchOptions, frozen=True, kw_only=True):
    """A question with its options."""

    line: int
    """1-based line in the file of questions."""
    question: str
    id: str | UnsetType


class _Line(Struct, frozen=True, forbid_unknown_fields=True):
    """A line of a file of questions; null means no budget and no filters, whatever the options are."""

    question: str
    k: int | UnsetType = UNSET
    max_tokens: int | UnsetType | None = UNSET
    filters: Filters | UnsetType | None = UNSET
    id: str | UnsetType = UNSET


_LINES = json_decoder(_Line)


def read_questions(data: bytes, name: str, options: BatchOptions) -> list[BatchQuestion]:
    """Parses the questions of a file, in order; blank lines are skipped.

    Args:
        data: the file's bytes.
        name: the file's name, for messages.
        options: values for lines that do not give their own.

    Raises:
        BatchError: a line is no question, or there is none; the message names the line.
    """
    questions = []
    for number, line in enumerate(data.removeprefix(BOM_UTF8).split(b"\n"), start=1):
        if not line.strip():
            continue
        where = f"{name}, line {number}"
        try:
            given = _LINES.decode(line.decode())
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
    """Raises an error if a question or the options cannot be used.

    Raises:
        QuestionError: the options cannot be used.
        BatchError: a question cannot be asked; the message names its line.
    """
    engine.check_options(options.k, options.max_tokens, options.filters)
    for each in questions:
        try:
            engine.check(each.question, each.k, each.max_tokens, each.filters)
        except QuestionError as error:
            raise BatchError(f"{name}, line {each.line}: {error}") from None
