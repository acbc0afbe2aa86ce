"""What several commands share: options, settings, output as JSON."""

import os
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rag_qa.settings import Settings

__all__ = ["index_option", "json_option", "print_json", "settings_of"]

index_option = click.option("--index", metavar="DIR", help="Folder of the index (default: index).")
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


def settings_of(options: dict[str, Any]) -> "Settings":
    """The settings, with those options that were given."""
    from rag_qa.settings import load_settings

    return load_settings(options, os.environ)


def print_json(value: object) -> None:
    """Prints a record as one JSON object."""
    import msgspec

    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=1))
