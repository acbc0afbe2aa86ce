"""The command `eval`: how good retrieval is, with statistics, and making the gold that it needs."""

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rag_qa.cli_options import ensure_default_index, index_option, json_option, open_engine, print_json, settings_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rag_qa.corpus import Corpus
    from rag_qa.evaluation.drafting import Proposal
    from rag_qa.evaluation.outcome import Outcome
    from rag_qa.evaluation.subjects import Subject
    from rag_qa.indexing import Progress
    from rag_qa.settings import Settings

__all__ = ["evaluate"]

GOLD = Path("eval/gold.jsonl")
a_path = click.Path(path_type=Path)


@click.group("eval", invoke_without_command=True)
@index_option
@click.option("--gold", metavar="FILE", type=a_path, help="Gold questions about the index (default: eval/gold.jsonl).")
@click.option("--beir", multiple=True, metavar="DIR", type=a_path, help="A public collection in BEIR form.")
@click.option(
    "--collection",
    multiple=True,
    metavar="DIR",
    type=a_path,
    help="The same, or a folder of documents/ and gold.jsonl.",
)
@click.option("--set", "changes", multiple=True, metavar="NAME=VALUE", help="Another value of a setting.")
@click.option("--verbose", is_flag=True, help="Also show every question and what was found.")
@click.option("--compare", "base", metavar="FILE", type=a_path, help="Compare with a report of eval --json.")
@click.option("--gate", "gated", is_flag=True, help="Fail on a missed threshold or a significant loss.")
@click.option("--write-baseline", "keep", is_flag=True, help="Keep this run, beside the gold, for --gate.")
@click.option("--ablate", "ablated", is_flag=True, help="Show what each stage is worth.")
@click.option("--html", metavar="FILE", type=a_path, help="Write a report as one HTML page.")
@click.option("--trec", metavar="DIR", type=a_path, help="Write run and qrels files in TREC's form.")
@json_option
@click.pass_context
def evaluate(context: click.Context, /, **options: Any) -> int:  # noqa: ANN401
    """Check retrieval against questions with known answers.

    Several collections, and gold questions beside them, are shown in one table.
    """
    return 0 if context.invoked_subcommand is not None else _evaluate(**options)


def _evaluate(
    *,
    index: str | None,
    changes: tuple[str, ...],
    html: Path | None,
    verbose: bool,
    as_json: bool,
    **options: Any,  # noqa: ANN401
) -> int:
    outcomes = _outcomes(index=index, settings=settings_of({"index": index} | _changes(changes)), **options)
    if html:
        from rag_qa.evaluation.page import write_page

        write_page(outcomes, html)
    if as_json:
        print_json(_as_json(outcomes))
    else:
        _show(outcomes, verbose=verbose)
    return int(any(each.gate is not None and not each.gate.passed for each in outcomes))


def _outcomes(
    *,
    index: str | None,
    settings: "Settings",
    gold: Path | None,
    beir: tuple[Path, ...],
    collection: tuple[Path, ...],
    base: Path | None,
    gated: bool,
    keep: bool,
    ablated: bool,
    trec: Path | None,
) -> "list[Outcome]":
    """What was found out about each collection, the gold last."""
    collections = (*collection, *beir)
    if collections and index and gold is None:
        raise click.UsageError("A collection has an index of its own: leave out --index, or give --gold as well.")
    if (gated or keep) and collections:
        raise click.UsageError("--gate and --write-baseline are for gold questions: leave out the collections.")
    gold = gold or (None if collections else GOLD)

    from rag_qa.evaluation.ablation import ablate, variants
    from rag_qa.evaluation.comparison import base_of, compare, load_reports
    from rag_qa.evaluation.gate import check_gate, write_baseline
    from rag_qa.evaluation.outcome import Outcome
    from rag_qa.evaluation.report import make_report
    from rag_qa.evaluation.trec import write_trec
    from rag_qa.terminal import progress_bar

    bases = load_reports(base) if base else []
    outcomes: list[Outcome] = []
    with progress_bar() as tell:
        for subject in _subjects(collections, gold, settings, tell):
            ablation = None
            if ablated:
                evaluation, ablation = ablate(subject, variants(subject.engine), tell)
            else:
                evaluation = subject.evaluate(tell)
            if trec:
                write_trec(subject.name, evaluation, trec)
            report = make_report(subject.name, subject.engine, evaluation)
            comparison = compare(base_of(report, bases), report) if bases else None
            gate = check_gate(report, gold.parent) if gated and gold else None
            outcomes.append(Outcome(report, comparison, gate, ablation))
    if keep and gold:
        click.echo(f"Kept as {write_baseline(outcomes[0].report, gold.parent)}.", err=True)
    return outcomes


