"""The command line: `main`, and the commands that index, ask and verify.

A command is thin: it calls the engine and shows the result.

Exit codes: 0 done; 1 the answer is not in this collection, or a citation does not hold; 2 wrong usage or input; 3 index
missing, damaged or built with other settings; 130 stopped by Ctrl-C.
"""

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rag_qa import __version__
from rag_qa.cli.batch import ask_batch
from rag_qa.cli.evaluate import evaluate
from rag_qa.cli.keys import keys
from rag_qa.cli.options import (
    index_option,
    json_option,
    open_engine,
    print_json,
    settings_of,
    standard_input,
)
from rag_qa.cli.serve import mcp, serve
from rag_qa.cli.snapshots import snapshots
from rag_qa.errors import RagQaError

if TYPE_CHECKING:
    from rag_qa.indexer.report import IndexReport

__all__ = ["main"]

STOPPED = 130
STOPPED_INDEXING = "Stopped. An index is never left half-written; indexing again goes on from here."
a_path = click.Path(path_type=Path)


def main() -> None:
    """Runs the command line and exits; prints each RagQaError as one sentence on standard error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot show a letter shows a question mark
    try:
        code: object = cli.main(standalone_mode=False)
    except SystemExit as error:  # click exits with 1 where the output is closed, as by `| head`
        code = 0 if error.code == 1 else error.code
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt) as error:
        click.echo(str(error) or STOPPED_INDEXING, err=True)
        code = STOPPED
    except RagQaError as error:
        from rag_qa.text.printable import in_line

        # The message may hold the name of a document, and that a terminal's control characters.
        click.echo(in_line(str(error)), err=True)
        code = error.exit_code
    except OSError as error:
        click.echo(f"{error.filename or 'A file'} cannot be used: {error.strerror or error}.", err=True)
        code = 2
    sys.exit(code if isinstance(code, int) else 0)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="rag-qa")
def cli() -> None:
    """Ask a folder of documents; get ranked passages, each with a citation that anyone can check."""


cli.add_command(evaluate)
cli.add_command(keys)
cli.add_command(mcp)
cli.add_command(serve)
cli.add_command(snapshots)


@cli.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path(path_type=Path))
@index_option
@click.option("--encoder", metavar="NAME", help="Encoder: all-MiniLM-L6-v2, a folder, or a model hub's name.")
@click.option("--exact", "precision", flag_value="float32", help="Encode in full precision, which takes longer.")
@click.option("--passage-tokens", type=int, metavar="N", help="Longest passage, in the encoder's tokens.")
@click.option("--overlap-tokens", type=int, metavar="N", help="How much neighbouring passages share.")
@click.option("--context-tokens", type=int, metavar="N", help="Most of title and headings encoded with a passage.")
@click.option("--ocr/--no-ocr", default=None, help="Read images and scans with Tesseract (default: no).")
@click.option("--ocr-language", metavar="NAME", help="Tesseract's name of their language (default: eng).")
@click.option("--feed-text", metavar="FIELD", help="Field of JSON records that holds the text.")
@click.option("--feed-title", metavar="FIELD", help="The same for the title.")
@click.option("--feed-date", metavar="FIELD", help="The same for the date.")
@click.option("--feed-url", metavar="FIELD", help="The same for the address.")
@click.option("--readers", type=int, metavar="N", help="Processes that read files (default: 2).")
@click.option("--read-seconds", type=float, metavar="S", help="Longest time for one file (default: 120).")
@click.option("--read-memory-mb", type=int, metavar="MB", help="Most memory for one file (default: 2048).")
@click.option("--max-file-mb", type=int, metavar="MB", help="Largest file that is read (default: 512).")
@click.option("--wait/--no-wait", default=True, help="Wait while another process writes the index (default: wait).")
@click.option("--dry-run", is_flag=True, help="Report what would be done, and write nothing.")
@click.option("--watch", "watched", is_flag=True, help="Go on, and follow every change of the files.")
@click.option("--list", "listed", is_flag=True, help="Also name each file and what became of it.")
@json_option
def index(
    paths: tuple[Path, ...],
    wait: bool,
    dry_run: bool,
    watched: bool,
    listed: bool,
    as_json: bool,
    **options: Any,  # noqa: ANN401
) -> None:
    """Make the files under PATH... the whole collection of an index."""
    if dry_run and watched:
        raise click.UsageError("--dry-run writes nothing and --watch writes again and again: choose one.")
    settings = settings_of(options)

    import msgspec
    from rich.console import Console

    from rag_qa.cli.terminal import WAITING, progress_bar, show_index_report
    from rag_qa.indexer.build import build

    def note_waiting(stage: str, *_: int) -> None:
        if stage == "waiting":
            click.echo(WAITING, err=True)

    def show(report: "IndexReport") -> None:
        if as_json:
            fields = msgspec.to_builtins(report)
            print_json({name: fields[name] for name in fields if listed or name != "paths"})
        else:
            show_index_report(report, Console(), listed=listed)

    if not watched:
        with progress_bar() as progress:
            report = build(paths, settings.index, settings, progress, dry_run=dry_run, wait=wait)
        show(report)
        return

    from rag_qa.indexer.watch import watch

    for outcome in watch(paths, Path(settings.index), settings, note_waiting, wait=wait):
        if isinstance(outcome, RagQaError):
            click.echo(str(outcome), err=True)
        else:
            show(outcome)


@cli.command()
@click.argument("question", required=False)
@click.option(
    "--batch", metavar="FILE", type=a_path, help="Answer the questions of FILE, JSON lines; `-` is standard input."
)
@click.option(
    "--output", metavar="FILE", type=a_path, help="Where the answers of --batch go; what is there is gone on with."
)
@click.option("-k", "k", type=int, default=5, show_default=True, metavar="N", help="How many passages.")
@click.option("--max-tokens", type=int, metavar="N", help="Token budget of the passages together.")
@click.option("--exact-search", is_flag=True, default=None, help="Compare with every passage, also in a large index.")
@click.option("--document", multiple=True, metavar="GLOB", help="Only documents whose path matches, as in .gitignore.")
@click.option("--format", multiple=True, metavar="NAME", help="Only documents of this format: pdf, docx, text, …")
@click.option("--language", multiple=True, metavar="CODE", help="Only documents in this language: en, de, …")
@click.option("--date-from", metavar="DATE", help="Only documents of this day, month or year, or later.")
@click.option("--date-to", metavar="DATE", help="Only documents of this day, month or year, or earlier.")
@click.option("--metadata", multiple=True, metavar="FIELD=VALUE", help="Only documents with this value of a field.")
@index_option
@json_option
def ask(
    question: str | None,
    batch: Path | None,
    output: Path | None,
    k: int,
    max_tokens: int | None,
    as_json: bool,
    **options: Any,  # noqa: ANN401
) -> int:
    """Answer QUESTION with ranked, cited passages; `-` reads it from standard input.

    A line of --batch is {"question": "…"}, with "k", "max_tokens", "filters" in place of the options and an "id" where
    wanted. Its answers are JSON lines, with or without --json.
    """
    from rag_qa.filters import Filters, metadata_filters

    names = [name for name in Filters.__struct_fields__ if name != "metadata"]
    filters = Filters(**{name: options.pop(name) for name in names}, metadata=metadata_filters(options.pop("metadata")))
    if batch is not None:
        if question is not None:
            raise click.UsageError("QUESTION asks one question and --batch those of a file: choose one.")

        from rag_qa.cli.batch_questions import BatchOptions

        return ask_batch(batch, output, BatchOptions(k, max_tokens, filters), settings_of(options))
    if output is not None:
        raise click.UsageError("--output is for the answers of --batch: leave it out, or ask a file of questions.")
    if question is None:
        raise click.UsageError("Missing argument QUESTION: give it, or a file of questions with --batch.")
    if question == "-":
        question = standard_input().decode("utf-8", "surrogateescape").strip()
    with open_engine(settings_of(options)) as engine:
        answer = engine.ask(question, k, max_tokens, filters)
        if as_json:
            print_json(answer)
        else:
            from rich.console import Console

            from rag_qa.cli.terminal import show_answer

            show_answer(answer, Console(highlight=False))
        if engine.calibration_problem:
            click.echo(f"Note: {engine.calibration_problem}", err=True)
        for state in engine.source_states(answer):
            click.echo(f"Note: {state.source} is {state.state} since it was indexed; index again to follow.", err=True)
    return 0 if answer.answered else 1


@cli.command()
@index_option
@json_option
def acronyms(*, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """List the acronyms of the collection with their long forms, and where each stands."""
    with open_engine(settings_of(options)) as engine:
        if as_json:
            print_json(engine.collection.acronyms)
        else:
            from rich.console import Console

            from rag_qa.cli.terminal import show_acronyms

            show_acronyms(engine.collection.acronyms, Console(highlight=False, markup=False))


@cli.command()
@click.argument("answer", default="-", metavar="ANSWER.json", type=click.Path(path_type=Path, allow_dash=True))
@index_option
@json_option
def verify(answer: Path, as_json: bool, **options: Any) -> int:  # noqa: ANN401
    """Check the citations of an answer (of `ask --json`; `-` is standard input) against their source files."""
    settings = settings_of(options)
    data = standard_input() if str(answer) == "-" else answer.read_bytes()

    import msgspec

    from rag_qa.answering.verification import decode_answer, verify_sources

    folders = [Path()]
    if Path(settings.index, "current").exists():
        from rag_qa.index import open_history

        info = open_history(settings.index).info()
        folders = info.source_folders
        settings = msgspec.structs.replace(settings, **msgspec.structs.asdict(info.settings))
    verification = verify_sources(decode_answer(data), folders, settings)
    if as_json:
        print_json(verification)
    else:
        from rich.console import Console

        from rag_qa.cli.terminal import show_verification

        show_verification(verification, Console(highlight=False))
    return 0 if verification.holds else 1
