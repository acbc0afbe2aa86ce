"""The command `keys`: makes, lists and revokes API keys."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rag_qa.cli.options import json_option, keys_file_option, print_json, settings_of

if TYPE_CHECKING:
    from rag_qa.service.keys import Key

__all__ = ["keys"]


@click.group()
def keys() -> None:
    """Make, list and revoke the API keys of a service that is reached over a network."""


@keys.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    default=("ask",),
    show_default=True,
    type=click.Choice(["ask", "admin"]),
    help="What it opens: ask, or admin (which may also ask).",
)
@keys_file_option
@json_option
def create(name: str, scopes: tuple[Any, ...], as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """Make a key for NAME, a person or a program, and print it: it is shown this once."""
    from rag_qa.service.keys import create_key

    made, whole = create_key(_file(options), name, tuple(dict.fromkeys(scopes)))
    if as_json:
        print_json(_shown(made) | {"key": whole})
    else:
        click.echo(whole)
        click.echo(
            f"Key {made.id} for {name} ({', '.join(made.scopes)}): keep it now, it is not shown again.", err=True
        )


@keys.command("list")
@keys_file_option
@json_option
def list_keys(as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """List all keys, those that were revoked among them."""
    from rag_qa.service.keys import read_keys

    found = read_keys(_file(options))
    if as_json:
        print_json([_shown(key) for key in found])
        return
    for key in found:
        state = f"revoked {key.revoked}" if key.revoked else "valid"
        click.echo(f"{key.id}  {', '.join(key.scopes):10}  made {key.created}  {state}  {key.name}")
    if not found:
        click.echo("There are no keys: make one with `rag-qa keys create NAME`.", err=True)


@keys.command()
@click.argument("key", metavar="ID|NAME")
@keys_file_option
@json_option
def revoke(key: str, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """Revoke a key; a running service refuses it from now on."""
    from rag_qa.service.keys import revoke_key

    revoked = revoke_key(_file(options), key)
    if as_json:
        print_json(_shown(revoked))
    else:
        click.echo(f"Key {revoked.id} for {revoked.name} is revoked.")


def _file(options: dict[str, Any]) -> Path:
    return Path(settings_of(options).keys_file)


def _shown(key: "Key") -> dict[str, Any]:
    """Returns the fields of a key that may be shown: all but its digest."""
    from msgspec import structs

    return {name: value for name, value in structs.asdict(key).items() if name != "sha256"}
