"""A query to ranked results: search, fusion, and deduplication, deeper where a search found too little."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct, structs

from rag_qa.filters import Filters
from rag_qa.index.records import SearchOptions
from rag_qa.retrieval.dedup import give_way, group_duplicates
from rag_qa.retrieval.fusion import Hit, fuse, order
from rag_qa.retrieval.query import Query
from rag_qa.retrieval.searcher import Searcher
from rag_qa.types import DocumentInfo, Passage

if TYPE_CHECKING:
    from rag_qa.index.protocol import SearchIndex

__all__ = ["Ranking", "Result", "Results", "in_order", "retrieve", "search"]

DEEPER = 4
"""Factor of the depth where a search found too few different results."""


MOST_LOOKED_AT = 5
"""Times as many results as are wanted that are looked at, at most, where near copies crowd them."""


class Ranking(Struct, frozen=True):
    """The hits of one search, best first, and the milliseconds that finding candidates took."""

    hits: list[Hit]
    dense_ms: float
    bm25_ms: float


class Result(Struct, frozen=True):
    """A hit with its passage and document, and the duplicates of it in other places."""

    hit: Hit
    document: DocumentInfo
    passage: Passage
    duplicates: tuple[tuple[DocumentInfo, Passage], ...] = ()
    reranked: float | None = None
    """The reranker's score in 0..1; None where it was not reached, or there is no reranker."""

    @property
    def spans(self) -> list[tuple[str, int, int]]:
        """Path, start and end of every place where it stands."""
        everywhere = [(self.document, self.passage), *self.duplicates]
        return [(document.path, passage.start, passage.end) for document, passage in everywhere]


class Results(Struct, frozen=True):
    """Results that say different things, best first."""

    fused: tuple[Result, ...]
    """Results in the order of fused scores, which confidence is computed from."""
    ranked: tuple[Result, ...]
    """Results in the order in which they are shown: near copies give way, and a reranker has its say."""
    dense_ms: float
    bm25_ms: float


def search(
    query: Query, depth: int, filters: Filters | None, searcher: Searcher, without: Sequence[int] = ()
) -> Ranking:
    """Ranks all candidates for a query, without reading their passages.

    Args:
        query: the question.
        depth: how many candidates each search of each variant gives.
        filters: which documents are looked in.
        searcher: what is asked.
        without: rows that are no candidates.
    """
    settings = searcher.settings
    options = SearchOptions(
        depth=depth,
        dense=settings.dense_weight > 0,
        bm25=settings.dense_weight < 1,
        sentences=settings.sentence_scores,
        exact=settings.exact_search,
        without=tuple(without),
    )
    terms, shares = zip(*((variant.terms, variant.shares) for variant in query.variants), strict=True)
    found = searcher.index.search(query.vectors, terms, shares, options, filters)
    if not len(found.rows):
        return Ranking([], found.dense_ms, found.bm25_ms)
    scores = [
        fuse(dense, bm25, coverage, variant.bm25_max, searcher.weights, variant.factor)
        for variant, dense, bm25, coverage in zip(query.variants, found.dense, found.bm25, found.coverage, strict=True)
    ]
    return Ranking(order(found.rows, np.stack(scores), found.dense, found.bm25), found.dense_ms, found.bm25_ms)


def retrieve(
    query: Query, filters: Filters | None, count: int, searcher: Searcher, without: Sequence[int] = ()
) -> Results:
    """The best results that say different things, `count` where there are so many.

    Where a search finds too few, or more duplicates than the one before it, it is done again, deeper.

    Args:
        query: the question.
        filters: which documents are looked in.
        count: how many results; no fewer than the reranker looks at, if there is one.
        searcher: what is asked.
        without: rows that are no candidates.
    """
    settings = searcher.settings
    count = max(count, settings.rerank_depth if searcher.reranker else 0)
    depth = max(count, settings.depth)
    passages = _PassageReader(searcher.index)
    wanted, most = count, count * MOST_LOOKED_AT
    dense_ms = bm25_ms = 0.0
    duplicates = 0
    while True:
        ranking = search(query, depth, filters, searcher, without)
        dense_ms, bm25_ms = dense_ms + ranking.dense_ms, bm25_ms + ranking.bm25_ms
        passages.prefetch(ranking.hits[:wanted])  # nearly all of them are shown
        if settings.collapse_duplicates:
            results = _deduplicated(ranking.hits, wanted, searcher, passages)
        else:
            results = passages.results(ranking.hits[:wanted])
        before, duplicates = duplicates, sum(len(result.duplicates) for result in results)
        if not ((len(results) >= wanted and duplicates == before) or len(ranking.hits) < depth):
            depth *= DEEPER
            continue
        shown, copies = in_order(results, query, searcher)
        if len(results) < wanted or wanted >= min(count + copies, most):
            return Results(tuple(results), shown, dense_ms, bm25_ms)
        wanted = min(count + copies, most)  # near copies crowd the results: look at as many more
        depth = max(depth, wanted)


def in_order(results: Sequence[Result], query: Query, searcher: Searcher) -> tuple[tuple[Result, ...], int]:
    """Results in the order in which they are shown, and how many are near copies of others.

    Args:
        results: in any order.
        query: the question; where it asks for all, near copies give no way.
        searcher: what is asked.
    """
    ordered = sorted(results, key=lambda result: (-result.hit.score, result.hit.row))
    if not searcher.settings.variety or query.asks_for_all or len(ordered) <= 1:
        return tuple(ordered), 0
    positions, copies = give_way(
        [result.hit.score for result in ordered],
        [result.document.id for result in ordered],
        searcher.index.signatures([result.hit.row for result in ordered]),
    )
    return tuple(ordered[position] for position in positions), copies


class _PassageReader:
    """Reads passages from an index, each of them once."""

    def __init__(self, index: "SearchIndex") -> None:
        self._index = index
        self._known: dict[int, tuple[DocumentInfo, Passage]] = {}

    def prefetch(self, hits: Iterable[Hit]) -> None:
        """Reads the passages of hits in one call, those that are not known."""
        if missing := [hit.row for hit in hits if hit.row not in self._known]:
            self._known.update(zip(missing, self._index.passages(missing), strict=True))

    def results(self, hits: Sequence[Hit]) -> list[Result]:
        """Hits with their passages."""
        self.prefetch(hits)
        return [Result(hit, *self._known[hit.row]) for hit in hits]


def _deduplicated(hits: Sequence[Hit], count: int, searcher: Searcher, passages: _PassageReader) -> list[Result]:
    """The first `count` results that say different things, each with its duplicates."""
    groups = group_duplicates(
        searcher.index.signatures([hit.row for hit in hits]),
        lambda positions: [result.passage.text for result in passages.results([hits[each] for each in positions])],
        count,
    )
    return [_with_duplicates(passages.results([hits[each] for each in group])) for group in groups]


def _with_duplicates(group: Sequence[Result]) -> Result:
    """The first of some results that say the same, with the others as its duplicates."""
    best, *others = group
    return structs.replace(best, duplicates=tuple((other.document, other.passage) for other in others))
