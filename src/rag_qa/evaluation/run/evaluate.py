"""Runs: asks an engine all questions, and measures its answers."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from rag_qa.engine import Engine
from rag_qa.errors import GoldError, QuestionError
from rag_qa.evaluation.gold.beir import Collection
from rag_qa.evaluation.gold.gold_file import GoldQuestion, locate
from rag_qa.evaluation.names import CUTOFFS
from rag_qa.evaluation.results import Evaluation, QuestionResult, Retrieved, Span
from rag_qa.evaluation.run.judge import duplicates_of, item_of, judge, relevant_passages, text_measures
from rag_qa.evaluation.run.measures import ranking_measures
from rag_qa.evaluation.run.spans import TokenGrid
from rag_qa.retrieval.query import check_question, read_query
from rag_qa.retrieval.retriever import search
from rag_qa.types import Answer, document_id

__all__ = ["ask_in_turns", "evaluate_collection", "evaluate_gold"]

Progress = Callable[[str, int, int], None]
DEPTH = CUTOFFS[-1]
SHOWN = 10  # passages of each question in a report
DEFAULT_K = 5  # passages that a user gets


def ask_in_turns(
    engines: Mapping[str, Engine], questions: Mapping[str, str], progress: Progress
) -> dict[str, dict[str, Answer]]:
    """Asks every engine all questions, as a user would, and returns the answers by engine and question.

    For a fair comparison of latencies the engines take turns, so that noise affects all alike. Their order is random,
    and in each turn they ask different questions, so that none profits from what another has just read into the
    processor's caches. Each engine answers one question before the measurement.

    Raises:
        GoldError: a question cannot be asked; the message names it.
    """
    for engine in engines.values():
        for question, text in questions.items():
            try:
                check_question(text, engine.settings.max_question_characters)
            except QuestionError as error:
                raise GoldError(f"Question {question} cannot be asked: {error}") from None
        _ask(engine, next(iter(questions.values())), DEFAULT_K)
    found: dict[str, dict[str, Answer]] = {name: {} for name in engines}
    names, asked = list(engines), list(questions)
    apart = max(1, len(asked) // len(names))
    order = np.random.default_rng(0)
    for done in range(len(asked)):
        progress("asking", done, len(asked))
        for number in order.permutation(len(names)):
            question = asked[(done + number * apart) % len(asked)]
            found[names[number]][question] = _ask(engines[names[number]], questions[question], DEFAULT_K)
    progress("asking", len(questions), len(questions))
    return found


def evaluate_gold(
    questions: Sequence[GoldQuestion], engine: Engine, answers: Mapping[str, Answer], progress: Progress
) -> Evaluation:
    """Judges passages, highlights and confidence of gold questions; docs/evaluation.md defines the measures.

    For recall, every passage of the index that overlaps an evidence quote is relevant.

    Args:
        questions: the gold questions.
        engine: the engine, which is asked again for more passages than a user gets.
        answers: its answers with the default number of passages, by question.
        progress: called with a stage, the questions done, and their total.

    Raises:
        GoldError: a quote is not in its document, or no passage overlaps the evidence of a question.
    """
    spans = locate(questions, engine)
    depth = max(DEFAULT_K, min(DEPTH, engine.settings.depth))  # a larger k would search deeper than a user's question
    every = relevant_passages(spans, engine)
    qrels = {question.id: every[question.id] for question in questions if question.answerable}
    if lost := [question for question, passages in qrels.items() if not passages]:
        raise GoldError(f"No passage holds anything of the quotes of question {lost[0]}: quote words.")
    tokens = TokenGrid(lambda document: engine.collection.document(document_id(document)).text)
    runs: dict[str, list[tuple[str, float]]] = {}
    found: dict[str, list[Retrieved]] = {}
    for done, question in enumerate(questions):
        progress("judging", done, len(questions))
        evidence = spans[question.id] if question.answerable else []
        deep = _ask(engine, question.question, depth)
        runs[question.id] = [(item_of(passage, evidence), passage.score) for passage in deep.passages]
        if question.answerable:
            for copy in duplicates_of(deep.passages, evidence) & qrels[question.id].keys():
                del qrels[question.id][copy]
        found[question.id] = [judge(passage, evidence) for passage in deep.passages[:SHOWN]]
    progress("judging", len(questions), len(questions))
    measures = ranking_measures(qrels, _ranked(runs))
    for name in measures:
        measures[name] |= text_measures(found[name], spans[name], tokens)
    results = [
        _result(
            each,
            spans[each.id],
            measures.get(each.id, {}),
            answers[each.id],
            found[each.id],
            any(item.relevant for item in found[each.id][:DEFAULT_K]),
        )
        for each in questions
    ]
    return Evaluation(results, qrels, runs)


def evaluate_collection(
    collection: Collection, engine: Engine, answers: Mapping[str, Answer], progress: Progress
) -> Evaluation:
    """Judges the ranking of the documents of a BEIR collection by their best passages; Args as `evaluate_gold`."""
    runs: dict[str, list[tuple[str, float]]] = {}
    found: dict[str, list[Retrieved]] = {}
    for done, (question, text) in enumerate(collection.questions.items()):
        progress("judging", done, len(collection.questions))
        best = _best_passages(engine, text, collection.relevant[question])
        runs[question] = [(item.document, item.score) for item in best[:DEPTH]]
        found[question] = best[:SHOWN]
    progress("judging", len(runs), len(runs))
    measures = ranking_measures(collection.relevant, _ranked(runs))
    results = [
        _result(
            GoldQuestion(question, text, answerable=True),
            [Span(document, 0, 0) for document in collection.relevant[question]],
            measures[question],
            answers[question],
            found[question],
            any(item.citation.document in collection.relevant[question] for item in answers[question].passages),
        )
        for question, text in collection.questions.items()
    ]
    return Evaluation(results, collection.relevant, runs)


def _ask(engine: Engine, question: str, k: int) -> Answer:
    """Asks for the `k` best passages, even if `max_k` is smaller."""
    return (engine if k <= engine.settings.max_k else engine.with_settings(max_k=k)).ask(question, k=k)


def _best_passages(engine: Engine, question: str, relevant: Mapping[str, int]) -> list[Retrieved]:
    """Returns the best passage of each retrieved document, best first."""
    best: dict[str, Retrieved] = {}
    hits = search(read_query(question, engine.searcher), engine.settings.depth, None, engine.searcher).hits
    for hit, (document, passage) in zip(hits, engine.index.passages([hit.row for hit in hits]), strict=True):
        path = document.path
        if path not in best:
            best[path] = Retrieved(
                rank=len(best) + 1,
                document=path,
                start=passage.start,
                end=passage.end,
                score=hit.score,
                relevant=path in relevant,
                text=passage.text,
            )
    return list(best.values())


def _result(
    question: GoldQuestion,
    evidence: list[Span],
    measures: dict[str, float],
    answer: Answer,
    retrieved: list[Retrieved],
    relevant: bool,
) -> QuestionResult:
    return QuestionResult(
        id=question.id,
        question=question.question,
        answerable=question.answerable,
        tags=question.tags,
        evidence=evidence,
        measures=measures,
        confidence=_confidence(answer),
        calibrated=answer.confidence is not None,
        answered=answer.answered,
        right=question.answerable and relevant,
        latency_ms=answer.timings_ms.total,
        retrieved=retrieved,
    )


def _confidence(answer: Answer) -> float:
    """Returns the answer's confidence or, where it has none, the best inner product, clipped to 0..1.

    Unlike the fused score, the inner product does not depend on the other candidates.
    """
    if answer.confidence is not None:
        return answer.confidence
    return float(np.clip(max((passage.scores.dense for passage in answer.passages), default=0.0), 0.0, 1.0))


def _ranked(runs: Mapping[str, Sequence[tuple[str, float]]]) -> dict[str, list[str]]:
    return {question: [item for item, _ in items] for question, items in runs.items()}
