"""A second score of the best results by a cross-encoder, which reads question and passage together.

It is off by default. How much of the ranking it reaches depends on the time that it may take.
"""

import time
from collections.abc import Callable, Sequence

from msgspec import structs

from rag_qa.models.protocols import Reranker
from rag_qa.retrieval.query import Query
from rag_qa.retrieval.retriever import Results, in_order
from rag_qa.retrieval.searcher import Searcher

__all__ = ["combined", "rerank", "score_in_time"]

BATCH = 4  # passages scored between two looks at the clock
RERANKED_WEIGHT = 0.9
RERANKED_DIGITS = 7  # one more than fused scores have, whose order a tenth of them then keeps


def rerank(query: Query, results: Results, reranker: Reranker, searcher: Searcher) -> Results:
    """Ranks results by the reranker's scores too.

    Args:
        query: the question.
        results: ranked by fused scores.
        reranker: scores the best of them.
        searcher: its settings say how many of them, and in what time.

    Raises:
        RerankerError: the model fails.
    """
    settings = searcher.settings
    texts = [result.passage.in_context for result in results.fused[: settings.rerank_depth]]
    scores = score_in_time(query.question, texts, reranker, settings.rerank_seconds)
    scores += [None] * (len(results.fused) - len(scores))
    ranked = [
        structs.replace(
            result,
            hit=structs.replace(result.hit, score=combined(result.hit.score, score)),
            reranked=score,
        )
        for result, score in zip(results.fused, scores, strict=True)
    ]
    shown, _ = in_order(ranked, query, searcher)
    return structs.replace(results, ranked=shown)


def score_in_time(
    question: str,
    texts: Sequence[str],
    reranker: Reranker,
    seconds: float,
    clock: Callable[[], float] = time.perf_counter,
) -> list[float | None]:
    """Scores texts in 0..1 as long as there is time; None for those that were not reached.

    Texts are scored in batches, the best first. The first batch is always scored; another is begun only if it would
    end in time, were it to take as long as the one before it.

    Args:
        question: in words.
        texts: of the passages, the best first.
        reranker: scores them.
        seconds: the most time that it may take.
        clock: gives the time in seconds.
    """
    scores: list[float | None] = [None] * len(texts)
    began = before = clock()
    for first in range(0, len(texts), BATCH):
        batch = slice(first, first + BATCH)
        scores[batch] = reranker.scores(question, texts[batch])
        now = clock()
        if now - began + (now - before) > seconds:
            break
        before = now
    return scores


def combined(fused: float, reranked: float | None) -> float:
    """The final score in 0..1 of a passage with this fused score.

    A passage that the reranker did not reach counts as if it had scored 0: it keeps its place among those, and comes
    after all that were reached.
    """
    return round((1 - RERANKED_WEIGHT) * fused + RERANKED_WEIGHT * (reranked or 0.0), RERANKED_DIGITS)
