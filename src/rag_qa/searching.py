"""A question to ranked candidates: each reading of it is searched by meaning and by words, and both are fused."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from rag_qa.corpus import Corpus
from rag_qa.encoder import QueryEncoder
from rag_qa.lexical import HIGHEST_TERM, analyze
from rag_qa.retrieval import Candidate, Weights, best_readings, fuse, order
from rag_qa.settings import Settings
from rag_qa.types import Expansion

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Ranking", "Reading", "Search"]

OTHER_FORM = 0.75
"""What a score counts that a passage has by a form of the question that was not asked: docs/decisions/0015-acronyms.md.
A long form says more than its acronym, and so comes nearer to any passage that has it."""


class Reading(Struct, frozen=True):
    """A form of the question: as it was asked, or with acronyms and long forms exchanged."""

    text: str
    vector: "NDArray[np.float32]"
    weights: dict[str, float]
    """Its terms with their shares of its weight: how often they stand there, times their rarity."""
    highest: float
    """The largest BM25 score that a passage can have."""
    factor: float = 1.0
    """What a score by this form counts."""


class Ranking(Struct, frozen=True):
    """Candidates best first, the readings they were found by, and the milliseconds that took."""

    candidates: list[Candidate]
    readings: list[Reading]
    expansions: list[Expansion]
    encode_ms: float = 0.0
    dense_ms: float = 0.0
    lexical_ms: float = 0.0

    def reading(self, candidate: Candidate) -> Reading:
        """The reading by which a candidate has its score."""
        return self.readings[candidate.reading]


class Search:
    """Finds and ranks the passages of a snapshot; safe to share between threads."""

    def __init__(self, corpus: Corpus, encoder: QueryEncoder, settings: Settings) -> None:
        self._corpus = corpus
        self._encoder = encoder
        self._settings = settings
        self._weights = Weights.of(settings.dense_weight, coverage=settings.word_coverage)

    def rank(self, question: str, depth: int, allowed: "NDArray[np.bool_] | None" = None) -> Ranking:
        """All candidates for a question, best first, without their texts.

        Args:
            question: in words.
            depth: how many are taken from each search.
            allowed: for each row whether it may be found.
        """
        started = time.perf_counter()
        other, expansions = self._expanded(question)
        readings = self._readings(question, other)
        encoded = time.perf_counter()
        near = [self._near(reading, depth, allowed) for reading in readings]
        found = time.perf_counter()
        worded = [self._worded(reading, depth, allowed) for reading in readings]
        ended = time.perf_counter()
        rows = list(dict.fromkeys(row for found_rows in (*near, *worded) for row in found_rows))
        candidates = best_readings(
            self._fused(number, reading, rows, near[number], worded[number]) for number, reading in enumerate(readings)
        )
        return Ranking(
            order(candidates.values()),
            readings,
            expansions,
            encode_ms=(encoded - started) * 1000,
            dense_ms=(found - encoded) * 1000,
            lexical_ms=(ended - found) * 1000,
        )

    def _expanded(self, question: str) -> tuple[str, list[Expansion]]:
        """The question with acronyms and long forms exchanged, and which were."""
        if not self._settings.expand_acronyms:
            return question, []
        other, replaced = self._corpus.lexicon.expand(question, self._encoder.is_word)
        return other, [
            Expansion(term=term, expanded=expanded, document=pair.document, start=pair.start, end=pair.end)
            for term, expanded, pair in replaced
        ]

    def _readings(self, question: str, other: str) -> list[Reading]:
        """The question as it was asked, and its other form if that differs."""
        asked = self._reading(question, {})
        return [asked] if other == question else [asked, self._reading(other, asked.weights)]

    def _reading(self, text: str, asked: Mapping[str, float]) -> Reading:
        """A form of the question.

        Args:
            text: the form.
            asked: the shares of the terms of the question, where this is not the question itself: the terms that are
                new weigh together what those do that they stand for.
        """
        rarity = self._corpus.lexical.rarity(text)
        weights = {term: count * rarity[term] for term, count in Counter(analyze(text)).items()}
        highest = HIGHEST_TERM * sum(weights.values())
        kept = sum(share for term, share in asked.items() if term in weights)
        new = [term for term in weights if asked and term not in asked]
        if new and 0 < kept < 1:
            scale = sum(weights[term] for term in weights if term in asked) / kept
            factor = (1 - kept) * scale / sum(weights[term] for term in new)
            weights |= {term: weights[term] * factor for term in new}
        total = sum(weights.values())
        shares = {term: weight / total for term, weight in weights.items()}
        return Reading(text, self._encoder.encode_query(text), shares, highest, OTHER_FORM if asked else 1.0)

    def _near(self, reading: Reading, depth: int, allowed: "NDArray[np.bool_] | None") -> dict[int, float]:
        if self._settings.dense_weight == 0:
            return {}
        return self._corpus.near(reading.vector, depth, allowed, exact=self._settings.exact_search)

    def _worded(self, reading: Reading, depth: int, allowed: "NDArray[np.bool_] | None") -> dict[int, float]:
        if self._settings.dense_weight == 1:
            return {}
        return self._corpus.lexical.search(reading.text, depth, allowed)

    def _fused(
        self, number: int, reading: Reading, rows: Sequence[int], near: dict[int, float], worded: dict[int, float]
    ) -> dict[int, Candidate]:
        """All rows as one reading scores them."""
        dense = near | self._corpus.scores(reading.vector, [row for row in rows if row not in near])
        if self._settings.sentence_scores:
            nearest = self._corpus.nearest_sentences(reading.vector, rows)
            dense = {row: max(score, nearest[row]) for row, score in dense.items()}
        coverage = self._corpus.coverage(reading.weights, rows)
        return fuse(dense, worded, coverage, reading.highest, self._weights, number, reading.factor)
