"""Evaluations as tables on a terminal."""

from typing import TYPE_CHECKING, TypeVar

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rag_qa.evaluation.names import GROUPS, MEASURED, TAGGED
from rag_qa.text.printable import in_line

if TYPE_CHECKING:  # `eval check` shows problems without importing an evaluation
    from collections.abc import Sequence
    from pathlib import Path

    from rag_qa.evaluation.compare.ablation import Ablation, Row
    from rag_qa.evaluation.compare.calibration import Calibrated
    from rag_qa.evaluation.compare.comparison import Change, Comparison
    from rag_qa.evaluation.compare.gate import Verdict
    from rag_qa.evaluation.gold.gold_file import GoldProblem
    from rag_qa.evaluation.report.outcome import Outcome
    from rag_qa.evaluation.results import Aggregate, QuestionResult, Report

__all__ = [
    "GROUPS",
    "console_of_tables",
    "show_ablation",
    "show_calibration",
    "show_comparison",
    "show_gate",
    "show_outcomes",
    "show_problems",
    "show_questions",
    "show_reports",
]

Item = TypeVar("Item")

SHOWN_PASSAGES = 3
EXCERPT = 100
STYLES = {"better": "green", "worse": "bold red"}
WIDTH_OF_NAME, WIDTH_OF_INTERVAL = 26, 23  # columns of the terminal
WIDTH_OF_VARIANT, WIDTH_OF_FIGURE = 38, 15
WIDEST = 400  # columns, where the output is no terminal


def console_of_tables() -> Console:
    """Returns a console that, unless it is a terminal, has room for tables of any width."""
    console = Console(highlight=False, markup=False)
    return console if console.is_terminal else Console(highlight=False, markup=False, width=WIDEST)


def show_outcomes(outcomes: "Sequence[Outcome]", console: Console, *, verbose: bool) -> None:
    """Prints outcomes as tables: with `verbose` every question first, then the reports, then the parts of each."""
    for each in outcomes if verbose else ():
        show_questions(each.report, console)
    show_reports([each.report for each in outcomes], console)
    for each in outcomes:
        if each.ablation:
            show_ablation(each.ablation, console)
        if each.comparison:
            show_comparison(each.comparison, console)
        if each.gate:
            show_gate(each.gate, console)


def show_reports(reports: "Sequence[Report]", console: Console) -> None:
    """Prints all measures with their intervals, one column for each collection."""
    for some in _fitting(reports, WIDTH_OF_INTERVAL, WIDTH_OF_NAME, console):
        table = _table("values with 95 % intervals")
        table.add_column("measure", no_wrap=True)
        for report in some:
            heading = _short(report.collection) if len(reports) > 1 else "value (95 % interval)"
            table.add_column(Text(heading), justify="right")
        for names in GROUPS.values():
            for name in names:
                cells = [_cell(name, report.figures.get(name)) for report in some]
                if any(cells):
                    table.add_row(name, *cells)
            table.add_section()
        console.print(table)
    for report in reports:
        console.print(in_line(f"{_title(report)}, snapshot {report.snapshot}"), style="dim", soft_wrap=True)
    source = {report.abstention.confidence for report in reports}
    if source == {"dense"}:
        console.print("Confidence is the best dense score: answers have none of their own.", style="dim")


def show_calibration(name: str, found: "Calibrated", path: "Path", console: Console) -> None:
    """Prints the measures of a calibration on questions that it was not fitted on, and its path."""
    table = _table(f"{in_line(name)}: confidence, cross-validated")
    table.add_column("measure", no_wrap=True)
    table.add_column("value (95 % interval)", justify="right")
    for measure, value in found.abstention.metrics.items():
        table.add_row(measure, _cell(measure, value))
    console.print(table)
    calibration = found.calibration
    hidden = ", with evidence hidden for want of questions without an answer" if found.hidden else ""
    told = f"answered from {calibration.threshold:.2f} on: {found.answered:.0%} of the answerable questions"
    if found.recognised is not None:
        told += f"; not answered: {found.recognised:.0%} of the others"
    console.print(f"Fitted on {calibration.questions} questions{hidden}; {told}.", soft_wrap=True)
    console.print(in_line(f"Kept as {path}; it belongs to this encoder and these settings."), soft_wrap=True)


