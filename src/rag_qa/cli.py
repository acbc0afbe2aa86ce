"""The command line: index, ask, serve, eval. Each is thin: it calls the engine and shows what it returns.

Exit codes: 0 done; 1 the answer is not in this collection; 2 wrong usage or input; 3 index missing, damaged or built
with other settings; 130 stopped by Ctrl-C.
"""

import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rag_qa import __version__
from rag_qa.errors import RagQaError

if TYPE_CHECKING:
    from rag_qa.engine import Engine
    from rag_qa.settings import Settings

__all__ = ["main"]

STOPPED = 130

index_option = click.option("--index", metavar="DIR", help="Folder of the index (default: index).")
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


def main() -> None:
    """Runs the command line; every error of ours is one sentence on standard error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot show a letter shows a question mark
    try:
        code: object = cli.main(standalone_mode=False)
    except SystemExit as error:  # click's answer to a reader of our output that has gone, as with `| head`
        code = 0 if error.code == 1 else error.code
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("Stopped. An index is never left half-written; indexing again goes on from here.", err=True)
        code = STOPPED
    except RagQaError as error:
        click.echo(str(error), err=True)
        code = error.exit_code
    except OSError as error:
        click.echo(f"{error.filename or 'A file'} cannot be used: {error.strerror or error}.", err=True)
        code = 2
    sys.exit(code if isinstance(code, int) else 0)


@click.group()
@click.version_option(__version__, prog_name="rag-qa")
def cli() -> None:
    """Ask a folder of documents; get ranked passages, each with a citation that anyone can check."""


@cli.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path(path_type=Path))
@index_option
@click.option("--encoder", metavar="NAME", help="Encoder: all-MiniLM-L6-v2, a folder, or a model hub's name.")
@click.option("--passage-tokens", type=int, metavar="N", help="Longest passage, in the encoder's tokens.")
@click.option("--overlap-tokens", type=int, metavar="N", help="How much neighbouring passages share.")
@click.option("--context-tokens", type=int, metavar="N", help="Most of title and headings encoded with a passage.")
@click.option("--list", "listed", is_flag=True, help="Also name each file and what became of it.")
@json_option
def index(paths: tuple[Path, ...], listed: bool, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """Make the files under PATH... the whole collection of an index."""
    settings = _settings(options)

    import msgspec
    from rich.console import Console

    from rag_qa.indexing import build
    from rag_qa.terminal import progress_bar, show_index_report

    with progress_bar() as tell:
        report = build(paths, settings.index, settings.for_index(), tell)
    if as_json:
        fields = msgspec.to_builtins(report)
        _print_json(fields if listed else {name: fields[name] for name in fields if name != "paths"})
    else:
        show_index_report(report, Console(), listed=listed)


@cli.command()
@click.argument("question")
@click.option("-k", "k", type=int, default=5, show_default=True, metavar="N", help="How many passages.")
@click.option("--max-tokens", type=int, metavar="N", help="Token budget of the passages together.")
@index_option
@json_option
def ask(question: str, k: int, max_tokens: int | None, as_json: bool, **options: Any) -> int:  # noqa: ANN401
    """Answer QUESTION with ranked, cited passages; `-` reads it from standard input."""
    if question == "-":
        if sys.stdin is None:
            raise click.UsageError("Standard input is closed: give the question as an argument.")
        question = sys.stdin.buffer.read().decode("utf-8", "surrogateescape").strip()
    with _open(_settings(options)) as engine:
        answer = engine.ask(question, k, max_tokens)
        if as_json:
            _print_json(answer)
        else:
            from rich.console import Console

            from rag_qa.terminal import show_answer

            show_answer(answer, Console(highlight=False))
        for state in engine.source_states(answer):
            click.echo(f"Note: {state.source} is {state.state} since it was indexed; index again to follow.", err=True)
    return 0 if answer.answered else 1


@cli.command()
@index_option
@click.option("--host", metavar="ADDRESS", help="Address to listen on (default: 127.0.0.1).")
@click.option("--port", type=int, metavar="N", help="Port to listen on, 0 for any free one (default: 8080).")
@click.option("--allowed-host", "allowed_hosts", multiple=True, metavar="NAME", help="Host name to answer to.")
def serve(allowed_hosts: tuple[str, ...], **options: Any) -> None:  # noqa: ANN401
    """Answer questions over HTTP; the interface is described at /schema."""
    settings = _settings(options | {"allowed_hosts": allowed_hosts or None})
    _ensure_default_index(settings)

    from rag_qa.service import serve as run

    run(settings, on_ready=lambda url: click.echo(f"rag_qa answers on {url} (description: {url}/schema)."))


@cli.command("eval")
@index_option
@click.option("--gold", metavar="FILE", type=click.Path(path_type=Path), help="Gold questions (eval/gold.jsonl).")
@click.option("--beir", metavar="DIR", type=click.Path(path_type=Path), help="A public collection in BEIR form.")
@click.option("--verbose", is_flag=True, help="Also show every question and what was found.")
@json_option
def evaluate(gold: Path | None, beir: Path | None, verbose: bool, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """Check retrieval against questions with known answers."""
    if beir and (gold or options["index"]):
        raise click.UsageError("--beir brings its own questions and index: leave out --gold and --index.")
    settings = _settings(options)

    from rich.console import Console

    from rag_qa.evaluation import beir as collections
    from rag_qa.evaluation.gold import load_gold
    from rag_qa.evaluation.report import show_report
    from rag_qa.evaluation.run import evaluate_collection, evaluate_gold
    from rag_qa.terminal import progress_bar

    if beir:
        from rag_qa.engine import Engine
        from rag_qa.indexing import index_documents

        collection = collections.load_collection(beir)
        folder = collections.index_folder(beir)
        with progress_bar() as tell:
            index_documents(collection.documents, folder, settings.for_index(), tell)
            with Engine.open(folder, settings) as engine:
                report = evaluate_collection(collection, engine, tell)
    else:
        gold = gold or Path("eval/gold.jsonl")
        questions = load_gold(gold)
        with _open(settings) as engine, progress_bar() as tell:
            report = evaluate_gold(str(gold), questions, engine, tell)
    if as_json:
        _print_json(report)
    else:
        show_report(report, Console(highlight=False), verbose=verbose)


def _settings(options: dict[str, Any]) -> "Settings":
    from rag_qa.settings import load_settings

    return load_settings(options, os.environ)


def _open(settings: "Settings") -> "Engine":
    _ensure_default_index(settings)

    from rag_qa.engine import Engine

    return Engine.open(settings.index, settings)


def _ensure_default_index(settings: "Settings") -> None:
    """Builds the default index if nobody named one and it is not there, so that the first command answers."""
    if "index" in settings.given or Path(settings.index, "current").exists() or not Path(settings.documents).is_dir():
        return

    from rag_qa.indexing import build
    from rag_qa.terminal import progress_bar

    click.echo(f"Building the index of {settings.documents}/ in {settings.index}/, once.", err=True)
    with progress_bar() as tell:
        build([settings.documents], settings.index, settings.for_index(), tell)


def _print_json(value: object) -> None:
    import msgspec

    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=1))
