"""A second look at the best passages with a cross-encoder, which reads question and passage together.

It is off by default. How much of the ranking it reaches depends on the time that it may take.
"""

import time
from collections.abc import Callable, Sequence

from rag_qa.models.protocols import Reranker

__all__ = ["combined", "rerank"]

BATCH = 4  # passages scored between two looks at the clock
RERANKED_WEIGHT = 0.9
SCORE_DIGITS = 7  # one more than fused scores have, whose order a tenth of them then keeps


def rerank(
    question: str,
    texts: Sequence[str],
    reranker: Reranker,
    seconds: float,
    clock: Callable[[], float] = time.perf_counter,
) -> list[float | None]:
    """The reranker's score of each text, in 0..1; None for those that it did not reach in time.

    They are scored in batches, the best first. The first batch is always scored; another is begun only if it would
    end in time, were it to take as long as the one before it.

    Args:
        question: in words.
        texts: of the passages, the best first.
        reranker: what scores them.
        seconds: how long it may take.
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

    One that the reranker did not reach counts as if it had scored 0: it keeps its place among those, which all come
    after the ones that were reached.
    """
    return round((1 - RERANKED_WEIGHT) * fused + RERANKED_WEIGHT * (reranked or 0.0), SCORE_DIGITS)
