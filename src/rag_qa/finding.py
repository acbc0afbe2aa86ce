"""A question to passages: ranked, each statement once, looked at again by a cross-encoder if there is one."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct, structs

from rag_qa.collapsing import collapse
from rag_qa.confidence import FIELD, Signs
from rag_qa.corpus import Corpus
from rag_qa.encoder import QueryEncoder
from rag_qa.highlighting import best_sentence
from rag_qa.lexical import analyze
from rag_qa.reranking import Reranker, combined, rerank
from rag_qa.retrieval import Candidate
from rag_qa.searching import Ranking, Reading, Search
from rag_qa.settings import Settings
from rag_qa.types import DocumentInfo, Passage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Finder", "Found"]

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


class Finder:
    """Finds the passages that answer; safe to share between threads."""

    def __init__(
        self, corpus: Corpus, encoder: QueryEncoder, settings: Settings, reranker: Reranker | None = None
    ) -> None:
        self._corpus = corpus
        self._settings = settings
        self._search = Search(corpus, encoder, settings)
        self._reranker = reranker

    def rank(self, question: str, depth: int, allowed: "NDArray[np.bool_] | None") -> Ranking:
        """All candidates for a question, best first, without their texts; arguments as `Search.rank`."""
        if allowed is not None and not allowed.any():
            return Ranking([], [], [])
        return self._search.rank(question, depth, allowed)

    def find(self, candidates: Sequence[Candidate]) -> list[Found]:
        """The passages and documents of candidates, in their order."""
        stored = self._corpus.passages([candidate.row for candidate in candidates])
        return [Found(candidate, *row) for candidate, row in zip(candidates, stored, strict=True)]

    def statements(self, question: str, count: int, allowed: "NDArray[np.bool_] | None") -> tuple[Ranking, list[Found]]:
        """The best candidates that say different things, `count` where there are so many."""
        count = max(count, self._settings.rerank_depth if self._reranker else 0)
        depth = max(count, self._settings.depth)
        while True:
            ranking = self.rank(question, depth, allowed)
            statements = self._collapsed(ranking.candidates, count)
            if len(statements) >= count or len(ranking.candidates) < depth:
                return ranking, self._reranked(question, statements)
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

    def _reranked(self, question: str, statements: list[Found]) -> list[Found]:
        """The best of them in the order that the cross-encoder gives, if there is one."""
        if self._reranker is None:
            return statements
        best, others = statements[: self._settings.rerank_depth], statements[self._settings.rerank_depth :]
        texts = [found.passage.in_context for found in best]
        scores = rerank(question, texts, self._reranker, self._settings.rerank_seconds)
        scored = [
            structs.replace(
                found, candidate=found.candidate.with_score(combined(found.candidate.score, score)), reranked=score
            )
            for found, score in zip(statements, [*scores, *(None for _ in others)], strict=True)
        ]
        return sorted(scored, key=lambda found: (-found.candidate.score, found.candidate.row))

    def sentences(self, found: Found, reading: Reading) -> tuple[list[str], list[float], list[float]]:
        """The sentences of a passage, what each shares with the question, and how near each is to it."""
        texts = found.passage.sentence_texts
        shared = [sum(reading.weights[term] for term in reading.weights.keys() & set(analyze(text))) for text in texts]
        return texts, shared, self._corpus.sentence_scores(reading.vector, found.candidate.row)

    def signs(self, ranking: Ranking, statements: Sequence[Found]) -> Signs:
        """What speaks for the question being answered by statements, of which there is at least one."""
        first = statements[0]
        reading = ranking.reading(first.candidate)
        return Signs.of(
            [found.candidate.score for found in statements[:FIELD]],
            best_sentence(*self.sentences(first, reading)),
            self._corpus.lexical.unknown(reading.weights),
        )
