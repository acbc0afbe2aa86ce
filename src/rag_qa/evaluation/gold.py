"""Gold questions: evidence as quotes, so that they survive every change of chunking."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from rag_qa.engine import Engine
from rag_qa.errors import GoldError

__all__ = ["Evidence", "GoldQuestion", "Span", "load_gold", "locate"]


class Evidence(Struct, frozen=True, omit_defaults=True):
    """A quote that answers; the offsets are needed only where the quote occurs more than once."""

    document: str
    quote: str
    start: int | None = None
    end: int | None = None


class GoldQuestion(Struct, frozen=True, omit_defaults=True):
    """A question; its evidence items are alternatives, and all count towards recall."""

    id: str
    question: str
    answerable: bool
    evidence: tuple[Evidence, ...] = ()
    tags: tuple[str, ...] = ()


class Span(Struct, frozen=True):
    """Where a quote stands in the indexed text."""

    document: str
    start: int
    end: int

    def overlaps(self, document: str, start: int, end: int) -> bool:
        """Whether the stretch shares a character with this one."""
        return self.document == document and start < self.end and self.start < end


def load_gold(path: Path) -> list[GoldQuestion]:
    """Reads a gold file, one JSON object a line.

    Raises:
        GoldError: the file cannot be read, or a line is no gold question; the message names the line.
    """
    try:
        lines = path.read_text("utf-8").split("\n")  # a quote may hold what else str.splitlines takes for a line end
    except (OSError, UnicodeDecodeError) as error:
        raise GoldError(f"The gold file “{path}” cannot be read ({_cause(error)}): check the path.") from None
    questions: dict[str, GoldQuestion] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            question = msgspec.json.decode(line, type=GoldQuestion)
        except msgspec.DecodeError as error:
            raise GoldError(f"Line {number} of {path} is no gold question: {error}.") from None
        if question.id in questions:
            raise GoldError(f"Line {number} of {path} repeats the id “{question.id}”: ids must differ.")
        if question.answerable and not question.evidence:
            raise GoldError(f"Line {number} of {path}: an answerable question needs evidence.")
        questions[question.id] = question
    if not questions:
        raise GoldError(f"The gold file “{path}” holds no question.")
    return list(questions.values())


def locate(questions: Sequence[GoldQuestion], engine: Engine) -> dict[str, list[Span]]:
    """Where the evidence of each question stands in the indexed documents.

    Raises:
        GoldError: a document is not indexed, or a quote is not there once; the message names the question.
    """
    ids = {info.path: info.id for info, _ in engine.documents()}
    texts: dict[str, str] = {}
    spans: dict[str, list[Span]] = {}
    for question in questions:
        spans[question.id] = []
        for item in question.evidence:
            if item.document not in ids:
                raise GoldError(
                    f"Question {question.id} cites “{item.document}”, which is not in the index: "
                    "index the documents that the gold file is about."
                )
            if item.document not in texts:
                texts[item.document] = engine.document(ids[item.document]).text
            spans[question.id].append(_span(question.id, item, texts[item.document]))
    return spans


def _span(question_id: str, item: Evidence, text: str) -> Span:
    start = text.find(item.quote) if item.start is None else item.start
    if not item.quote or start < 0 or text[start : start + len(item.quote)] != item.quote:
        raise GoldError(
            f"A quote of question {question_id} does not stand in {item.document}"
            f"{'' if item.start is None else f' at {item.start}'}: “{item.quote[:80]}”."
        )
    if item.start is not None and item.end not in {None, start + len(item.quote)}:
        raise GoldError(
            f"A quote of question {question_id} has {len(item.quote)} characters, not as start and end say."
        )
    if item.start is None and text.find(item.quote, start + 1) >= 0:
        raise GoldError(
            f"A quote of question {question_id} stands more than once in {item.document}, so it needs a start: "
            f"“{item.quote[:80]}”."
        )
    return Span(item.document, start, start + len(item.quote))


def _cause(error: OSError | UnicodeDecodeError) -> str:
    return (error.strerror or "") if isinstance(error, OSError) else "it is not UTF-8"
