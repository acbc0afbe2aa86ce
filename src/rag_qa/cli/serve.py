"""The commands `serve` and `mcp`: the collection for programs, over HTTP or over standard input and output."""

import sys
from typing import Any

import click

from rag_qa.cli.options import (
    allowed_host_option,
    ensure_default_index,
    host_option,
    index_option,
    keys_file_option,
    port_option,
    require_keys_option,
    settings_of,
)

__all__ = ["mcp", "serve"]


@click.command()
@index_option
@host_option
@port_option
@allowed_host_option
@keys_file_option
@require_keys_option
@click.option("--mcp", is_flag=True, default=None, help="Answer MCP clients too, at /mcp.")
def serve(**options: Any) -> None:  # noqa: ANN401
    """Answer questions over HTTP; the interface is described at /schema.

    On another address than loopback, an API key is asked for: see `rag-qa keys`.
    """
    _serve(**options)


@click.command()
@index_option
@click.option("--http", is_flag=True, help="Over HTTP, at /mcp: the same as `serve --mcp`.")
@host_option
@port_option
@allowed_host_option
@keys_file_option
@require_keys_option
def mcp(*, http: bool, **options: Any) -> None:  # noqa: ANN401
    """Answer MCP clients, programs with a language model, over standard input and output."""
    if http:
        _serve(mcp=True, **options)
        return
    index = options.pop("index")
    if any(value not in (None, ()) for value in options.values()):
        raise click.UsageError("The options of a server are for --http: add it, or leave them out.")
    settings = settings_of({"index": index})
    if sys.stdin is None:
        raise click.UsageError("Standard input is closed: a client has to write to it, or give --http.")
    ensure_default_index(settings)

    from rag_qa.service.mcp.server import serve_stdio

    serve_stdio(settings)


def _serve(allowed_hosts: tuple[str, ...], **options: Any) -> None:  # noqa: ANN401
    settings = settings_of(options | {"allowed_hosts": allowed_hosts or None})
    ensure_default_index(settings)

    from rag_qa.service.server import serve as run

    def announce(url: str) -> None:
        for_models = f", MCP: {url}/mcp" if settings.mcp else ""
        click.echo(f"rag_qa answers on {url} (description: {url}/schema{for_models}).")

    run(settings, on_ready=announce)
