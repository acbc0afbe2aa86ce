"""Gold files: questions whose evidence is quotes, so that they stay valid whatever the chunking."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta, Struct

from rag_qa.errors import GoldError, QuestionError
from rag_qa.evaluation.results import Span
from rag_qa.retrieval.query import check_question
from rag_qa.schemas import json_decoder

if TYPE_CHECKING:
    from rag_qa.engine import Engine

__all__ = [
    "Evidence",
    "GoldProblem",
    "GoldQuestion",
    "check_gold",
    "load_gold",
    "locate",
    "read_gold",
    "starts_of",
]

SHOWN = 80  # characters of a quote in a message
STARTS_SHOWN = 5

Offset = Annotated[int, Meta(ge=0)]


class Evidence(Struct, frozen=True, omit_defaults=True):
    """A quote that answers; its offsets are needed only where the quote occurs more than once in the document."""

    document: str
    quote: str
    start: Offset | None = None
    end: Offset | None = None


class GoldQuestion(Struct, frozen=True, omit_defaults=True):
    """A question with its evidence: alternatives, all of which count towards recall.

    The evidence of a question that is not answerable quotes a part of the answer; no measure uses it.
    """

    id: str
    question: str
    answerable: bool
    evidence: tuple[Evidence, ...] = ()
    tags: tuple[str, ...] = ()


class GoldProblem(Struct, frozen=True):
    """A problem of a line of a gold file."""

    line: int
    question: str
    """Id of the question; empty where the line has none."""
    problem: str
    """The message, one sentence."""
    nearest: str = ""
    """Most similar text of the document, for a quote that is not in it."""


def read_gold(path: Path) -> list[GoldQuestion]:
    """Reads a gold file, one JSON object a line; it may hold no answerable question yet.

    Raises:
        GoldError: the file cannot be read, or a line is no gold question; the message names it.
    """
    questions = []
    for _, each in _lines(path):
        if isinstance(each, GoldProblem):
            raise GoldError(each.problem)
        questions.append(each)
    return questions


def load_gold(path: Path) -> list[GoldQuestion]:
    """Reads a gold file to measure with.

    Raises:
        GoldError: as `read_gold`, or none of the questions is answerable.
    """
    questions = read_gold(path)
    if problem := _unusable(path, questions):
        raise GoldError(problem)
    return questions


def locate(questions: Sequence[GoldQuestion], engine: "Engine") -> dict[str, list[Span]]:
    """Returns the spans of each question's evidence in the indexed documents, by question id.

    Raises:
        GoldError: a document is not indexed, or a quote is not in it exactly once; the message names the question.
    """
    texts = _Texts(engine)
    spans: dict[str, list[Span]] = {}
    for question in questions:
        spans[question.id] = []
        for item in question.evidence:
            span = _find_span(question.id, item, texts.get(item.document))
            if isinstance(span, str):
                raise GoldError(span)
            spans[question.id].append(span)
    return spans


def check_gold(path: Path, engine: "Engine") -> tuple[int, list[GoldProblem]]:
    """Returns the number of questions in a gold file, and all its problems; line 0 stands for the file as a whole.

    Raises:
        GoldError: the file cannot be read.
    """
    texts = _Texts(engine)
    questions, problems = list[GoldQuestion](), list[GoldProblem]()
    count = 0
    for number, each in _lines(path):
        if isinstance(each, GoldProblem):
            problems.append(each)
            count += not each.question  # where the problem has an id, the question follows and is counted then
            continue
        count += 1
        questions.append(each)
        try:
            check_question(each.question, engine.settings.max_question_characters)
        except QuestionError as error:
            problems.append(GoldProblem(number, each.id, f"Question {each.id} cannot be asked: {error}"))
        for item in each.evidence:
            text = texts.get(item.document)
            span = _find_span(each.id, item, text)
            if isinstance(span, str):
                nearest = _nearest(item.quote, text) if text and item.quote and item.quote not in text else ""
                problems.append(GoldProblem(number, each.id, span, nearest))
    if problem := _unusable(path, questions):
        problems.append(GoldProblem(0, "", problem))
    return count, problems


def starts_of(quote: str, text: str) -> list[int]:
    """Returns all offsets at which a quote occurs in a text."""
    starts, start = list[int](), text.find(quote) if quote else -1
    while start >= 0:
        starts.append(start)
        start = text.find(quote, start + 1)
    return starts


class _Texts:
    """Texts of indexed documents by path; keeps the last one for the next call."""

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine
        self._ids = {info.path: info.id for info, _ in engine.collection.documents()}
        self._held: tuple[str, str] | None = None

    def get(self, path: str) -> str | None:
        """Returns the text, or None for a document that is not indexed."""
        if path not in self._ids:
            return None
        if self._held is None or self._held[0] != path:
            self._held = path, self._engine.collection.document(self._ids[path]).text
        return self._held[1]


def _lines(path: Path) -> Iterator[tuple[int, GoldQuestion | GoldProblem]]:
    """Yields each line that is not blank, with its number: its problem, its question, or both in this order."""
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise GoldError(f"The gold file “{path}” cannot be read ({_cause(error)}).") from None
    known: dict[str, int] = {}
    # str.splitlines would also split at other characters, which a quote may hold.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"Line {number} of {path}"
        try:
            question = _QUESTIONS.decode(line)
        except (msgspec.DecodeError, RecursionError) as error:
            yield number, GoldProblem(number, "", f"{where} is no gold question: {error}.")
            continue
        problem = ""
        if not question.id or not any(character.isalnum() for character in question.question):
            problem = f"{where} has no id, or no words as its question."
            yield number, GoldProblem(number, "", problem)
            continue
        if question.id in known:
            problem = f"{where} repeats the id “{question.id}” of line {known[question.id]}: ids must differ."
        elif question.answerable and not question.evidence:
            problem = f"{where}: an answerable question needs evidence."
        if problem:
            yield number, GoldProblem(number, question.id, problem)
        known.setdefault(question.id, number)
        yield number, question


def _unusable(path: Path, questions: Sequence[GoldQuestion]) -> str:
    """Returns the reason why nothing can be measured with the questions; empty where something can."""
    if not questions:
        return f"The gold file “{path}” holds no question: add one (docs/evaluation.md says how)."
    if not any(question.answerable for question in questions):
        return (
            f"None of the {len(questions)} questions of {path} is answerable: add one with evidence, "
            "retrieval cannot be measured without."
        )
    return ""


def _find_span(question_id: str, item: Evidence, text: str | None) -> Span | str:
    """Returns the span of a quote, or a message about its problem."""
    quote = f"“{item.quote[:SHOWN]}{'…' if len(item.quote) > SHOWN else ''}”"
    if text is None:
        return (
            f"Question {question_id} cites “{item.document}”, which is not in the index: "
            "index the documents that the gold file is about."
        )
    starts = starts_of(item.quote, text) if item.start is None else [item.start]
    problem = ""
    if not starts or not item.quote.strip() or text[starts[0] : starts[0] + len(item.quote)] != item.quote:
        at = "" if item.start is None else f" at {item.start}"
        problem = f"does not stand in {item.document}{at}: {quote}"
    elif item.end not in {None, starts[0] + len(item.quote)}:
        problem = f"has {len(item.quote)} characters, not as start and end say"
    elif len(starts) > 1:
        shown = ", ".join(map(str, starts[:STARTS_SHOWN])) + (", …" if len(starts) > STARTS_SHOWN else "")
        problem = f"stands more than once in {item.document} (at {shown}), so it needs a start: {quote}"
    if problem:
        return f"A quote of question {question_id} {problem}."
    return Span(item.document, starts[0], starts[0] + len(item.quote), item.quote)


def _nearest(quote: str, text: str) -> str:
    """Returns the part of the text that is most similar to the quote (rapidfuzz's normalised indel similarity)."""
    from rapidfuzz.distance import Indel
    from rapidfuzz.fuzz import partial_ratio_alignment

    found = partial_ratio_alignment(quote, text)
    if found is None:
        return ""
    window = text[found.dest_start : found.dest_end]
    shared = [code for code in Indel.opcodes(quote, window) if code.tag == "equal"]
    return window[shared[0].dest_start : shared[-1].dest_end] if shared else ""


def _cause(error: OSError | UnicodeDecodeError) -> str:
    return f"{error.strerror}: check the path" if isinstance(error, OSError) else "it is not UTF-8: save it as such"


_QUESTIONS = json_decoder(GoldQuestion)
