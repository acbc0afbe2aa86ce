"""The command `snapshots`: lists, checks, compares and prunes the snapshots of an index, and rolls back to one."""

from functools import partial
from pathlib import Path
from typing import Any

import click

from rag_qa.cli.options import index_option, json_option, print_json, settings_of

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
    from rag_qa.index.local.snapshot.history import entries
    from rag_qa.index.local.snapshot.layout import current_name

    index = _index(options)
    found = entries(index)
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
        raise IndexDamagedError(f"“{current_name(index)}”, which “current” names, is not there", repair(index))


@snapshots.command()
@click.argument("snapshot", default="current")
@index_option
@json_option
def show(snapshot: str, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """Show what SNAPSHOT (default: current) was made of and with."""
    from msgspec import structs

    from rag_qa.index.local.manifest import read_manifest
    from rag_qa.index.local.snapshot.history import find

    folder = find(_index(options), snapshot)
    manifest = read_manifest(folder)
    if as_json:
        print_json(manifest)
        return
    encoder, counts = manifest.encoder, manifest.counts
    click.echo(f"snapshot   {folder.name}, the {manifest.sequence}. of this index, made {manifest.created}")
    click.echo(f"holds      {counts.documents} documents, {counts.passages} passages, {counts.tokens} tokens")
    click.echo(f"encoder    {encoder.name} {encoder.digest}, {encoder.dimension} numbers, {encoder.window} tokens")
    settings = structs.asdict(manifest.settings)
    click.echo(f"settings   {', '.join(f'{name} {value}' for name, value in settings.items() if value != '')}")
    for segment in manifest.segments:
        graph = segment.graph
        how = f"graph, recall@100 {graph.recall:.4f} at effort {graph.effort}" if graph else "exact search"
        click.echo(f"segment    {segment.name}, {segment.passages} passages, {how}")
    size = sum(record.size for record in manifest.files.values())
    click.echo(f"files      {len(manifest.files)}, {_megabytes(size)}")


@snapshots.command()
@click.argument("snapshot", default="current")
@click.option("--all", "every", is_flag=True, help="Check all snapshots.")
@index_option
@json_option
def verify(snapshot: str, every: bool, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """Check every file of SNAPSHOT (default: current) byte for byte."""
    from rag_qa.errors import IndexDamagedError
    from rag_qa.index.local.manifest import read_manifest
    from rag_qa.index.local.snapshot.history import advice, entries, find, verify_snapshot

    index = _index(options)
    names = [entry.name for entry in entries(index)] if every else [find(index, snapshot).name]
    verified = [verify_snapshot(index, index / "snapshots" / name) for name in names]
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
        raise IndexDamagedError(f"{broken[0]} is not what was written{others}", advice(index, verified))
    if not every:
        read_manifest(index / "snapshots" / names[0])  # for the advice about a snapshot of another format version


@snapshots.command()
@click.argument("snapshot", required=False)
@index_option
@json_option
def rollback(snapshot: str | None, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """Let SNAPSHOT (default: the next older one) answer; a running server follows."""
    from rag_qa.index.local.snapshot.history import roll_back

    now, before = roll_back(_index(options), snapshot)
    if as_json:
        print_json({"current": now.name, "before": before})
    else:
        instead = f" instead of {before}" if before not in {None, now.name} else ""
        click.echo(f"{now.name} answers now{instead}. Indexing again goes on from it.")


@snapshots.command()
@click.option("--keep", type=click.IntRange(min=1), metavar="N", help="How many to keep (default: 3).")
@index_option
@json_option
def prune(keep: int | None, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """Leave N snapshots, the current one and the newest others; remove those that nobody can read any more, too."""
    from rag_qa.cli.terminal import WAITING
    from rag_qa.index.local.snapshot.history import prune_snapshots

    settings = settings_of(options | {"keep_snapshots": keep})
    waiting = partial(click.echo, WAITING, err=True)
    pruned = prune_snapshots(Path(settings.index), settings.keep_snapshots, waiting)
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
    from rag_qa.index.local.snapshot import history
    from rag_qa.text.printable import printable

    index = _index(options)
    found = history.diff(index, history.find(index, before), history.find(index, after))
    if as_json:
        print_json(found)
        return
    for name, (old, new) in found.settings.items():
        click.echo(f"{name}: {old} → {new}")
    for state in ("added", "changed", "removed"):
        for path in getattr(found, state):
            click.echo(printable(f"{state:8} {path}"))
    click.echo(f"{len(found.added)} added, {len(found.changed)} changed, {len(found.removed)} removed")


def _index(options: dict[str, Any]) -> Path:
    return Path(settings_of(options).index)


def _megabytes(size: int | None) -> str:
    return f"{(size or 0) / 1e6:.1f} MB"