def show_questions(report: "Report", console: Console) -> None:
    """Prints every question with its first passages, and the measures by tag."""
    for question in report.questions:
        _show_question(question, console)
    if report.tags:
        table = _table("by tag, of at least ten questions")
        table.add_column("tag")
        for column in ("questions", *TAGGED):
            table.add_column(column, justify="right")
        for tag, each in report.tags.items():
            cells = [_cell(name, each.metrics.get(name)) for name in TAGGED]
            table.add_row(Text(in_line(tag)), str(each.questions), *cells)
        console.print(table)


def show_comparison(comparison: "Comparison", console: Console) -> None:
    """Prints differences by measure with their tests, and the questions that changed most, side by side."""
    table = _table(f"{comparison.collection}: {comparison.questions} questions against {comparison.base_snapshot}")
    table.add_column("measure", no_wrap=True)
    for column in ("base → now", "difference (95 % interval)", "p", "wins/losses/ties"):
        table.add_column(column, justify="right")
    table.add_column("")
    for name, each in comparison.measures.items():
        difference = each.difference
        table.add_row(
            name,
            f"{_number(name, each.base)} → {_number(name, each.value)}",
            f"{_signed(name, difference.value)} ({_signed(name, difference.low)} to {_signed(name, difference.high)})",
            f"{each.p:.4f}",
            f"{difference.wins}/{difference.losses}/{difference.ties}",
            Text(each.verdict, style=STYLES.get(each.verdict, "dim")),
        )
    console.print(table)
    for name, (before, now) in comparison.settings.items():
        console.print(in_line(f"{name}: {before} in the base, {now} now"), style="dim", soft_wrap=True)
    for what, ids in {"other now, or gone": comparison.missing, "new": comparison.added}.items():
        if ids:
            console.print(f"left out, since {what}: {in_line(', '.join(ids))}", soft_wrap=True)
    for change in comparison.changed:
        _show_change(change, console)


def show_gate(gate: "Verdict", console: Console) -> None:
    """Prints the checks that hold, then those that failed."""
    for sentence in gate.checked:
        console.print(Text(in_line(f"holds   {sentence}")), soft_wrap=True)
    for sentence in gate.failed:
        console.print(Text(in_line(f"failed  {sentence}"), style="bold red"), soft_wrap=True)
    console.print(f"The gate is {'passed' if gate.passed else 'not passed'}.")


def show_ablation(ablation: "Ablation", console: Console) -> None:
    """Prints the measures of each variant, and its differences from the default."""
    names = [name for name in MEASURED if name in ablation.rows[0].figures]
    for some in _fitting(names, WIDTH_OF_FIGURE, WIDTH_OF_VARIANT, console):
        table = _table(f"{ablation.collection}: {ablation.questions} questions, each stage against the default")
        for column in ("stage", "variant"):
            table.add_column(column, no_wrap=True)
        for name in some:
            table.add_column(name, justify="right", no_wrap=True)
        stage = ""
        for row in ablation.rows:
            if row.variant.stage != stage and stage:
                table.add_section()
            cells = [_figure(row, name) for name in some]
            table.add_row(row.variant.stage if row.variant.stage != stage else "", row.variant.name, *cells)
            stage = row.variant.stage
        console.print(table)
    console.print(
        "* p < .05 in a paired randomization test, adjusted for all tests of quality in the table, or of latency",
        style="dim",
    )


def show_problems(questions: int, problems: "Sequence[GoldProblem]", console: Console) -> None:
    """Prints the problems of a gold file, line by line."""
    for each in problems:
        line = f"line {each.line:4}  {each.problem}" if each.line else each.problem
        console.print(Text(in_line(line)), soft_wrap=True)
        if each.nearest:
            console.print(Text(f"           nearest: “{' '.join(in_line(each.nearest).split())}”"), soft_wrap=True)
    lines = len({each.line for each in problems if each.line})
    console.print(f"{questions - lines} of {questions} questions can be used." if lines else f"{questions} questions.")


