"""SVG charts in the colours of the page that holds them, light or dark. No other module imports matplotlib."""

import re
from collections.abc import Callable
from io import StringIO
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rag_qa.evaluation.compare.ablation import Ablation
from rag_qa.evaluation.names import CUTOFFS
from rag_qa.evaluation.results import Report

__all__ = ["ablation_chart", "latency_chart", "recall_chart", "risk_chart"]

# Colours that matplotlib draws with, and that the page's custom properties then replace.
INK, GRID, MAIN, GOOD, BAD = "#010203", "#010204", "#010205", "#010206", "#010207"
PROPERTIES = {INK: "--ink", GRID: "--line", MAIN: "--accent", GOOD: "--good", BAD: "--bad"}
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "rag_qa",
    "font.size": 9.0,
    "axes.edgecolor": GRID,
    "axes.labelcolor": INK,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
}
SIZE = (4.8, 3.0)  # inches
BINS = 24
FEW = 12  # curves with fewer points have markers: a single point would be invisible


def risk_chart(report: Report) -> str:
    """Returns a chart of risk against coverage."""

    def draw(axes: Axes) -> None:
        coverage, risk = zip(*report.abstention.curve, strict=True)
        axes.plot(coverage, risk, color=MAIN, linewidth=1.8, marker="o" if len(risk) < FEW else None, markersize=4)
        axes.set(xlabel="coverage: share of questions answered", ylabel="risk: share answered wrongly")
        axes.set(xlim=(0, 1.02), ylim=(0, max(0.05, *risk) * 1.1))

    return _svg(draw, "Risk against coverage")


def recall_chart(report: Report) -> str:
    """Returns a chart of recall@k against k, with intervals."""
    found = [(k, report.metrics[f"recall@{k}"]) for k in CUTOFFS]

    def draw(axes: Axes) -> None:
        values = [each.value for _, each in found]
        below = [each.value - each.low for _, each in found]
        above = [each.high - each.value for _, each in found]
        places = range(len(found))
        axes.errorbar(places, values, yerr=[below, above], color=MAIN, capsize=3, marker="o", markersize=4)
        axes.set_xticks(list(places), [str(k) for k, _ in found])
        axes.set(xlabel="k", ylabel="recall@k", ylim=(0, 1.03))

    return _svg(draw, "Recall by k with 95 % intervals")


def latency_chart(report: Report) -> str:
    """Returns a histogram of the latency of answers."""
    values = [question.latency_ms for question in report.questions]

    def draw(axes: Axes) -> None:
        axes.hist(values, bins=BINS, range=(0.0, 1.05 * max(values)), color=MAIN)
        for share, style in ((50, "-"), (95, "--")):
            value = report.metrics[f"latency_p{share}"].value
            axes.axvline(value, color=INK, linestyle=style, linewidth=1)
            height = axes.get_ylim()[1] * (1 if share == 50 else 0.9)
            axes.annotate(f"p{share} {value:.1f} ms", (value, height), (4, 0), textcoords="offset points", va="top")
        axes.set(xlabel="milliseconds of an answer", ylabel="questions", xlim=(0, None))

    return _svg(draw, "Latency of answers")


def ablation_chart(ablation: Ablation, measure: str) -> str:
    """Returns a chart of each variant's difference from the default in a measure, with intervals."""
    rows = [(row.variant.stage, row.variant.name, row.against[measure]) for row in ablation.rows if row.against]

    def draw(axes: Axes) -> None:
        for place, (_, _, each) in enumerate(rows):
            colour = {"better": GOOD, "worse": BAD}.get(each.verdict, INK)
            difference = each.difference
            low, high = difference.value - difference.low, difference.high - difference.value
            axes.errorbar(difference.value, place, xerr=[[low], [high]], color=colour, capsize=3, marker="o")
        axes.axvline(0, color=INK, linewidth=1)
        axes.set_yticks(range(len(rows)), [f"{stage}: {name}" for stage, name, _ in rows])
        axes.invert_yaxis()
        axes.set(xlabel=f"difference in {measure} from the default")

    return _svg(draw, f"Difference of each variant in {measure}", height=0.9 + 0.27 * len(rows), width=6.4)


def _svg(draw: Callable[[Axes], None], label: str, width: float = SIZE[0], height: float = SIZE[1]) -> str:
    """Draws a chart and returns it as an SVG element."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure.add_subplot())
        text = StringIO()
        figure.savefig(
            text, format="svg", transparent=True, metadata=dict.fromkeys(("Creator", "Date", "Format", "Type"))
        )
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'<g id="[^"]*">', "<g>", svg)  # ids would repeat in every chart; nothing refers to them
    for colour, name in PROPERTIES.items():
        svg = svg.replace(colour, f"var({name})")
    return svg.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)
