"""Questions through the engine, and what came of each."""

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from rag_qa.engine import Engine
from rag_qa.evaluation.beir import Collection
from rag_qa.evaluation.gold import GoldQuestion, Span, locate
from rag_qa.evaluation.measures import DEEP_MEASURES, Aggregate, aggregate, ranking_measures
from rag_qa.types import Answer, RankedPassage

__all__ = ["Report", "evaluate_collection", "evaluate_gold"]

Progress = Callable[[str, int, int], None]
GOLD_DEPTH = 10  # passages asked for a gold question: as deep as the deepest measure shown for gold
COLLECTION_DEPTH = 100
MARKED_PASSAGES = 3  # passages whose marks are judged


class Retrieved(Struct, frozen=True):
    """A passage that was found, and how it was judged."""

    rank: int
    document: str
    start: int
    end: int
    score: float
    relevant: bool
    text: str
    marked: bool | None = None
    """Whether a highlight overlaps an evidence quote; None where highlights are not judged."""
    marked_share: float | None = None
    key: str = ""
    """What the rank measures know it by: the place of the relevant passage that it shows."""


class QuestionResult(Struct, frozen=True):
    """One question: its measures (none for an unanswerable one) and what was found."""

    id: str
    question: str
    answerable: bool
    tags: tuple[str, ...]
    measures: dict[str, float]
    retrieved: list[Retrieved]


class Report(Struct, frozen=True):
    """What an evaluation found; `metrics` are means over the answerable questions."""

    collection: str
    snapshot: str
    counts: dict[str, int]
    metrics: dict[str, Aggregate]
    questions: list[QuestionResult]


def evaluate_gold(name: str, questions: Sequence[GoldQuestion], engine: Engine, progress: Progress) -> Report:
    """Asks every gold question and judges passages and highlights.

    A passage is relevant when it, or one of its `also_in`, overlaps an evidence quote. For recall, every
    passage of the index that overlaps one is relevant.

    Measures of highlights: `highlight@k` is 1 when a highlight of the first k passages overlaps a quote;
    `marked_share` is the mean share of a passage's characters that is marked, over the first three passages.

    Raises:
        GoldError: a quote cannot be found in the indexed documents.
    """
    spans = locate(questions, engine)
    relevant = _relevant_passages(spans, engine)
    results: dict[str, list[Retrieved]] = {}
    for done, question in enumerate(questions):
        progress("asking", done, len(questions))
        answer = engine.ask(question.question, k=GOLD_DEPTH)
        results[question.id] = _judge(answer, spans[question.id])
    progress("asking", len(questions), len(questions))
    ranking = ranking_measures(
        {question.id: relevant[question.id] for question in questions if question.answerable},
        {question: [item.key for item in found] for question, found in results.items()},
    )
    judged = [
        QuestionResult(
            question.id,
            question.question,
            question.answerable,
            question.tags,
            {**ranking[question.id], **_highlight_measures(results[question.id])} if question.answerable else {},
            results[question.id],
        )
        for question in questions
    ]
    return _report(name, engine, judged)


def evaluate_collection(collection: Collection, engine: Engine, progress: Progress) -> Report:
    """Ranks the documents of a public collection; a document's score is its best passage's."""
    ranked: dict[str, list[str]] = {}
    retrieved: dict[str, list[Retrieved]] = {}
    for done, (question, text) in enumerate(collection.questions.items()):
        progress("asking", done, len(collection.questions))
        best: dict[str, Retrieved] = {}
        for found in engine.find(engine.rank(text).candidates):
            path, passage = found.document.path, found.passage
            if path not in best:
                best[path] = Retrieved(
                    rank=len(best) + 1,
                    document=path,
                    start=passage.start,
                    end=passage.end,
                    score=found.candidate.score,
                    relevant=path in collection.relevant[question],
                    text=passage.text,
                )
        ranked[question] = list(best)[:COLLECTION_DEPTH]
        retrieved[question] = list(best.values())[:GOLD_DEPTH]
    progress("asking", len(ranked), len(ranked))
    ranking = ranking_measures(collection.relevant, ranked, DEEP_MEASURES)
    judged = [
        QuestionResult(question, text, True, (), ranking[question], retrieved[question])
        for question, text in collection.questions.items()
    ]
    return _report(collection.name, engine, judged)


def _relevant_passages(spans: Mapping[str, Sequence[Span]], engine: Engine) -> dict[str, dict[str, int]]:
    """By question, every passage of the index that overlaps an evidence quote."""
    wanted = {span.document for found in spans.values() for span in found}
    passages = [
        (info.path, passage.start, passage.end)
        for info, _ in engine.documents()
        if info.path in wanted
        for passage in engine.passages(info.id)
    ]
    return {
        question: {_key(*where): 1 for where in passages if any(span.overlaps(*where) for span in found)}
        for question, found in spans.items()
    }


def _judge(answer: Answer, spans: Sequence[Span]) -> list[Retrieved]:
    return [_judge_passage(passage, spans) for passage in answer.passages]


def _judge_passage(passage: RankedPassage, spans: Sequence[Span]) -> Retrieved:
    citation = passage.citation
    places = [(place.document, place.start, place.end) for place in (citation, *passage.also_in)]
    relevant = [place for place in places if any(span.overlaps(*place) for span in spans)]
    marks = [(citation.document, mark.start, mark.end) for mark in passage.highlights]
    return Retrieved(
        rank=passage.rank,
        document=citation.document,
        start=citation.start,
        end=citation.end,
        score=passage.score,
        relevant=bool(relevant),
        text=passage.text,
        marked=any(span.overlaps(*mark) for span in spans for mark in marks),
        marked_share=sum(mark.end - mark.start for mark in passage.highlights) / (citation.end - citation.start),
        key=_key(*(relevant or places)[0]),
    )


def _highlight_measures(found: Sequence[Retrieved]) -> dict[str, float]:
    first = found[:MARKED_PASSAGES]
    return {
        "highlight@1": float(any(item.marked for item in first[:1])),
        "highlight@3": float(any(item.marked for item in first)),
        "marked_share": sum(item.marked_share or 0.0 for item in first) / max(len(first), 1),
    }


def _report(name: str, engine: Engine, questions: list[QuestionResult]) -> Report:
    answerable = [question for question in questions if question.answerable]
    names = dict.fromkeys(name for question in answerable for name in question.measures)
    metrics = {name: aggregate([question.measures[name] for question in answerable]) for name in names}
    counts = {"questions": len(questions), "answerable": len(answerable)}
    return Report(name, engine.manifest.id, counts, metrics, questions)


def _key(document: str, start: int, end: int) -> str:
    return f"{document}:{start}-{end}"
