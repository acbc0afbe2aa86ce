"""The command `snapshots`: lists, checks, compares and prunes the snapshots of an index, and rolls back to one."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rag_qa.cli.options import index_option, json_option, print_json, settings_of

if TYPE_CHECKING:
    from rag_qa.index.protocol import SnapshotHistory

__all__ = ["snapshots"]


@click.group()
def snapshots() -> None:
    """List, check and compare the snapshots of an index, and go back to one.

    SNAPSHOT is `current`, `previous`, or the beginning of a name that `list` shows.
    """


@snapshots.command("list")
@index_option
@json_option
def list_snapshots(as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """List all snapshots, newest first."""
    from rag_qa.errors import IndexDamagedError, repair

    index, history = _opened(options)
    found = history.entries()
    if as_json:
        print_json(found)
    for entry in found if not as_json else []:
        mark = "*" if entry.current else " "
        if entry.counts is None:
            click.echo(f"{mark} {entry.name}  {entry.problem}")
        else:
            segments = "1 segment" if entry.segments == 1 else f"{entry.segments} segments"
            click.echo(
                f"{mark} {entry.name}  {entry.created}  {entry.counts.documents} documents, "
                f"{entry.counts.passages} passages, {segments}, {_megabytes(entry.bytes)}"
            )
    if not any(entry.current for entry in found):
        raise IndexDamagedError(f"“{history.current()}”, which “current” names, is not there", repair(index))


@snapshots.command()
@click.argument("snapshot", default="current")
@index_option
@json_option
def show(snapshot: str, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """Show what SNAPSHOT (default: current) was made of and with."""
    from msgspec import structs

    _, history = _opened(options)
    found = history.details(history.resolve(snapshot))
    if as_json:
        print_json(found.manifest)
        return
    info = found.info
    encoder, counts = info.encoder, info.counts
    click.echo(f"snapshot   {found.name}, the {found.sequence}. of this index, made {info.created}")
    click.echo(f"holds      {counts.documents} documents, {counts.passages} passages, {counts.tokens} tokens")
    click.echo(f"encoder    {encoder.name} {encoder.digest}, {encoder.dimension} numbers, {encoder.window} tokens")
    settings = structs.asdict(info.settings)
    click.echo(f"settings   {', '.join(f'{name} {value}' for name, value in settings.items() if value != '')}")
    for segment in found.segments:
        graph = f"graph, recall@100 {segment.recall:.4f} at effort {segment.effort}" if segment.recall else None
        how = graph or "exact search"
        click.echo(f"segment    {segment.name}, {segment.passages} passages, {how}")
    click.echo(f"files      {found.files}, {_megabytes(found.bytes)}")


@snapshots.command()
@click.argument("snapshot", default="current")
@click.option("--all", "every", is_flag=True, help="Check all snapshots.")
@index_option
@json_option
def verify(snapshot: str, every: bool, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """Check every file of SNAPSHOT (default: current) byte for byte."""
    from rag_qa.errors import IndexDamagedError

    _, history = _opened(options)
    names = [entry.name for entry in history.entries()] if every else [history.resolve(snapshot)]
    verified = [history.verify(name) for name in names]
    if as_json:
        print_json(verified)
    else:
        for each in verified:
            said = f"damaged: {', '.join(each.damaged)}" if each.damaged else f"whole, {each.files} files"
            click.echo(f"{each.name}  {each.problem or said}")
            for path in each.strangers:
                click.echo(f"{each.name}  not of this snapshot: {path}")
    broken = [name for each in verified for name in each.damaged]
    if broken:
        others = f", and so are {len(broken) - 1} more" if len(broken) > 1 else ""
        raise IndexDamagedError(f"{broken[0]} is not what was written{others}", history.advice(verified))
    if not every:
        history.details(names[0])  # says what to do about one of another version


@snapshots.command()
@click.argument("snapshot", required=False)
@index_option
@json_option
def rollback(snapshot: str | None, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """Let SNAPSHOT (default: the next older one) answer; a running server follows."""
    _, history = _opened(options)
    now, before = history.roll_back(snapshot)
    if as_json:
        print_json({"current": now, "before": before})
    else:
        instead = f" instead of {before}" if before not in {None, now} else ""
        click.echo(f"{now} answers now{instead}. Indexing again goes on from it.")


@snapshots.command()
@click.option("--keep", type=click.IntRange(min=1), metavar="N", help="How many to keep (default: 3).")
@index_option
@json_option
def prune(keep: int | None, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """Leave N snapshots, the current one and the newest others; remove those that nobody can read any more, too."""
    from rag_qa.cli.terminal import WAITING
    from rag_qa.index import open_history

    settings = settings_of(options | {"keep_snapshots": keep})
    waiting = partial(click.echo, WAITING, err=True)
    pruned = open_history(settings.index).prune(settings.keep_snapshots, waiting)
    if as_json:
        print_json(pruned)
    else:
        click.echo(f"{len(pruned.removed)} removed, {len(pruned.kept)} kept: {', '.join(pruned.kept)}.")


@snapshots.command()
@click.argument("before")
@click.argument("after", default="current")
@index_option
@json_option
def diff(before: str, after: str, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """Show the documents added, changed and removed from BEFORE to AFTER (default: current)."""
    from rag_qa.text.printable import printable

    _, history = _opened(options)
    found = history.diff(history.resolve(before), history.resolve(after))
    if as_json:
        print_json(found)
        return
    for name, (old, new) in found.settings.items():
        click.echo(f"{name}: {old} → {new}")
    for state in ("added", "changed", "removed"):
        for path in getattr(found, state):
            click.echo(printable(f"{state:8} {path}"))
    click.echo(f"{len(found.added)} added, {len(found.changed)} changed, {len(found.removed)} removed")


def _opened(options: dict[str, Any]) -> "tuple[Path, SnapshotHistory]":
    """The folder of the index, and its snapshots."""
    from rag_qa.index import open_history

    index = Path(settings_of(options).index)
    return index, open_history(index)


def _megabytes(size: int | None) -> str:
    return f"{(size or 0) / 1e6:.1f} MB"
