"""A question to passages: ranked, each statement once, looked at again by a cross-encoder if there is one."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct, structs

from rag_qa.answering.confidence import FIELD, Signs
from rag_qa.index.local.snapshot.searcher import Corpus
from rag_qa.models.protocols import QueryEncoder, Reranker
from rag_qa.retrieval.dedup import collapse
from rag_qa.retrieval.fusion import Candidate
from rag_qa.retrieval.rerank import combined, rerank
from rag_qa.retrieval.search import Ranking, Read, Reading, Search
from rag_qa.settings import Settings
from rag_qa.text.analysis import analyze
from rag_qa.types import DocumentInfo, Passage

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Finder", "Found", "Sentences", "Statements"]

DEEPER = 4
"""By how much more is searched where a search found too few different statements."""


class Found(Struct, frozen=True):
    """A candidate with its passage and document, and the other places where the same is said."""

    candidate: Candidate
    document: DocumentInfo
    passage: Passage
    also_in: tuple[tuple[DocumentInfo, Passage], ...] = ()
    reranked: float | None = None

    @property
    def places(self) -> list[tuple[str, int, int]]:
        """Document, start and end of every place where it stands."""
        found = [(self.document, self.passage), *self.also_in]
        return [(document.path, passage.start, passage.end) for document, passage in found]


class Statements(Struct, frozen=True):
    """Passages that say different things, best first, of a question as it was read."""

    read: Read
    found: list[Found]
    dense_ms: float
    lexical_ms: float

    def reading(self, found: Found) -> Reading:
        """The reading by which a passage has its score."""
        return self.read.readings[found.candidate.reading]


class Sentences(Struct, frozen=True):
    """The sentences of a passage, what each shares with the question, and how near each is to it."""

    texts: list[str]
    shared: list[float]
    nearness: list[float]


class Finder:
    """Finds the passages that answer; safe to share between threads."""

    def __init__(
        self, corpus: Corpus, encoder: QueryEncoder, settings: Settings, reranker: Reranker | None = None
    ) -> None:
        self._corpus = corpus
        self._settings = settings
        self.search = Search(corpus, encoder, settings)
        """What reads a question and ranks."""
        self._reranker = reranker

    def rank(self, question: str, depth: int, allowed: "NDArray[np.bool_] | None") -> tuple[Read, Ranking]:
        """All candidates for a question, best first, without their texts; arguments as `Search.rank`."""
        read = self.search.read(question)
        return read, self.search.rank(read, depth, allowed)

    def find(self, candidates: Sequence[Candidate]) -> list[Found]:
        """The passages and documents of candidates, in their order."""
        stored = self._corpus.passages([candidate.row for candidate in candidates])
        return [Found(candidate, *row) for candidate, row in zip(candidates, stored, strict=True)]

    def statements(self, question: str, count: int, allowed: "NDArray[np.bool_] | None") -> Statements:
        """The best passages that say different things, `count` where there are so many.

        Where a search finds too few, or more copies than the one before it, it is done again, deeper.

        Args:
            question: in words.
            count: how many; no fewer than the cross-encoder looks at, if there is one.
            allowed: for each row whether it may be found.
        """
        count = max(count, self._settings.rerank_depth if self._reranker else 0)
        depth = max(count, self._settings.depth)
        read = self.search.read(question)
        dense_ms = lexical_ms = 0.0
        copies = 0
        while True:
            ranking = self.search.rank(read, depth, allowed)
            dense_ms += ranking.dense_ms
            lexical_ms += ranking.lexical_ms
            found = self._collapsed(ranking.candidates, count)
            before, copies = copies, sum(len(each.also_in) for each in found)
            if (len(found) >= count and copies == before) or len(ranking.candidates) < depth:
                return Statements(read, found, dense_ms, lexical_ms)
            depth *= DEEPER

    def _collapsed(self, candidates: Sequence[Candidate], count: int) -> list[Found]:
        if not self._settings.collapse_duplicates:
            return self.find(candidates[:count])
        known = dict(enumerate(self.find(candidates[:count])))

        def texts(positions: Sequence[int]) -> list[str]:
            missing = [position for position in positions if position not in known]
            known.update(zip(missing, self.find([candidates[position] for position in missing]), strict=True))
            return [known[position].passage.text for position in positions]

        groups = collapse(self._corpus.signatures([candidate.row for candidate in candidates]), texts, count)
        texts([first for first, *_ in groups])
        return [
            structs.replace(
                known[first], also_in=tuple((known[other].document, known[other].passage) for other in others)
            )
            for first, *others in groups
        ]

    def reranked(self, question: str, found: list[Found]) -> list[Found]:
        """The same in the order that the cross-encoder gives the best of them, if there is one."""
        if self._reranker is None:
            return found
        best, others = found[: self._settings.rerank_depth], found[self._settings.rerank_depth :]
        texts = [each.passage.in_context for each in best]
        scores = rerank(question, texts, self._reranker, self._settings.rerank_seconds)
        scored = [
            structs.replace(
                each, candidate=each.candidate.with_score(combined(each.candidate.score, score)), reranked=score
            )
            for each, score in zip(found, [*scores, *(None for _ in others)], strict=True)
        ]
        return sorted(scored, key=lambda each: (-each.candidate.score, each.candidate.row))

    def sentences(self, read: Read, found: Sequence[Found]) -> list[Sentences]:
        """What is known of the sentences of each passage, by the reading that it has its score by."""
        if not found:
            return []
        rows = np.array([each.candidate.row for each in found], dtype=np.int64)
        nearness = self._corpus.sentence_scores(read.vectors, rows)
        return [
            _sentences(each, read.readings[each.candidate.reading], near[each.candidate.reading])
            for each, near in zip(found, nearness, strict=True)
        ]

    def signs(self, statements: Statements) -> Signs:
        """What speaks for the question being answered by statements, of which there is at least one."""
        first = statements.found[0]
        (sentences,) = self.sentences(statements.read, [first])
        best = max(words + near for words, near in zip(sentences.shared, sentences.nearness, strict=True))
        return Signs.of([each.candidate.score for each in statements.found[:FIELD]], best)


def _sentences(found: Found, reading: Reading, nearness: "NDArray[np.float32]") -> Sentences:
    texts = found.passage.sentence_texts
    held = [set(analyze(text)) for text in texts]
    shared = [sum(weight for term, weight in reading.weights.items() if term in terms) for terms in held]
    return Sentences(texts, shared, nearness.tolist())
