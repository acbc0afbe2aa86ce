"""The command `eval`: how good retrieval is, with statistics."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from rag_qa.cli.gold import GOLD, check, draft
from rag_qa.cli.options import index_option, json_option, open_engine, print_json, settings_of
from rag_qa.errors import WriteError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rag_qa.evaluation.report.outcome import Outcome
    from rag_qa.evaluation.results import Report
    from rag_qa.evaluation.run.subjects import Subject
    from rag_qa.indexer.build import Progress
    from rag_qa.settings import Settings

__all__ = ["evaluate"]

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
@click.option(
    "--stage", "stages", multiple=True, metavar="NAME", help="Only this stage of --ablate: search, fusion, context, …"
)
@click.option("--calibrate", "calibrated", is_flag=True, help="Fit confidence to the questions, for this index alone.")
@click.option("--html", metavar="FILE", type=a_path, help="Write a report as one HTML page.")
@click.option("--trec", metavar="DIR", type=a_path, help="Write run and qrels files in TREC's form.")
@json_option
@click.pass_context
def evaluate(context: click.Context, /, **options: Any) -> int:  # noqa: ANN401
    """Check retrieval against questions with known answers.

    Several collections, and gold questions beside them, are shown in one table.
    """
    if context.invoked_subcommand is None:
        return _evaluate(**options)
    given = [name for name in options if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    if given:
        raise click.UsageError(f"Options of `{context.invoked_subcommand}` come after its name.")
    return 0


evaluate.add_command(check)
evaluate.add_command(draft)


def _evaluate(
    *,
    index: str | None,
    changes: tuple[str, ...],
    html: Path | None,
    verbose: bool,
    as_json: bool,
    calibrated: bool,
    **options: Any,  # noqa: ANN401
) -> int:
    settings = settings_of({"index": index} | _changes(changes))
    if calibrated:
        _check_alone(html=html, verbose=verbose, **options)
        collections = (*options["collection"], *options["beir"])
        _check_usage(collections, index=index, gold=options["gold"], gated=False, keep=False)
        return _calibrate(collections, options["gold"], settings, as_json=as_json)
    if html:
        _check_page(html)
    outcomes = _outcomes(index=index, settings=settings, changed=bool(changes), **options)
    if as_json:
        print_json(_as_json(outcomes))
    else:
        _show(outcomes, verbose=verbose)
    if html:
        from rag_qa.evaluation.report.page import write_page

        write_page(outcomes, html)
    return int(any(each.gate is not None and not each.gate.passed for each in outcomes))


def _outcomes(
    *,
    index: str | None,
    settings: "Settings",
    changed: bool,
    gold: Path | None,
    beir: tuple[Path, ...],
    collection: tuple[Path, ...],
    base: Path | None,
    gated: bool,
    keep: bool,
    ablated: bool,
    stages: tuple[str, ...],
    trec: Path | None,
) -> "list[Outcome]":
    """What was found out about each collection, the gold last; what it is compared with is read first."""
    collections = (*collection, *beir)
    if stages and not ablated:
        raise click.UsageError("--stage chooses what --ablate does: give that as well.")
    _check_usage(collections, index=index, gold=gold, gated=gated, keep=keep)
    gold = gold or (None if collections else GOLD)

    from rag_qa.cli.terminal import progress_bar
    from rag_qa.evaluation.compare.ablation import ablate, variants
    from rag_qa.evaluation.compare.comparison import base_of, compare, load_reports
    from rag_qa.evaluation.compare.gate import Gate, write_baseline
    from rag_qa.evaluation.report.aggregates import make_report
    from rag_qa.evaluation.report.outcome import Outcome
    from rag_qa.evaluation.report.trec import write_trec
    from rag_qa.evaluation.run.subjects import check_folder

    for folder in collections:
        check_folder(folder)
    bases = load_reports(base) if base else []
    gate = Gate.load(gold.parent) if gated and gold else None
    if keep and gold and not os.access(gold.parent, os.W_OK):
        raise click.UsageError(f"--write-baseline: the folder “{gold.parent}” cannot be written to.")
    if trec:
        trec.mkdir(parents=True, exist_ok=True)
    outcomes: list[Outcome] = []
    with progress_bar() as tell:
        for subject in _subjects(collections, gold, settings, tell):
            ablation = None
            if ablated:
                evaluation, ablation = ablate(subject, variants(subject.engine, stages), tell)
            else:
                evaluation = subject.evaluate(tell)
            if trec:
                write_trec(subject.name, evaluation, trec)
            report = make_report(subject.name, subject.engine, evaluation)
            if not (changed or ablated):
                _keep(subject.engine.index.folder, report)
            comparison = compare(base_of(report, bases), report) if bases else None
            outcomes.append(Outcome(report, comparison, gate.check(report) if gate else None, ablation))
    verdict = outcomes[0].gate
    if keep and verdict is not None and not verdict.passed:
        click.echo(
            "The baseline stays as it was, since the gate is not passed: leave out --gate to replace it.", err=True
        )
    elif keep and gold:
        click.echo(f"Kept as {write_baseline(outcomes[0].report, gold.parent)}.", err=True)
    return outcomes


def _keep(index: Path, report: "Report") -> None:
    """Keeps a report in the index, for its page of the collection."""
    from rag_qa.evaluation.report.saved import keep_report

    try:
        keep_report(index, report)
    except WriteError as error:
        click.echo(f"The report is not kept in the index: {error}", err=True)


def _check_alone(**options: Any) -> None:  # noqa: ANN401
    """Sees that nothing is asked for that calibrating does not do."""
    others = {
        "base": "--compare", "gated": "--gate", "keep": "--write-baseline", "ablated": "--ablate", "stages": "--stage",
        "html": "--html", "trec": "--trec", "verbose": "--verbose",
    }  # fmt: skip
    if given := [name for option, name in others.items() if options[option]]:
        raise click.UsageError(f"--calibrate and {given[0]} do not go together: give them one after the other.")


def _calibrate(collections: "Sequence[Path]", gold: Path | None, settings: "Settings", *, as_json: bool) -> int:
    """Fits confidence to the questions about each index, and keeps it there."""
    from rag_qa.answering.confidence import load_calibration, save_calibration
    from rag_qa.cli.terminal import progress_bar
    from rag_qa.evaluation.compare.calibration import calibrate
    from rag_qa.evaluation.report.tables import console_of_tables, show_calibration
    from rag_qa.evaluation.run.subjects import check_folder, judges_documents

    for folder in collections:
        check_folder(folder)
        if judges_documents(folder):
            raise click.UsageError(f"“{folder}” judges whole documents: calibrating needs quotes as evidence.")
    made = []
    with progress_bar() as tell:
        for subject in _subjects(collections, gold or (None if collections else GOLD), settings, tell):
            engine = subject.engine
            known, _ = load_calibration(None, engine.info.encoder.digest, engine.settings)
            found = calibrate(subject.name, subject.gold, engine, known, tell)
            made.append((subject.name, found, save_calibration(engine.index.folder, found.calibration)))
    if as_json:
        shown = [found for _, found, _ in made]
        print_json(shown[0] if len(shown) == 1 else {"collections": shown})
    else:
        console = console_of_tables()
        for name, found, path in made:
            show_calibration(name, found, path, console)
    return 0


def _check_page(path: Path) -> None:
    """Sees that a page can be written, and writes over nothing but a page."""
    if not path.parent.is_dir():
        raise click.UsageError(f"--html: there is no folder “{path.parent}”.")
    if path.is_dir() or (path.is_file() and path.stat().st_size and path.read_bytes()[:9].lower() != b"<!doctype"):
        raise click.UsageError(f"--html: “{path}” is there and is no page: name another file.")


def _check_usage(
    collections: "Sequence[Path]", *, index: str | None, gold: Path | None, gated: bool, keep: bool
) -> None:
    if collections and index and gold is None:
        raise click.UsageError("A collection has an index of its own: leave out --index, or give --gold as well.")
    if (gated or keep) and collections:
        raise click.UsageError("--gate and --write-baseline are for gold questions: leave out the collections.")
    names = [folder.resolve().name for folder in collections]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise click.UsageError(f"Two collections are called “{twice[0]}”: evaluate them one after the other.")


def _show(outcomes: "Sequence[Outcome]", *, verbose: bool) -> None:
    from rag_qa.evaluation.report import tables

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
    from rag_qa.evaluation.gold.gold_file import load_gold
    from rag_qa.evaluation.run.subjects import gold_subject, open_collection
    from rag_qa.files import shown_path

    questions = load_gold(gold) if gold is not None else []
    for folder in collections:
        subject = open_collection(folder, settings, tell)
        with subject.engine as engine:
            if lost := engine.collection.failed():
                click.echo(
                    f"{len(lost)} files of {folder} gave no document, as {lost[0].path}: {lost[0].reason}.", err=True
                )
            yield subject
    if gold is not None:
        with open_engine(settings) as engine:
            yield gold_subject(shown_path(gold), questions, engine)


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
