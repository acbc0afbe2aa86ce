"""`ask --batch`: asks many questions, shows progress, and resumes a run that was stopped."""

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rag_qa.cli.options import open_engine, standard_input

if TYPE_CHECKING:
    from rag_qa.cli.batch_answers import Record, Tally
    from rag_qa.cli.batch_questions import BatchOptions, BatchQuestion
    from rag_qa.engine import Engine
    from rag_qa.settings import Settings

__all__ = ["ask_batch"]

GO_ON = "Stopped. Ask again with the same --output to go on."
NOTHING_KEPT = "Stopped. With --output, asking again would go on from here."


def ask_batch(batch: Path, output: Path | None, options: "BatchOptions", settings: "Settings") -> int:
    """Answers the questions of a file to another, or to standard output; returns the exit code."""
    from rag_qa.cli.batch_answers import check_output
    from rag_qa.cli.batch_questions import check_questions, read_questions

    if str(output) == "-":
        output = None
    is_typed = str(batch) == "-"
    name = "Standard input" if is_typed else str(batch)
    questions = read_questions(standard_input() if is_typed else batch.read_bytes(), name, options)
    if output:
        check_output(output, None if is_typed else batch)
    with open_engine(settings) as engine:
        try:
            check_questions(questions, name, options, engine)
            tally = _ask(questions, output, engine)
        except KeyboardInterrupt:
            click.echo(err=True)  # the terminal has shown ^C
            raise click.Abort(GO_ON if output else NOTHING_KEPT) from None
        if engine.calibration_problem:
            click.echo(f"Note: {engine.calibration_problem}", err=True)
    click.echo(f"{tally.answered} answered, {tally.absent} not in this collection.", err=True)
    if tally.failed:
        click.echo(f"{tally.failed} could not be answered, the first in line {tally.first_failed}.", err=True)
    return 2 if tally.failed else 0


def _ask(questions: "list[BatchQuestion]", output: Path | None, engine: "Engine") -> "Tally":
    """Asks all questions that have no record yet; returns the counts of all records."""
    from rag_qa.cli.batch_answers import Tally, ask_one, resume_answers
    from rag_qa.cli.terminal import progress_bar

    with ExitStack() as stack:
        write, tally = _print, Tally()
        if output:
            answers = stack.enter_context(resume_answers(output, questions, engine.info.id))
            write, tally = answers.write, answers.tally
        if tally.done:
            click.echo(f"Going on after line {tally.last}.", err=True)
        # Answers that are printed to the terminal show the progress themselves.
        progress = stack.enter_context(progress_bar(shown=bool(output) or not sys.stdout.isatty()))
        progress("asking", tally.done, len(questions))
        for question in questions[tally.done :]:
            record = ask_one(question, engine)
            write(record)
            tally.add(record)
            progress("asking", tally.done, len(questions))
    return tally


def _print(record: "Record") -> None:
    import msgspec

    click.echo(msgspec.json.encode(record))
