"""Evidence: the sentences of the best results, with all that speaks for each, and the inputs of confidence."""

from typing import TYPE_CHECKING

from msgspec import Struct

from rag_qa.answering.answer_types import AnswerType, answer_type, holds_answer
from rag_qa.answering.confidence import FIELD, ConfidenceFeatures
from rag_qa.retrieval.query import Query, QueryVariant
from rag_qa.retrieval.retriever import Result, Results
from rag_qa.text.analysis import analyze

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rag_qa.index.protocol import SearchIndex

__all__ = ["Evidence", "SentenceEvidence", "weigh"]


class SentenceEvidence(Struct, frozen=True):
    """The sentences of a passage, by the variant of the query that the passage has its score by."""

    shared: list[float]
    """Shares of the variant's terms that stand in each sentence."""
    similarity: list[float]
    """Inner product of each sentence with the variant."""
    holds: list[bool | None]
    """Whether each sentence holds an answer of the type that is asked for; None where that is unknown."""


class Evidence(Struct, frozen=True):
    """The evidence of an answer."""

    sentences: dict[int, SentenceEvidence]
    """Evidence by row, of the best result before reranking and of all that may be shown."""
    features: ConfidenceFeatures | None
    """None where nothing was found."""


def weigh(query: Query, results: Results, k: int, index: "SearchIndex") -> Evidence:
    """Compares the sentences of the best results with the question.

    Args:
        query: the question.
        results: reranked, where there is a reranker.
        k: how many results may be shown.
        index: where they were found.
    """
    wanted = {result.hit.row: result for result in (*results.fused[:1], *results.ranked[:k])}
    if not wanted:
        return Evidence({}, None)
    types = [answer_type(variant.text) for variant in query.variants]
    scores = index.sentence_scores(query.vectors, list(wanted))
    sentences = {
        row: _sentences(result, query.variants[number], types[number], similarity[number])
        for (row, result), similarity in zip(wanted.items(), scores, strict=True)
        for number in (result.hit.variant,)
    }
    first = sentences[results.fused[0].hit.row]
    best = max(shared + similarity for shared, similarity in zip(first.shared, first.similarity, strict=True))
    return Evidence(
        sentences, ConfidenceFeatures.from_scores([result.hit.score for result in results.fused[:FIELD]], best)
    )


def _sentences(
    result: Result, variant: QueryVariant, wanted: AnswerType, similarity: "NDArray[np.float32]"
) -> SentenceEvidence:
    """The evidence of one passage; `similarity` is of shape (sentences,)."""
    texts = result.passage.sentence_texts
    terms = [set(analyze(text)) for text in texts]
    return SentenceEvidence(
        shared=[sum(share for term, share in variant.shares.items() if term in held) for held in terms],
        similarity=similarity.tolist(),
        holds=[holds_answer(wanted, text, variant.text) for text in texts],
    )