def _show(outcomes: "Sequence[Outcome]", *, verbose: bool) -> None:
    from rag_qa.evaluation import tables

    console = tables.console_of_tables()
    for each in outcomes if verbose else ():
        tables.show_questions(each.report, console)
    tables.show_reports([each.report for each in outcomes], console)
    for each in outcomes:
        if each.ablation:
            tables.show_ablation(each.ablation, console)
        if each.comparison:
            tables.show_comparison(each.comparison, console)
        if each.gate:
            tables.show_gate(each.gate, console)


def _subjects(
    collections: "Sequence[Path]", gold: Path | None, settings: "Settings", tell: "Progress"
) -> "Iterator[Subject]":
    """What is evaluated, one after the other; each is open until the next is asked for."""
    from rag_qa.evaluation.subjects import gold_subject, open_collection

    for folder in collections:
        subject = open_collection(folder, settings, tell)
        with subject.engine as engine:
            if lost := engine.failed():
                click.echo(
                    f"{len(lost)} files of {folder} gave no document, as {lost[0].path}: {lost[0].reason}.", err=True
                )
            yield subject
    if gold is not None:
        with open_engine(settings) as engine:
            yield gold_subject(gold, engine)


def _as_json(outcomes: "Sequence[Outcome]") -> object:
    """The fields of the report, and what was asked for besides; of several collections a list of these."""
    import msgspec

    shown = []
    for each in outcomes:
        fields = msgspec.to_builtins(each)
        shown.append(fields.pop("report") | {name: value for name, value in fields.items() if value is not None})
    return shown[0] if len(shown) == 1 else {"collections": shown}


def _changes(given: "Sequence[str]") -> dict[str, str]:
    """NAME=VALUE of the command line as settings."""
    for each in given:
        if "=" not in each:
            raise click.UsageError(f"--set {each}: give NAME=VALUE, as in dense_weight=1.")
    return dict(each.split("=", maxsplit=1) for each in given)


@evaluate.command()
@click.argument("gold", default=GOLD, type=a_path)
@index_option
@json_option
def check(gold: Path, as_json: bool, **options: Any) -> int:  # noqa: ANN401
    """Check that every quote of GOLD (default: eval/gold.jsonl) stands in its document, once."""
    from rag_qa.evaluation.gold import check_gold

    with open_engine(settings_of(options)) as engine:
        questions, problems = check_gold(gold, engine)
    if as_json:
        print_json({"questions": questions, "problems": problems})
    else:
        from rag_qa.evaluation.tables import console_of_tables, show_problems

        show_problems(questions, problems, console_of_tables())
    return int(bool(problems))


@evaluate.command()
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

    from rag_qa.corpus import Corpus
    from rag_qa.evaluation import drafting
    from rag_qa.evaluation.gold import read_gold

    settings = settings_of(options)
    ensure_default_index(settings)
    with closing(Corpus.open_current(Path(settings.index))) as corpus:
        if filled:
            done = drafting.enter(filled, gold, corpus)
            click.echo(
                f"{len(done.added)} questions added to {gold}; {done.empty} rows have no question, "
                f"{done.unapproved} are not approved (“yes” in the last column)."
            )
            return
        proposals = drafting.propose(corpus, count, read_gold(gold) if gold.is_file() else ())
        if table:
            drafting.write_proposals(proposals, table)
            click.echo(
                f"{len(proposals)} passages in {table}: fill in question and quote, write “yes” under approved, then "
                f"run `rag-qa eval draft --from-csv {table} --gold {gold}`."
            )
            return
        added = 0
        try:
            for number, proposal in enumerate(proposals, start=1):
                added += _ask_about(proposal, f"{number} of {len(proposals)}", gold, corpus)
        except click.Abort:
            click.echo()
        click.echo(f"{added} questions added to {gold}.")


def _ask_about(proposal: "Proposal", number: str, gold: Path, corpus: "Corpus") -> bool:
    """Shows a passage and records what a person asks about it; whether there was something."""
    from rag_qa.errors import GoldError
    from rag_qa.evaluation.drafting import Asked, Quoted, add_questions, place_quote
    from rag_qa.terminal import printable

    passage = proposal.passage
    click.secho(f"\n{number}  {printable(proposal.document)}, line {passage.line}", bold=True)
    click.echo(f"{printable(passage.text)}\n")
    question = click.prompt("Question (Enter: next passage; Ctrl-D: end)", default="", show_default=False)
    if not question.strip():
        return False
    quotes: list[Quoted] = []
    while True:
        what = (
            "Another quote (Enter: none)" if quotes else "Quote that answers it (Enter: nothing in the documents does)"
        )
        quote = click.prompt(what, default="", show_default=False)
        if not quote.strip():
            break
        quoted = Quoted(proposal.document, passage.start, passage.end, quote)
        try:
            place_quote(quoted, corpus)
        except GoldError as error:
            click.echo(str(error), err=True)
        else:
            quotes.append(quoted)
    (added,) = add_questions(gold, [Asked(question, quotes)], corpus)
    click.echo(f"Kept as {added.id}{'' if quotes else ', not answerable'}.")
    return True
