"""The reason why a question counts as not answered, in one sentence: what the nearest passages lack."""

import re
from collections.abc import Mapping, Sequence

from rag_qa.text.analysis import analyze
from rag_qa.types import Expansion, Part

__all__ = ["why_not"]

WORD = re.compile(r"\w+(?:[.,:/’'-]\w+)*")
NAMED = 3
"""Words of each kind that are named, at most."""


def why_not(
    question: str,
    shares: Mapping[str, float],
    passages: Sequence[str],
    expansions: Sequence[Expansion],
    parts: Sequence[Part],
) -> str:
    """Describes the lack that keeps the passages from answering.

    Args:
        question: as it was asked.
        shares: weights of its terms; of many words the weightiest are named.
        passages: texts of those that are shown, with their contexts.
        expansions: terms of the question that were also searched in another form, which counts as well.
        parts: its halves, if it has any.
    """
    if not passages:
        return "No document passes the filters."
    if unanswered := [part.question for part in parts if not part.answered]:
        return f"Nothing answers {' and '.join(f'“{half}”' for half in unanswered)}."
    held = {term for text in passages for term in analyze(text)}
    for each in expansions:
        if held.issuperset(analyze(each.expanded)):
            held.update(analyze(each.term))
    found: dict[str, float] = {}
    missing: dict[str, float] = {}
    for word in dict.fromkeys(WORD.findall(question)):
        terms = analyze(word)
        if terms:
            kind = found if held.issuperset(terms) else missing
            kind[word] = max(shares.get(term, 0.0) for term in terms)
    if not missing:
        return "The nearest passages have the words of the question, but do not seem to answer it."
    if not found:
        return f"No passage mentions {_listed(missing, 'or')}."
    return f"The nearest passages mention {_listed(found, 'and')}, but not {_listed(missing, 'or')}."


def _listed(words: Mapping[str, float], joint: str) -> str:
    """The weightiest words in quotation marks, in the order of the question, joined as in a sentence."""
    named = sorted(words, key=lambda word: -words[word])[:NAMED]
    *most, last = [f"“{word}”" for word in words if word in named]
    return f"{', '.join(most)} {joint} {last}" if most else last
