"""Judgement of an answer by the evidence of its question."""

from collections.abc import Iterable, Mapping, Sequence

from rag_qa.engine import Engine
from rag_qa.evaluation.names import SPAN_DEPTH
from rag_qa.evaluation.results import Retrieved, Span
from rag_qa.evaluation.run.spans import RawSpan, TokenGrid, span_scores
from rag_qa.types import RankedPassage

__all__ = ["duplicates_of", "item_of", "judge", "relevant_passages", "text_measures"]

MARKED_PASSAGES = 3  # passages whose highlights are judged


def relevant_passages(spans: Mapping[str, Sequence[Span]], engine: Engine) -> dict[str, dict[str, int]]:
    """Returns the qrels: by question, every passage of the index that overlaps an evidence quote, with grade 1."""
    wanted = {span.path for found in spans.values() for span in found}
    passages: dict[str, list[RawSpan]] = {
        info.path: [(info.path, passage.start, passage.end) for passage in engine.collection.passages(info.id)]
        for info, _ in engine.collection.documents()
        if info.path in wanted
    }
    return {
        question: {_key(*other): 1 for span in found for other in passages.get(span.path, ()) if span.overlaps(*other)}
        for question, found in spans.items()
    }


def judge(passage: RankedPassage, spans: Sequence[Span]) -> Retrieved:
    """Judges a passage: it is relevant if it, or one of its `also_in`, overlaps a quote."""
    citation = passage.citation
    marks = [(mark.start, mark.end) for mark in passage.highlights]
    return Retrieved(
        rank=passage.rank,
        document=citation.document,
        start=citation.start,
        end=citation.end,
        score=passage.score,
        relevant=any(span.overlaps(*other) for span in spans for other in _spans_of(passage)),
        text=passage.text,
        highlights=marks,
        marked=any(span.overlaps(citation.document, *mark) for span in spans for mark in marks),
        marked_share=sum(end - start for start, end in marks) / (citation.end - citation.start),
    )


def item_of(passage: RankedPassage, spans: Sequence[Span]) -> str:
    """Returns the id of a passage in the run: that of its first relevant span, otherwise of its first one."""
    own = _spans_of(passage)
    return _key(*next((each for each in own if any(span.overlaps(*each) for span in spans)), own[0]))


def duplicates_of(passages: Sequence[RankedPassage], spans: Sequence[Span]) -> set[str]:
    """Returns the ids of the spans of shown passages other than `item_of`.

    They are duplicates: the passage counts once, and recall does not miss them.
    """
    return {_key(*span) for passage in passages for span in _spans_of(passage)} - {
        item_of(passage, spans) for passage in passages
    }


def text_measures(found: Sequence[Retrieved], spans: Sequence[Span], tokens: TokenGrid) -> dict[str, float]:
    """Measures how well the retrieved text, and its highlights, cover the evidence of an answerable question.

    Where nothing was found, every measure has its worst value: 1 for `marked_share`, 0 for the others.

    Args:
        found: the retrieved passages, best first.
        spans: the evidence of the question.
        tokens: the token grid of the documents.
    """
    first, best = found[:MARKED_PASSAGES], found[:SPAN_DEPTH]
    evidence = [(span.path, span.start, span.end) for span in spans]
    returned = [(item.document, item.start, item.end) for item in best]
    marked = [span for item in best for span in _marks(item)]
    measures = {
        "highlight@1": float(any(item.marked for item in first[:1])),
        "highlight@3": float(any(item.marked for item in first)),
        "quote_marked@3": float(any(_holds(item, span) for item in first for span in spans)),
        "marked_share": sum(item.marked_share or 0.0 for item in first) / len(first) if first else 1.0,
    }
    for prefix, shown in {"": returned, "marked_": marked}.items():
        for unit, scores in {
            "char": span_scores(evidence, shown),
            "token": span_scores(map(tokens.span, evidence), [tokens.span(span) for span in shown]),
        }.items():
            measures |= {
                f"{prefix}{unit}_recall@{SPAN_DEPTH}": scores.recall,
                f"{prefix}{unit}_precision@{SPAN_DEPTH}": scores.precision,
                f"{prefix}{unit}_iou@{SPAN_DEPTH}": scores.iou,
            }
    return measures


def _spans_of(passage: RankedPassage) -> list[RawSpan]:
    return [(each.document, each.start, each.end) for each in (passage.citation, *passage.also_in)]


def _marks(item: Retrieved) -> Iterable[RawSpan]:
    return ((item.document, start, end) for start, end in item.highlights)


def _holds(item: Retrieved, span: Span) -> bool:
    """Returns whether a quote is wholly highlighted; adjacent sentences count as one, with the white space between."""
    marks = sorted(item.highlights)
    joined: list[tuple[int, int]] = []
    for start, end in marks:
        between = item.text[joined[-1][1] - item.start : start - item.start] if joined else "x"
        if joined and not between.strip():
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return any(span.within(item.document, *mark) for mark in joined)


def _key(document: str, start: int, end: int) -> str:
    return f"{document}:{start}-{end}"