def _show_question(question: "QuestionResult", console: Console) -> None:
    rank = question.first_relevant
    kind = f"first relevant at rank {rank}" if rank else "nothing relevant among the first 100"
    if not question.answerable:
        kind = "not answerable from these documents"
    console.print(Text(in_line(f"{question.id}  {question.question}"), style="bold"), Text(f"({kind})", style="dim"))
    for item in question.retrieved[:SHOWN_PASSAGES]:
        state = "relevant" if item.relevant else ""
        state += ", marked" if item.marked else ""
        excerpt = _excerpt(item.text)
        console.print(
            Text(f"    {item.rank}  {item.score:.3f}  {in_line(item.document)}:{item.start}  {state}"), style="cyan"
        )
        console.print(Text(f"       {excerpt}", style="dim"))
    console.print()


def _show_change(change: "Change", console: Console) -> None:
    table = Table(
        title=Text(in_line(f"{change.id}  {change.question}  (nDCG@10 {change.difference:+.3f})")),
        title_justify="left",
        show_lines=False,
        box=None,
    )
    sides = (change.base, change.now)
    for heading in ("base", "now"):
        table.add_column(heading, ratio=1, overflow="ellipsis", no_wrap=True)
    for rank in range(min(SHOWN_PASSAGES, max(len(side.retrieved) for side in sides))):
        table.add_row(*(_retrieved(side, rank) for side in sides))
    console.print(table)


def _retrieved(question: "QuestionResult", rank: int) -> Text:
    if rank >= len(question.retrieved):
        return Text("–")
    item = question.retrieved[rank]
    excerpt = _excerpt(item.text)
    return Text(
        f"{item.rank} {'+' if item.relevant else '-'} {in_line(item.document)}:{item.start}  {excerpt}",
        style="green" if item.relevant else "",
    )


def _excerpt(text: str) -> str:
    line = " ".join(in_line(text).split())
    return line if len(line) <= EXCERPT else f"{line[:EXCERPT]} …"


def _fitting(columns: "Sequence[Item]", width: int, taken: int, console: Console) -> "list[Sequence[Item]]":
    """Splits columns into groups whose tables fit the console; `taken` is the width of the columns that repeat."""
    count = max(1, (console.width - taken) // width)
    return [columns[first : first + count] for first in range(0, len(columns), count)]


def _figure(row: "Row", name: str) -> Text:
    """Returns a cell with a variant's figure and, below it, its difference from the default."""
    cell = Text(_number(name, row.figures[name].value))
    if row.against and row.against[name].verdict != "equal":
        each = row.against[name]
        star = "*" if each.verdict in STYLES else ""
        cell.append(f"\n{_signed(name, each.difference.value)}{star}", STYLES.get(each.verdict, "dim"))
    return cell


def _cell(name: str, figure: "Aggregate | None") -> str:
    if figure is None:
        return ""
    return f"{_number(name, figure.value)} ({_number(name, figure.low)}–{_number(name, figure.high)})"


def _number(name: str, value: float) -> str:
    """Formats a share with three decimals and no leading zero, milliseconds with one decimal."""
    return f"{value:.1f}" if name.startswith("latency") else f"{value:.3f}".replace("0.", ".", 1)


def _signed(name: str, value: float) -> str:
    return ("-" if value < 0 else "+") + _number(name, abs(value))


def _table(title: str) -> Table:
    return Table(title=Text(in_line(title)), title_justify="left", box=SIMPLE_HEAD)


def _title(report: "Report") -> str:
    counts = report.counts
    return (
        f"{report.collection}: {counts['answerable']} of {counts['questions']} questions answerable, "
        f"{counts['documents']} documents, {counts['passages']} passages"
    )


def _short(collection: str) -> str:
    """Shortens the path of a gold file to the name of a column."""
    return in_line(collection.removesuffix("/gold.jsonl").removesuffix(".jsonl"))
