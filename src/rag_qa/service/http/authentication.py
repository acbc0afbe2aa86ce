"""Authentication of requests: by an API key, by a session on the pages, or, on loopback, of anyone on this machine.

A handler names the scope that it needs in its `opt`: `ask` where it says nothing, so that none is open by mistake.
"""

import hashlib
import secrets
import socket
from ipaddress import ip_address
from typing import Any

from litestar.connection import ASGIConnection
from litestar.exceptions import NotAuthorizedException, PermissionDeniedException
from litestar.handlers.base import BaseRouteHandler
from litestar.middleware import AbstractAuthenticationMiddleware, AuthenticationResult
from litestar.stores.memory import MemoryStore
from litestar.types import ASGIApp

from rag_qa.service.keys import NO_KEY, Caller, Key, Keys, Scope
from rag_qa.settings import Settings

__all__ = ["ADMIN", "COOKIE", "OPEN", "SESSION_SECONDS", "Access", "Authentication", "check_scope", "keys_needed"]

OPEN: dict[str, Any] = {"scope": None}
"""The `opt` of a handler that anyone may call."""
FREE: dict[str, Any] = {"scope": None, "unlimited": True, "unmeasured": True}
"""The `opt` of a handler that anyone may call as often as they like, such as a health check."""
ADMIN: dict[str, Any] = {"scope": "admin"}
COOKIE = "rag_qa_session"
SESSION_SECONDS = 12 * 3600
LONGEST_KEY = 200
CHALLENGE = {"WWW-Authenticate": 'Bearer realm="rag_qa"'}
WRONG_KEY = "This key is not valid: it is unknown, incomplete or revoked. Ask an administrator for another."


def keys_needed(settings: Settings) -> bool:
    """Returns whether others than the users of this machine can reach the service, directly or through a proxy."""
    return why_keys(settings) is not None


def why_keys(settings: Settings) -> str | None:
    """Returns the reason why a key is required, as the beginning of a sentence; None where none is."""
    if settings.require_keys:
        return "Keys are required"
    if settings.trusted_proxies:
        return "A proxy is trusted, by which others can reach the service"
    if not _is_loopback(settings.host):
        return f"{settings.host} can be reached by others"
    others = [name for name in settings.allowed_hosts if not _is_loopback(name.strip("[]"))]
    return f"Others can reach the service as {others[0]} (allowed_hosts)" if others else None


class Access:
    """The keys of a service, and the sessions of those who signed in with one."""

    def __init__(self, keys: Keys | None) -> None:
        """Takes the keys, or None where none is needed."""
        self.keys = keys
        self._sessions = MemoryStore()

    async def caller(self, connection: ASGIConnection[Any, Any, Any, Any]) -> Caller:
        """Returns the sender of a request; a key in its header counts before a cookie."""
        if self.keys is None:
            return Caller(free=True)
        if header := connection.headers.get("authorization"):
            kind, _, text = header.partition(" ")
            key = self.find(text.strip()) if kind.lower() == "bearer" else None
            return Caller(key, problem=WRONG_KEY)
        if token := connection.cookies.get(COOKIE):
            named = await self._sessions.get(_stored(token))
            key = self.keys.named(named.decode()) if named else None
            return Caller(key, signed_in=key is not None, problem=NO_KEY)
        return Caller()

    def find(self, text: str) -> Key | None:
        """The key of which `text` is all, if it is valid."""
        return self.keys.find(text) if self.keys and len(text) <= LONGEST_KEY else None

    async def sign_in(self, key: Key) -> str:
        """Begins a session; returns the value of its cookie."""
        await self._sessions.delete_expired()
        token = secrets.token_urlsafe(32)
        await self._sessions.set(_stored(token), key.id.encode(), expires_in=SESSION_SECONDS)
        return token

    async def sign_out(self, token: str) -> None:
        """Ends a session."""
        await self._sessions.delete(_stored(token))


class Authentication(AbstractAuthenticationMiddleware):
    """Identifies the sender of a request; `check_scope` decides about it."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        super().__init__(app)
        self._access = access

    async def authenticate_request(self, connection: ASGIConnection[Any, Any, Any, Any]) -> AuthenticationResult:
        """The caller, as the connection's user."""
        return AuthenticationResult(user=await self._access.caller(connection), auth=None)


def check_scope(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Guard that lets callers pass who may call a handler.

    Raises:
        NotAuthorizedException: there is no valid key (401).
        PermissionDeniedException: the key has not the scope (403).
    """
    scope: Scope | None = handler.opt.get("scope", "ask")
    if scope is None or connection.scope.get("method") == "OPTIONS":  # which lists the methods of a route
        return
    caller: Caller = connection.scope.get("user") or Caller()
    if caller.may(scope):
        return
    if caller.key is None:
        raise NotAuthorizedException(caller.problem, headers=CHALLENGE)
    has = " and ".join(caller.key.scopes)
    raise PermissionDeniedException(f"This key has the scope {has}, and this needs {scope}: ask an administrator.")


def _is_loopback(host: str) -> bool:
    try:
        addresses = {each[4][0] for each in socket.getaddrinfo(host, None)}
        return all(ip_address(str(address).partition("%")[0]).is_loopback for address in addresses)
    except (OSError, UnicodeError, ValueError):
        return False


def _stored(token: str) -> str:
    """Key under which a session is kept, which is not the cookie's value."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
