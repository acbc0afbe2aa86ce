"""Refuses requests that web pages of other origins make a browser send in its user's name."""

from collections.abc import Iterable
from http import HTTPStatus

from litestar.types import ASGIApp, Receive, Scope, Send

from rag_qa.service.http.problems import send_problem
from rag_qa.service.telemetry.metrics import REFUSED

__all__ = ["AllowedOrigins", "is_foreign"]

HARMLESS = {"GET", "HEAD", "OPTIONS"}
DEFAULT_PORTS = {"http": ":80", "https": ":443"}
"""Ports that a browser leaves out of an origin."""


def is_foreign(scope: Scope, allowed: Iterable[str] = ()) -> bool:
    """Returns whether a request comes from a web page of another origin than the service's own and the allowed ones.

    Its own is the one by which it was asked, whose host name `AllowedHosts` has looked at. Programs name no origin.
    """
    origins = _headers(scope, b"origin")
    scheme = scope["scheme"]
    own = {f"{scheme}://{host.removesuffix(DEFAULT_PORTS.get(scheme, ''))}" for host in _headers(scope, b"host")}
    return not own.union(origin.lower() for origin in allowed).issuperset(origins)


class AllowedOrigins:
    """Wraps an ASGI application; a request of a foreign origin that may change something gets 403."""

    def __init__(self, app: ASGIApp, allowed: Iterable[str]) -> None:
        self.app = app
        self.allowed = frozenset(allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI entry point."""
        if scope.get("method", "GET") in HARMLESS or not is_foreign(scope, self.allowed):
            await self.app(scope, receive, send)
            return
        REFUSED.labels("origin").inc()
        detail = "Pages of this web origin may not call the service: set cors_origins to those that may."
        await send_problem(send, HTTPStatus.FORBIDDEN, detail)


def _headers(scope: Scope, wanted: bytes) -> set[str]:
    return {value.decode("latin-1").lower() for name, value in scope["headers"] if name == wanted}
