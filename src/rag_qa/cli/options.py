"""Helpers that several commands share: options, settings, the default index, output as JSON."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rag_qa.engine import Engine
    from rag_qa.settings import Settings

__all__ = [
    "allowed_host_option",
    "ensure_default_index",
    "host_option",
    "index_option",
    "json_option",
    "keys_file_option",
    "open_engine",
    "port_option",
    "print_json",
    "require_keys_option",
    "settings_of",
    "standard_input",
]

index_option = click.option("--index", metavar="DIR", help="Folder of the index (default: index).")
host_option = click.option("--host", metavar="ADDRESS", help="Address to listen on (default: 127.0.0.1).")
port_option = click.option(
    "--port", type=int, metavar="N", help="Port to listen on, 0 for any free one (default: 8080)."
)
allowed_host_option = click.option(
    "--allowed-host", "allowed_hosts", multiple=True, metavar="NAME", help="Host name to answer to."
)
keys_file_option = click.option("--keys-file", metavar="FILE", help="File of the API keys (default: rag-qa-keys.json).")
require_keys_option = click.option(
    "--require-keys", is_flag=True, default=None, help="Ask for a key on loopback, too: behind a proxy."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


def settings_of(options: dict[str, Any]) -> "Settings":
    """Returns the settings: the environment, the file, and the options that are not None.

    Raises:
        SettingsError: a setting has an unknown name or an unusable value.
    """
    from rag_qa.settings import load_settings

    return load_settings(options, os.environ)


def print_json(value: object) -> None:
    """Prints a record as one JSON object."""
    import msgspec

    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=1))


def standard_input() -> bytes:
    """Reads all of standard input.

    Raises:
        UsageError: it is closed.
    """
    if sys.stdin is None:
        raise click.UsageError("Standard input is closed: give an argument instead of “-”.")
    return sys.stdin.buffer.read()


def open_engine(settings: "Settings") -> "Engine":
    """Opens the index; builds the default index first where it is missing."""
    ensure_default_index(settings)

    from rag_qa.engine import Engine

    return Engine.open(settings.index, settings)


def ensure_default_index(settings: "Settings") -> None:
    """Builds the default index if it is missing and no index was named, so that the first command answers."""
    if "index" in settings.given or Path(settings.index, "current").exists() or not Path(settings.documents).is_dir():
        return

    from rag_qa.errors import IndexMissingError, SnapshotError
    from rag_qa.index import open_history

    try:
        open_history(settings.index).current()
    except IndexMissingError:
        pass  # nothing was ever indexed there
    except SnapshotError:
        return  # `current` is lost, and opening the index says so

    from rag_qa.cli.terminal import progress_bar
    from rag_qa.indexer.build import build

    click.echo(f"Building the index of {settings.documents}/ in {settings.index}/, once.", err=True)
    with progress_bar() as progress:
        build([settings.documents], settings.index, settings, progress)
