"""A question prepared for search: its variants, each with its vector and its terms."""

import re
import time
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct, structs

from rag_qa.errors import QuestionError
from rag_qa.retrieval.halves import split_question
from rag_qa.retrieval.searcher import Searcher
from rag_qa.text.analysis import analyze
from rag_qa.types import Expansion

if TYPE_CHECKING:
    from numpy.typing import NDArray

ASKS_FOR_ALL = re.compile(r"\b(?:all|every|each|any other|list|enumerate|how (?:many|often))\b", re.IGNORECASE)

__all__ = ["Query", "QueryVariant", "check_question", "read_query"]

VARIANT_FACTOR = 0.75
"""Factor of the scores by a variant that was not asked, for a long form says more than its acronym and so comes nearer
to any passage that has it: docs/decisions/0015-acronyms.md."""


class QueryVariant(Struct, frozen=True):
    """One form of a question: as it was asked, or with acronyms and long forms exchanged."""

    text: str
    vector: "NDArray[np.float32]"
    """Unit length, of shape (d,)."""
    terms: Mapping[str, int]
    """Terms with how often each occurs, in order of appearance."""
    shares: Mapping[str, float]
    """Terms with their shares of the variant's weight: count times idf."""
    bm25_max: float
    """The largest BM25 score that a passage can have."""
    factor: float = 1.0
    """Factor of the scores by this variant."""


class Query(Struct, frozen=True):
    """A question in all its variants, the first as it was asked, with what was exchanged for the other."""

    question: str
    variants: tuple[QueryVariant, ...]
    expansions: tuple[Expansion, ...]
    encode_ms: float
    halves: tuple["Query", ...] = ()
    """The two questions that it asks; empty where it asks one."""

    @property
    def asks_for_all(self) -> bool:
        """Returns whether it asks for everything that there is, near copies among it."""
        return ASKS_FOR_ALL.search(self.question) is not None

    @property
    def vectors(self) -> "NDArray[np.float32]":
        """The vectors of the m variants, of shape (m, d)."""
        return np.stack([variant.vector for variant in self.variants])


def check_question(question: str, longest: int) -> None:
    """Checks that a question can be asked.

    Args:
        question: in words.
        longest: the most characters that it may have.

    Raises:
        QuestionError: it cannot be asked; the message says why.
    """
    if len(question) > longest:
        raise QuestionError(f"The question has {len(question)} characters, at most {longest} are read: shorten it.")
    if not question.strip():
        raise QuestionError("The question is empty: ask in words.")
    if "\0" in question or any("\ud800" <= character <= "\udfff" for character in question):
        raise QuestionError("The question holds a NUL or bytes that are no text: ask in words.")
    if not any(character.isalnum() for character in question):
        raise QuestionError("The question has no letter and no digit: ask in words.")


def read_query(question: str, searcher: Searcher) -> Query:
    """Reads a question, which `check_question` has let pass, and its halves, where it has two.

    Finds the variants of each, and encodes and analyses them.
    """
    halves = tuple(_read(half, searcher) for half in split_question(question))
    return structs.replace(_read(question, searcher), halves=halves)


def _read(question: str, searcher: Searcher) -> Query:
    started = time.perf_counter()
    other, expansions = _expanded(question, searcher)
    texts = tuple(dict.fromkeys((question, other)))
    vectors = searcher.encode(texts)
    terms = [Counter(analyze(text)) for text in texts]
    idf = searcher.index.idf({term for counts in terms for term in counts})
    variants: list[QueryVariant] = []
    for text, vector, counts in zip(texts, vectors, terms, strict=True):
        weights: Mapping[str, float] = {term: count * idf[term] for term, count in counts.items()}
        bm25_max = searcher.index.bm25_bound * sum(weights.values())
        if variants:
            weights = _reweighed(weights, variants[0].shares)
        total = sum(weights.values())
        shares = {term: weight / total for term, weight in weights.items()}
        factor = VARIANT_FACTOR if variants else 1.0
        variants.append(QueryVariant(text, vector, counts, shares, bm25_max, factor))
    return Query(question, tuple(variants), expansions, (time.perf_counter() - started) * 1000)


def _expanded(question: str, searcher: Searcher) -> tuple[str, tuple[Expansion, ...]]:
    """The question with acronyms and long forms exchanged, and which were."""
    if not searcher.settings.expand_acronyms:
        return question, ()
    other, replaced = searcher.lexicon.expand(question, searcher.encoder.is_word)
    return other, tuple(
        Expansion(term=term, expanded=expanded, document=pair.path, start=pair.start, end=pair.end)
        for term, expanded, pair in replaced
    )


def _reweighed(weights: Mapping[str, float], original: Mapping[str, float]) -> Mapping[str, float]:
    """Weights of a variant in which its new terms weigh together as much as the terms that they replace.

    Args:
        weights: of the variant's terms.
        original: the shares of the terms of the question as it was asked.
    """
    replaced = sum(share for term, share in original.items() if term not in weights)
    kept = [term for term in original if term in weights]
    new = sum(weight for term, weight in weights.items() if term not in original)
    if not (replaced and kept and new):
        return weights
    scale = sum(weights[term] for term in kept) / sum(original[term] for term in kept)
    return {term: weight if term in original else weight * replaced * scale / new for term, weight in weights.items()}
