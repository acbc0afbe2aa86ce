"""A question to ranked candidates: each reading of it is searched by meaning and by words, and both are fused."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from rag_qa.index.local.segment.inverted import HIGHEST_TERM
from rag_qa.index.local.snapshot.searcher import Corpus
from rag_qa.models.protocols import QueryEncoder
from rag_qa.retrieval.fusion import Candidate, Weights, fuse, order
from rag_qa.settings import Settings
from rag_qa.text.analysis import analyze
from rag_qa.types import Expansion

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Ranking", "Read", "Reading", "Search"]

REMEMBERED = 1024
"""Questions whose vectors are kept, 1.5 kB for each form of 384 numbers, so that none is encoded twice in a row."""
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


class Read(Struct, frozen=True):
    """A question in all its readings, the first as it was asked, and what was exchanged for the other."""

    readings: list[Reading]
    expansions: list[Expansion]
    encode_ms: float

    @property
    def vectors(self) -> "NDArray[np.float32]":
        """Those of the m readings, of shape (m, dimension)."""
        return np.stack([reading.vector for reading in self.readings])


class Ranking(Struct, frozen=True):
    """Candidates best first, and the milliseconds that finding them took."""

    candidates: list[Candidate]
    dense_ms: float = 0.0
    lexical_ms: float = 0.0


class Search:
    """Finds and ranks the passages of a snapshot; safe to share between threads."""

    def __init__(self, corpus: Corpus, encoder: QueryEncoder, settings: Settings) -> None:
        self._corpus = corpus
        self._encoder = encoder
        self._vectors = lru_cache(REMEMBERED)(encoder.encode_queries)
        self._settings = settings
        self._weights = Weights.of(settings.dense_weight, coverage=settings.word_coverage)

    def read(self, question: str) -> Read:
        """The readings of a question, encoded."""
        started = time.perf_counter()
        other, expansions = self._expanded(question)
        vectors = self._vectors(tuple(dict.fromkeys((question, other))))
        readings = [self._reading(question, vectors[0])]
        if other != question:
            readings.append(self._reading(other, vectors[1], readings[0]))
        return Read(readings, expansions, (time.perf_counter() - started) * 1000)

    def rank(self, read: Read, depth: int, allowed: "NDArray[np.bool_] | None" = None) -> Ranking:
        """All candidates for a question, best first, without their texts.

        Args:
            read: the question.
            depth: how many are taken from each search.
            allowed: for each row whether it may be found.
        """
        if allowed is not None and not allowed.any():
            return Ranking([])
        started = time.perf_counter()
        near = [self._near(reading, depth, allowed) for reading in read.readings]
        found = time.perf_counter()
        worded = [self._worded(reading, depth, allowed) for reading in read.readings]
        ended = time.perf_counter()
        rows = np.array(sorted({row for found_rows in (*near, *worded) for row in found_rows}), dtype=np.int64)
        return Ranking(self.ordered(read.readings, rows, worded), (found - started) * 1000, (ended - found) * 1000)

    def _expanded(self, question: str) -> tuple[str, list[Expansion]]:
        """The question with acronyms and long forms exchanged, and which were."""
        if not self._settings.expand_acronyms:
            return question, []
        other, replaced = self._corpus.lexicon.expand(question, self._encoder.is_word)
        return other, [
            Expansion(term=term, expanded=expanded, document=pair.document, start=pair.start, end=pair.end)
            for term, expanded, pair in replaced
        ]

    def _reading(self, text: str, vector: "NDArray[np.float32]", asked: Reading | None = None) -> Reading:
        """A question, or another form of the one that was asked, with its vector."""
        rarity = self._corpus.lexical.rarity(text)
        weights: Mapping[str, float] = {term: count * rarity[term] for term, count in Counter(analyze(text)).items()}
        highest = HIGHEST_TERM * sum(weights.values())
        if asked is not None:
            weights = _reweighed(weights, asked.weights)
        total = sum(weights.values())
        shares = {term: weight / total for term, weight in weights.items()}
        return Reading(text, vector, shares, highest, 1.0 if asked is None else OTHER_FORM)

    def _near(self, reading: Reading, depth: int, allowed: "NDArray[np.bool_] | None") -> dict[int, float]:
        if self._settings.dense_weight == 0:
            return {}
        return self._corpus.near(reading.vector, depth, allowed, exact=self._settings.exact_search)

    def _worded(self, reading: Reading, depth: int, allowed: "NDArray[np.bool_] | None") -> dict[int, float]:
        if self._settings.dense_weight == 1:
            return {}
        return self._corpus.lexical.search(reading.text, depth, allowed)

    def ordered(
        self, readings: Sequence[Reading], rows: "NDArray[np.int64]", worded: Sequence[Mapping[int, float]]
    ) -> list[Candidate]:
        """All rows as candidates, scored by each reading, best first.

        Args:
            readings: of a question.
            rows: of shape (n,).
            worded: for each of the readings the BM25 scores of those rows that have one.
        """
        if not len(rows):
            return []
        queries = np.stack([reading.vector for reading in readings])
        dense = self._corpus.scores(queries, rows)
        if self._settings.sentence_scores:
            dense = np.maximum(dense, self._corpus.nearest_sentences(queries, rows))
        lexical = np.array([[found.get(row, 0.0) for row in rows.tolist()] for found in worded])
        covered = self._corpus.coverage([reading.weights for reading in readings], rows)
        scores = [
            fuse(near, words, shares, reading.highest, self._weights, reading.factor)
            for reading, near, words, shares in zip(readings, dense, lexical, covered, strict=True)
        ]
        return order(rows, np.stack(scores), dense, lexical)


def _reweighed(weights: Mapping[str, float], asked: Mapping[str, float]) -> Mapping[str, float]:
    """The weights of another form of a question: terms that are new weigh together what those do that they stand for.

    Args:
        weights: of the form's terms.
        asked: the shares of the question's terms.
    """
    gone = sum(share for term, share in asked.items() if term not in weights)
    kept = [term for term in asked if term in weights]
    new = sum(weight for term, weight in weights.items() if term not in asked)
    if not (gone and kept and new):
        return weights
    scale = sum(weights[term] for term in kept) / sum(asked[term] for term in kept)
    return {term: weight if term in asked else weight * gone * scale / new for term, weight in weights.items()}
