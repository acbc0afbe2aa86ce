"""Answers, reports and progress as text for a terminal."""

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from rag_qa.text.printable import in_line, printable
from rag_qa.text.structure import line_starts
from rag_qa.types import Answer, Citation, Part, RankedPassage

if TYPE_CHECKING:  # importing the indexer would make every `ask` 0.1 s slower
    from collections.abc import Iterator, Sequence

    from rag_qa.answering.verification import Verification
    from rag_qa.indexer.build import Progress as ShowProgress
    from rag_qa.indexer.report import IndexReport
    from rag_qa.text.acronyms.lexicon import Acronym

__all__ = ["WAITING", "progress_bar", "show_acronyms", "show_answer", "show_index_report", "show_verification"]

LONGEST_QUOTE = 240
LONGEST_SECTION = 80
MARK = "bold yellow"
WAITING = "Another process is writing this index: waiting until it has finished."
ALSO_SHOWN = 3  # other places of a passage
PLAIN_MARK = "**"  # around highlights where there are no colours


@contextmanager
def progress_bar(*, shown: bool = True) -> "Iterator[ShowProgress]":
    """Shows a progress bar on standard error, where that is a terminal; yields the function that updates it."""
    columns = (TextColumn("{task.description:10}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    hidden = not (shown and console.is_terminal)
    with Progress(*columns, console=console, transient=True, redirect_stdout=False, disable=hidden) as bar:
        tasks = {}

        def show(stage: str, done: int, total: int) -> None:
            if stage == "waiting":
                bar.console.print(WAITING)
                return
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=total)
            bar.update(tasks[stage], completed=done, total=total)

        yield show


def show_answer(answer: Answer, console: Console) -> None:
    """Prints the best sentence with its citation, then the ranked passages with their highlights marked."""
    if answer.answered:
        quote, line = _quote(answer.passages[0])
        where = _place(answer.passages[0].citation, line)
        console.print(
            Text.assemble("“", (quote, "bold"), "”\n", ("  — " + where + _sureness(answer), "dim")), end="\n\n"
        )
    else:
        nearest = "; the nearest text:" if answer.passages else ": no document passes the filters."
        console.print(f"Nothing in this collection answers this{_sureness(answer)}{nearest}", style="bold", end="\n\n")
        if answer.passages and answer.why_not:
            console.print(Text(in_line(answer.why_not)), soft_wrap=True, end="\n\n")
    for each in answer.expansions:
        found = in_line(f"also searched: {each.term} as “{each.expanded}”, from {each.document}")
        console.print(Text(found, style="dim"), soft_wrap=True)
    for part in answer.parts:
        console.print(Text(in_line(f"asked apart: {part.question} {_found_for(part)}"), style="dim"), soft_wrap=True)
    if answer.expansions or answer.parts:
        console.print()
    for passage in answer.passages:
        scores = passage.scores
        console.print(
            Text.assemble(
                (f"{passage.rank}  ", "bold"),
                (_place(passage.citation, passage.citation.line), "cyan"),
                (
                    f"  score {passage.score:.2f} (dense {scores.dense:.2f}, words {scores.lexical:.2f}), "
                    f"{passage.tokens} tokens",
                    "dim",
                ),
            )
        )
        console.print(Padding(_marked(passage, plain=not console.color_system), (0, 0, 0, 3)))
        if passage.also_in:
            shown = ", ".join(_place(each, each.line) for each in passage.also_in[:ALSO_SHOWN])
            others = len(passage.also_in) - ALSO_SHOWN
            more = f" and {others} more places" if others > 0 else ""
            console.print(Padding(Text(f"also in {shown}{more}", style="dim"), (0, 0, 0, 3)))
        console.print()


def show_index_report(report: "IndexReport", console: Console, *, listed: bool) -> None:
    """Prints the counts of an indexing run, and each file that failed with its reason."""
    files = report.files
    others = [("ignored", files.ignored), ("sidecars", files.sidecars)]
    console.print(
        f"files: {files.added} added, {files.changed} changed, {files.renamed} renamed, {files.unchanged} unchanged, "
        f"{files.removed} removed, {len(report.failed)} failed"
        + "".join(f", {count} {name}" for name, count in others if count)
    )
    passages = report.passages
    console.print(
        f"{report.documents} documents, {passages.total} passages ({passages.encoded} encoded, {passages.cached} "
        f"cached), {report.tokens} tokens, {report.seconds:.1f} s, snapshot {report.snapshot}"
    )
    if report.rebuilt:
        console.print(Text(in_line(f"All was read anew: {report.rebuilt}."), style="yellow"), soft_wrap=True)
    if listed:
        for state, paths in report.paths.items():
            for path in paths:
                console.print(Text(f"{state:9} {in_line(path)}"), soft_wrap=True)
    for failed in [*report.failed, *report.failed_records]:
        console.print(Text(in_line(f"failed    {failed.path}: {failed.reason}"), style="red"), soft_wrap=True)


def show_acronyms(acronyms: "Sequence[Acronym]", console: Console) -> None:
    """Prints each pair of acronym and long form on a line, with the place of the long form."""
    for pair in acronyms:
        told = f"{pair.definitions} definitions" if pair.definitions != 1 else "1 definition"
        how = told if pair.definitions else "not defined, spelled by its initials"
        place = f"{pair.path}, characters {pair.start} to {pair.end}; {how}"
        line = Text.assemble((in_line(pair.acronym), "bold"), in_line(f"  {' '.join(pair.long_form.split())}"))
        console.print(line.append(in_line(f"  — {place}"), style="dim"), soft_wrap=True)
    console.print(f"{len(acronyms)} pairs.")


def show_verification(verification: "Verification", console: Console) -> None:
    """Prints the state of each citation, and how many hold."""
    for citation in verification.citations:
        style = "green" if citation.state == "holds" else "bold red"
        line = f"{citation.rank}  {citation.source}: {citation.detail}"
        console.print(Text.assemble((f"{citation.state:10} ", style), in_line(line)), soft_wrap=True)
    holding = sum(citation.state == "holds" for citation in verification.citations)
    console.print(f"{holding} of {len(verification.citations)} citations hold.")


def _found_for(part: Part) -> str:
    """Returns which passages are of a half of the question, and how surely they answer it."""
    if not part.answered:
        return f"Nothing answers this{_sureness(part)}."
    ranks = ", ".join(map(str, part.passages))
    plural = "s" if len(part.passages) > 1 else ""
    passages = f"passage{plural} {ranks}" if ranks else "no passage is shown"
    return f"{passages}{_sureness(part)}"


def _sureness(answer: Answer | Part) -> str:
    """Returns the confidence in brackets; empty where there is none."""
    return "" if answer.confidence is None else f" (confidence {answer.confidence:.2f})"


def _quote(passage: RankedPassage) -> tuple[str, int]:
    """Returns the text that answers best, with its line: the first highlight, or the passage's beginning."""
    if passage.highlights:
        first = passage.highlights[0]
        before = passage.text[: first.start - passage.citation.start]
        return _shortened(first.text), passage.citation.line + len(line_starts(before)) - 1
    return _shortened(passage.text), passage.citation.line


def _shortened(text: str, longest: int = LONGEST_QUOTE) -> str:
    text = " ".join(printable(text).split())
    return text if len(text) <= longest else text[:longest].rsplit(" ", maxsplit=1)[0] + " …"


def _place(citation: Citation, line: int) -> str:
    if citation.page is not None:
        place = f"{citation.page_unit} {citation.page}"
    elif citation.record is not None:
        place = f"record {citation.record}"
    else:
        place = f"line {line}"
    section = f", in “{_shortened(citation.section, LONGEST_SECTION)}”" if citation.section else ""
    return in_line(f"{citation.source}, {place}{section}")


def _marked(passage: RankedPassage, *, plain: bool) -> Text:
    text = Text()
    position = passage.citation.start
    for highlight in passage.highlights:
        text.append(_slice(passage, position, highlight.start))
        marked = printable(highlight.text)
        text.append(f"{PLAIN_MARK}{marked}{PLAIN_MARK}" if plain else marked, style=MARK)
        position = highlight.end
    text.append(_slice(passage, position, passage.citation.end))
    return text


def _slice(passage: RankedPassage, start: int, end: int) -> str:
    return printable(passage.text[start - passage.citation.start : end - passage.citation.start])
