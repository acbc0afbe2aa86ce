"""Answers only to allowed host names, so that a web page cannot reach a loopback service by DNS rebinding."""

from collections.abc import Iterable
from http import HTTPStatus

from litestar.types import ASGIApp, Receive, Scope, Send

from rag_qa.service.http.problems import send_problem
from rag_qa.service.telemetry.metrics import REFUSED

__all__ = ["AllowedHosts", "host_name"]


def host_name(header: str) -> str:
    """The name in a Host header, without port: `[::1]:8080` is `[::1]`."""
    if header.startswith("["):
        return header.partition("]")[0].lower() + "]"
    return header.partition(":")[0].lower().removesuffix(".")


class AllowedHosts:
    """Wraps an ASGI application; a request whose Host is not allowed gets 400. `*` allows every host."""

    def __init__(self, app: ASGIApp, allowed: Iterable[str]) -> None:
        self.app = app
        self.allowed = frozenset(host.lower() for host in allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI entry point."""
        if str(scope["type"]) == "lifespan" or "*" in self.allowed or self._is_allowed(scope):
            await self.app(scope, receive, send)
            return
        REFUSED.labels("host").inc()
        detail = "This host name is not allowed: set allowed_hosts to the names the service is reached by."
        await send_problem(send, HTTPStatus.BAD_REQUEST, detail)

    def _is_allowed(self, scope: Scope) -> bool:
        names = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        return len(names) == 1 and host_name(names[0]) in self.allowed
