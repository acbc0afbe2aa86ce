"""The command `eval`: measures retrieval, with statistics."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from rag_qa.cli.gold import GOLD, check, draft
from rag_qa.cli.options import index_option, json_option, open_engine, print_json, settings_of
from rag_qa.errors import WriteError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rag_qa.evaluation.compare.gate import Gate
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


@dataclass(frozen=True, kw_only=True)
class Request:
    """The options of an evaluation."""

    settings: "Settings"
    changed: bool
    """Whether --set changes a setting."""
    collections: tuple[Path, ...]
    gold: Path | None
    """Gold questions that are asked after the collections."""
    base: Path | None
    gated: bool
    keep: bool
    ablated: bool
    stages: tuple[str, ...]
    trec: Path | None


def _evaluate(
    *,
    index: str | None,
    changes: tuple[str, ...],
    gold: Path | None,
    beir: tuple[Path, ...],
    collection: tuple[Path, ...],
    html: Path | None,
    verbose: bool,
    as_json: bool,
    calibrated: bool,
    **options: Any,  # noqa: ANN401
) -> int:
    settings = settings_of({"index": index} | _changes(changes))
    collections = (*collection, *beir)
    if calibrated:
        _check_alone(html=html, verbose=verbose, **options)
        _check_usage(collections, index=index, gold=gold, gated=False, keep=False)
        return _calibrate(collections, gold, settings, as_json=as_json)
    if html:
        _check_page(html)
    if options["stages"] and not options["ablated"]:
        raise click.UsageError("--stage chooses what --ablate does: give that as well.")
    _check_usage(collections, index=index, gold=gold, gated=options["gated"], keep=options["keep"])
    gold = gold or (None if collections else GOLD)
    request = Request(settings=settings, changed=bool(changes), collections=collections, gold=gold, **options)
    outcomes = _outcomes(request)
    if as_json:
        from rag_qa.evaluation.report.outcome import outcome_fields

        shown = [outcome_fields(each) for each in outcomes]
        print_json(shown[0] if len(shown) == 1 else {"collections": shown})
    else:
        from rag_qa.evaluation.report.tables import console_of_tables, show_outcomes

        show_outcomes(outcomes, console_of_tables(), verbose=verbose)
    if html:
        from rag_qa.evaluation.report.page import write_page

        write_page(outcomes, html)
    return int(any(each.gate is not None and not each.gate.passed for each in outcomes))


def _outcomes(request: Request) -> "list[Outcome]":
    """Evaluates the collections, and the gold last; what they are compared with is read before anything is asked."""
    from rag_qa.cli.terminal import progress_bar
    from rag_qa.evaluation.compare.comparison import load_reports
    from rag_qa.evaluation.compare.gate import Gate
    from rag_qa.evaluation.run.subjects import check_folder

    for folder in request.collections:
        check_folder(folder)
    gold = request.gold
    bases = load_reports(request.base) if request.base else []
    gate = Gate.load(gold.parent) if request.gated and gold else None
    if request.keep and gold and not os.access(gold.parent, os.W_OK):
        raise click.UsageError(f"--write-baseline: the folder “{gold.parent}” cannot be written to.")
    if request.trec:
        request.trec.mkdir(parents=True, exist_ok=True)
    with progress_bar() as progress:
        subjects = _subjects(request.collections, gold, request.settings, progress)
        outcomes = [_outcome(subject, request, bases, gate, progress) for subject in subjects]
    if request.keep and gold:
        _write_baseline(outcomes[0], gold.parent)
    return outcomes


def _outcome(
    subject: "Subject", request: Request, bases: "Sequence[Report]", gate: "Gate | None", progress: "Progress"
) -> "Outcome":
    """Evaluates one subject, and writes and keeps what was asked for."""
    from rag_qa.evaluation.compare.ablation import ablate, variants
    from rag_qa.evaluation.compare.comparison import base_of, compare
    from rag_qa.evaluation.report.aggregates import make_report
    from rag_qa.evaluation.report.outcome import Outcome
    from rag_qa.evaluation.report.trec import write_trec

    ablation = None
    if request.ablated:
        evaluation, ablation = ablate(subject, variants(subject.engine, request.stages), progress)
    else:
        evaluation = subject.evaluate(progress)
    if request.trec:
        write_trec(subject.name, evaluation, request.trec)
    report = make_report(subject.name, subject.engine, evaluation)
    if not (request.changed or request.ablated):
        _keep(subject.engine.index.folder, report)
    comparison = compare(base_of(report, bases), report) if bases else None
    return Outcome(report, comparison, gate.check(report) if gate else None, ablation)


def _write_baseline(outcome: "Outcome", folder: Path) -> None:
    """Keeps the report as the baseline, unless the gate is not passed."""
    from rag_qa.evaluation.compare.gate import write_baseline

    if outcome.gate is not None and not outcome.gate.passed:
        click.echo(
            "The baseline stays as it was, since the gate is not passed: leave out --gate to replace it.", err=True
        )
    else:
        click.echo(f"Kept as {write_baseline(outcome.report, folder)}.", err=True)


def _keep(index: Path, report: "Report") -> None:
    """Keeps a report in the index, for the page about the collection; a failure is only a note."""
    from rag_qa.evaluation.report.saved import keep_report

    try:
        keep_report(index, report)
    except WriteError as error:
        click.echo(f"The report is not kept in the index: {error}", err=True)


def _check_alone(**options: Any) -> None:  # noqa: ANN401
    """Raises an error if an option is given that --calibrate does not use."""
    others = {
        "base": "--compare", "gated": "--gate", "keep": "--write-baseline", "ablated": "--ablate", "stages": "--stage",
        "html": "--html", "trec": "--trec", "verbose": "--verbose",
    }  # fmt: skip
    if given := [name for option, name in others.items() if options[option]]:
        raise click.UsageError(f"--calibrate and {given[0]} do not go together: give them one after the other.")


def _calibrate(collections: "Sequence[Path]", gold: Path | None, settings: "Settings", *, as_json: bool) -> int:
    """Fits a calibration to the questions about each index, and keeps it in the index."""
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
    with progress_bar() as progress:
        for subject in _subjects(collections, gold or (None if collections else GOLD), settings, progress):
            engine = subject.engine
            known, _ = load_calibration(None, engine.info.encoder.model, engine.settings)
            found = calibrate(subject.name, subject.gold, engine, known, progress)
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
    """Raises an error if a page cannot be written to the path, or would replace a file that is no page."""
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


def _subjects(
    collections: "Sequence[Path]", gold: Path | None, settings: "Settings", progress: "Progress"
) -> "Iterator[Subject]":
    """Yields the collections, then the gold; the index of each is open until the next is requested."""
    from rag_qa.evaluation.gold.gold_file import load_gold
    from rag_qa.evaluation.run.subjects import gold_subject, open_collection
    from rag_qa.files import shown_path

    questions = load_gold(gold) if gold is not None else []
    for folder in collections:
        subject = open_collection(folder, settings, progress)
        with subject.engine as engine:
            if lost := engine.collection.failed():
                click.echo(
                    f"{len(lost)} files of {folder} gave no document, as {lost[0].path}: {lost[0].reason}.", err=True
                )
            yield subject
    if gold is not None:
        with open_engine(settings) as engine:
            yield gold_subject(shown_path(gold), questions, engine)


def _changes(given: "Sequence[str]") -> dict[str, str]:
    """Parses NAME=VALUE of the command line to settings."""
    for each in given:
        if "=" not in each:
            raise click.UsageError(f"--set {each}: give NAME=VALUE, as in dense_weight=1.")
    return dict(each.split("=", maxsplit=1) for each in given)
