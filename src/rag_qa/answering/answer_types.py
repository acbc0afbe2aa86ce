"""The type of answer that a question asks for, by its words, and whether a sentence holds one. English only.

A coarse form of the answer types of Li and Roth, "Learning Question Classifiers" (2002), by rules.
"""

import re
from enum import Enum

__all__ = ["AnswerType", "answer_type", "holds_answer"]


class AnswerType(Enum):
    """Types of answers."""

    EMAIL = "an e-mail address"
    NUMBER = "a number"
    DATE = "a date"
    NAME = "the name of a person, place or organisation"
    REASON = "a reason"
    OTHER = "anything else"


MONTHS = "january|february|march|april|may|june|july|august|september|october|november|december"
NUMBERS = (
    "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty|fifty|hundred|thousand|million"
    "|billion|dozen|half|twice|first|second|third|percent"
)
# The first pattern that a question matches gives its type.
QUESTION_PATTERNS = (
    (AnswerType.EMAIL, r"\be-?mail\b"),
    (
        AnswerType.NUMBER,
        r"\bhow (?:many|much|old|large|big|far|high|tall|often|long)\b|\bage\b|\b(?:what|which) (?:percentage|number"
        r"|amount|proportion|share|rate)\b|\bwhat (?:was|is|were|are) the (?:total|net|number|value|amount|percentage"
        r"|revenue)\b",
    ),
    (AnswerType.DATE, r"\bwhen\b|\b(?:what|which) (?:year|date|month|day|century|decade)\b"),
    (AnswerType.NAME, r"\b(?:who|whom|whose|where|which)\b|\bname of\b|\bcalled\b"),
    (
        AnswerType.NAME,
        r"\bwhat (?:company|organi[sz]ation|group|team|name|country|city|state|place|region|county|town|location)\b",
    ),
    (AnswerType.REASON, r"\bwhy\b|\bwhat (?:is|was|are|were) the (?:reason|cause)"),
)
PATTERNS = [(kind, re.compile(pattern, re.IGNORECASE)) for kind, pattern in QUESTION_PATTERNS]
ANSWER_PATTERNS = {
    AnswerType.EMAIL: re.compile(r"\S@\S+\.\S"),
    AnswerType.NUMBER: re.compile(rf"\d|\b(?:{NUMBERS})\b", re.IGNORECASE),
    AnswerType.DATE: re.compile(
        rf"\b(?:1\d{{3}}|20\d{{2}}|\d{{1,2}} (?:{MONTHS})|(?:{MONTHS})|today|yesterday|centur\w+"
        r"|\d+ (?:years?|months?|weeks?|days?) ago)\b",
        re.IGNORECASE,
    ),
    AnswerType.REASON: re.compile(
        r"\b(?:because|since|due to|so that|in order to|as a result|therefore|reasons?|deter\w*)\b"
        r"|\bto (?:protect|ensure|avoid|prevent)\b",
        re.IGNORECASE,
    ),
}
CAPITALISED = re.compile(r"(?<=\s)\W?[A-Z][\w’'-]+")
"""A capitalised word that does not begin a sentence."""


def answer_type(question: str) -> AnswerType:
    """The type of answer that a question asks for."""
    return next((kind for kind, pattern in PATTERNS if pattern.search(question)), AnswerType.OTHER)


def holds_answer(wanted: AnswerType, sentence: str, question: str) -> bool | None:
    """Returns whether a sentence holds an answer of a type; None where that is unknown.

    A name that the question has itself is no answer.
    """
    if wanted is AnswerType.OTHER:
        return None
    if wanted is not AnswerType.NAME:
        return ANSWER_PATTERNS[wanted].search(sentence) is not None
    known = question.casefold()
    return any(match[0].strip("“\"'(").casefold() not in known for match in CAPITALISED.finditer(sentence))
