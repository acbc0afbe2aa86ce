"""Templates to pages, with the headers that keep them to themselves, and the files that they need."""

import hashlib
from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from importlib.resources import files
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar import MediaType, Request, Response
from litestar.datastructures import State
from litestar.exceptions import NotFoundException

from rag_qa import __version__
from rag_qa.answering.references import FORMS
from rag_qa.service.http.problems import SECURITY_HEADERS
from rag_qa.service.keys import Caller
from rag_qa.service.pages.markup import marked

__all__ = ["query", "rendered", "static_file"]

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    **SECURITY_HEADERS,
    "Content-Security-Policy": POLICY,
}
STATIC = {"page.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}


def rendered(
    template: str,
    request: Request[Any, Any, State],
    status: HTTPStatus = HTTPStatus.OK,
    **context: Any,  # noqa: ANN401
) -> Response[str]:
    """A page for whoever sent a request."""
    caller = request.scope.get("user") or Caller()
    page = _environment().get_template(template).render(caller=caller, **context)
    return Response(page, status_code=status, media_type=MediaType.HTML, headers=HEADERS)


def static_file(name: str) -> Response[bytes]:
    """A file of the pages, kept by the browser for as long as it likes: its address holds its digest.

    Raises:
        NotFoundException: there is no such file.
    """
    if name not in STATIC:
        raise NotFoundException
    return Response(_bytes(name), media_type=STATIC[name], headers={"Cache-Control": "max-age=31536000, immutable"})


def query(given: Mapping[str, object], **changed: object) -> str:
    """The query of an address, with some parameters changed or, with None, left out."""
    kept = {name: value for name, value in given.items() if name not in changed}
    return urlencode(kept | {name: str(value) for name, value in changed.items() if value is not None}, doseq=True)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("rag_qa.service.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "version": __version__,
        "static": _address,
        "marked": marked,
        "forms": FORMS,
        "query": query,
    }
    return environment


def _bytes(name: str) -> bytes:
    return files("rag_qa.service.pages").joinpath("static", name).read_bytes()


@cache
def _address(name: str) -> str:
    return f"/static/{name}?{hashlib.sha256(_bytes(name)).hexdigest()[:12]}"
