"""Evaluations as one self-contained HTML page, without scripts or other files."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from msgspec import Struct

from rag_qa.evaluation.names import GROUPS, MEASURED, RANKED_BY, TAGGED
from rag_qa.evaluation.report.charts import ablation_chart, latency_chart, recall_chart, risk_chart
from rag_qa.evaluation.report.outcome import Outcome
from rag_qa.evaluation.results import QuestionResult, Retrieved
from rag_qa.files import write_atomically
from rag_qa.text.printable import printable

__all__ = ["write_page"]

TEMPLATE = "report.html"
SHOWN_PASSAGES = 5


class Piece(Struct, frozen=True):
    """A part of a passage that is wholly evidence or not, and wholly highlighted or not."""

    text: str
    evidence: bool
    marked: bool


def write_page(outcomes: Sequence[Outcome], path: Path) -> None:
    """Writes outcomes as a page, with the questions that went worst first."""
    environment = Environment(
        loader=PackageLoader("rag_qa.evaluation.report", ""),
        autoescape=True,
        finalize=_harmless,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    sections = [
        {
            "outcome": each,
            "charts": _charts(each),
            "questions": sorted(each.report.questions, key=_worst_first),
        }
        for each in outcomes
    ]
    page = environment.get_template(TEMPLATE).render(
        sections=sections,
        groups=GROUPS,
        measured=MEASURED,
        tagged=TAGGED,
        pieces=_pieces,
        shown=SHOWN_PASSAGES,
    )
    write_atomically(path, page)


def _harmless(value: object) -> object:
    """Returns a value as the page may show it: strings without control characters."""
    return printable(value) if type(value) is str else value


def _charts(outcome: Outcome) -> list[tuple[str, Markup]]:
    """Returns charts with their captions; no chart holds text of documents or questions."""
    report = outcome.report
    charts = [
        ("Recall by k, with 95 % intervals", recall_chart(report)),
        ("Risk against coverage", risk_chart(report)),
        ("Latency of answers", latency_chart(report)),
    ]
    if outcome.ablation is not None:
        charts.append(("What each stage is worth", ablation_chart(outcome.ablation, RANKED_BY)))
    return [(caption, Markup(svg)) for caption, svg in charts]  # noqa: S704 - made by matplotlib from numbers


def _worst_first(question: QuestionResult) -> tuple[bool, float, str]:
    return not question.answerable, question.measures.get(RANKED_BY, 0.0), question.id


def _pieces(item: Retrieved, question: QuestionResult) -> list[Piece]:
    """Splits a passage at the borders of evidence and highlights."""
    evidence = [(span.start, span.end) for span in question.evidence if span.path == item.document]
    borders = {item.start, item.end}
    for start, end in (*evidence, *item.highlights):
        borders |= {min(max(start, item.start), item.end), min(max(end, item.start), item.end)}
    return [
        Piece(
            item.text[start - item.start : end - item.start],
            _covers(evidence, start, end),
            _covers(item.highlights, start, end),
        )
        for start, end in pairwise(sorted(borders))
    ]


def _covers(spans: Sequence[tuple[int, int]], start: int, end: int) -> bool:
    return any(left <= start and end <= right for left, right in spans)
