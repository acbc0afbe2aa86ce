"""The commands `eval check`, which checks a gold file, and `eval draft`, which adds to one."""

import os
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rag_qa.cli.options import ensure_default_index, index_option, json_option, open_engine, print_json, settings_of

if TYPE_CHECKING:
    from rag_qa.evaluation.gold.draft import Proposal, Quoted
    from rag_qa.index.protocol import SearchIndex

__all__ = ["GOLD", "check", "draft"]

GOLD = Path("eval/gold.jsonl")
a_path = click.Path(path_type=Path)


@click.command()
@click.argument("gold", default=GOLD, type=a_path)
@index_option
@json_option
def check(gold: Path, as_json: bool, **options: Any) -> int:  # noqa: ANN401
    """Check that every quote of GOLD (default: eval/gold.jsonl) stands in its document, once."""
    from rag_qa.evaluation.gold.gold_file import check_gold

    with open_engine(settings_of(options)) as engine:
        questions, problems = check_gold(gold, engine)
    if as_json:
        print_json({"questions": questions, "problems": problems})
    else:
        from rag_qa.evaluation.report.tables import console_of_tables, show_problems

        show_problems(questions, problems, console_of_tables())
    return int(bool(problems))


@click.command()
@click.option(
    "--gold", default=Path("gold.jsonl"), show_default=True, metavar="FILE", type=a_path, help="What to add to."
)
@click.option(
    "--count", default=20, show_default=True, metavar="N", type=click.IntRange(min=1), help="How many passages."
)
@click.option(
    "--csv", "table", metavar="FILE", type=a_path, help="Write them as a table to fill in, instead of asking."
)
@click.option("--from-csv", "filled", metavar="FILE", type=a_path, help="Add the approved rows of a filled-in table.")
@index_option
def draft(gold: Path, count: int, table: Path | None, filled: Path | None, **options: Any) -> None:  # noqa: ANN401
    """Make gold for your own documents: be shown passages worth asking about, and say what you would ask.

    Only what you enter becomes gold.
    """
    if table and filled:
        raise click.UsageError("--csv writes a table and --from-csv reads one: choose one.")

    for written in (gold, table):
        if written and not written.parent.is_dir():
            raise click.UsageError(f"There is no folder “{written.parent}” for “{written.name}”: make it.")
        if written and (written.is_dir() or not os.access(written.parent, os.W_OK)):
            raise click.UsageError(f"“{written}” cannot be written: name another file.")

    from rag_qa.evaluation.gold import draft as drafting
    from rag_qa.evaluation.gold.gold_file import read_gold
    from rag_qa.index import open_index

    settings = settings_of(options)
    ensure_default_index(settings)
    with closing(open_index(settings.index, lambda opened: opened)) as index:
        if filled:
            done = drafting.enter(filled, gold, index)
            click.echo(
                f"{len(done.added)} questions added to {gold}, {done.known} were there already; {done.empty} rows have "
                f"no question, {done.unapproved} are not approved (“yes” in the last column)."
            )
            return
        proposals = drafting.propose(index, count, read_gold(gold) if gold.is_file() else ())
        if table:
            drafting.write_proposals(proposals, table)
            click.echo(
                f"{len(proposals)} passages in {table}: fill in question and quote, write “yes” under approved, then "
                f"run `rag-qa eval draft --from-csv {table} --gold {gold}`."
            )
            return
        added = 0
        for number, proposal in enumerate(proposals, start=1):
            kept, ended = _ask_about(proposal, f"{number} of {len(proposals)}", gold, index)
            added += kept
            if ended:
                click.echo()
                break
        click.echo(f"{added} questions added to {gold}.")


def _ask_about(proposal: "Proposal", number: str, gold: Path, index: "SearchIndex") -> tuple[bool, bool]:
    """Shows a passage and adds a person's draft about it to the gold.

    Returns:
        Whether a draft was added, and whether the person ended the session.
    """
    from rag_qa.text.printable import in_line, printable

    passage = proposal.passage
    click.secho(f"\n{number}  {in_line(proposal.document)}, line {passage.line}", bold=True)
    click.echo(f"{printable(passage.text)}\n")
    try:
        question = _prompt_question(gold)
    except click.Abort:
        return False, True
    if not question:
        return False, False

    from rag_qa.evaluation.gold.draft import Draft, add_questions

    quotes, ended = _prompt_quotes(proposal, index)
    if quotes is None:
        click.echo("Left out.")
    else:
        (added,) = add_questions(gold, [Draft(question, quotes)], index)
        click.echo(f"Kept as {added.id}{'' if quotes else ', not answerable'}.")
    return quotes is not None, ended


def _prompt_question(gold: Path) -> str:
    """Prompts until the question can be asked and is new; empty where the person has none to this passage."""
    from rag_qa.errors import QuestionError
    from rag_qa.evaluation.gold.draft import LONGEST
    from rag_qa.evaluation.gold.gold_file import read_gold
    from rag_qa.retrieval.query import check_question

    known = {question.question for question in read_gold(gold)} if gold.is_file() else set()
    while True:
        question = str(click.prompt("Question (Enter: next passage; Ctrl-D: end)", default="", show_default=False))
        if not question.strip():
            return ""
        try:
            check_question(question, LONGEST)
        except QuestionError as error:
            click.echo(str(error), err=True)
            continue
        if question.strip() not in known:
            return question
        click.echo("That is gold already: ask something else.", err=True)


def _prompt_quotes(proposal: "Proposal", index: "SearchIndex") -> "tuple[list[Quoted] | None, bool]":
    """Prompts for the quotes that answer a question.

    Returns:
        The quotes, empty where nothing answers, None to leave the question out; whether the person ended the session.
    """
    from rag_qa.errors import GoldError
    from rag_qa.evaluation.gold.draft import NOTHING, Quoted, place_quote

    passage = proposal.passage
    quotes: list[Quoted] = []
    first = f"Quote that answers it (“{NOTHING}”: nothing in the documents does; Enter: leave the question out)"
    while True:
        asking = "Another quote (Enter: none)" if quotes else first
        try:
            quote = str(click.prompt(asking, default="", show_default=False)).strip()
        except click.Abort:
            return quotes or None, True
        if not quote or (quote == NOTHING and not quotes):
            return (quotes if quotes or quote else None), False
        quoted = Quoted(proposal.document, passage.start, passage.end, quote)
        try:
            place_quote(quoted, index)
        except GoldError as error:
            click.echo(str(error), err=True)
        else:
            quotes.append(quoted)
