"""An evaluation as tables for the terminal."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rag_qa.evaluation.run import QuestionResult, Report
from rag_qa.terminal import printable

__all__ = ["show_report"]

SHOWN_PASSAGES = 3
EXCERPT = 100


def show_report(report: Report, console: Console, *, verbose: bool) -> None:
    """The metrics with their intervals; with `verbose`, every question and its first passages."""
    if verbose:
        for question in report.questions:
            _show_question(question, console)
    counts = report.counts
    table = Table(title=f"{report.collection}: {counts['answerable']} of {counts['questions']} questions answerable")
    for column in ("measure", "mean", "95 % interval"):
        table.add_column(column, justify="left" if column == "measure" else "right")
    for name, aggregate in report.metrics.items():
        table.add_row(name, f"{aggregate.value:.3f}", f"{aggregate.low:.3f} to {aggregate.high:.3f}")
    console.print(table)
    console.print(f"snapshot {report.snapshot}", style="dim")


def _show_question(question: QuestionResult, console: Console) -> None:
    rank = next((str(item.rank) for item in question.retrieved if item.relevant), "none")
    kind = f"first relevant passage: {rank}" if question.answerable else "not answerable from these documents"
    console.print(Text(f"{question.id}  {question.question}", style="bold"), Text(f"({kind})", style="dim"))
    for item in question.retrieved[:SHOWN_PASSAGES]:
        state = "relevant" if item.relevant else ""
        state += ", marked" if item.marked else ""
        excerpt = " ".join(printable(item.text).split())[:EXCERPT]
        console.print(
            Text(f"    {item.rank}  {item.score:.3f}  {printable(item.document)}:{item.start}  {state}"), style="cyan"
        )
        console.print(Text(f"       {excerpt} …", style="dim"))
    console.print()
