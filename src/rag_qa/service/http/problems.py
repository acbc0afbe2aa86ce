"""Every error as problem details (RFC 9457), with nothing internal in it."""

import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, InternalServerException
from litestar.types import Send
from msgspec import Struct

from rag_qa.errors import InputError, RagQaError

__all__ = [
    "MEDIA_TYPE",
    "SECURITY_HEADERS",
    "TOLD",
    "Problem",
    "detail_of",
    "exception_handlers",
    "problem",
    "send_problem",
    "written",
]

MEDIA_TYPE = "application/problem+json"
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # The address of a page holds the question, which must not reach the site where a source is opened.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
TOLD = {
    404: "There is nothing at this address: /schema describes what there is.",
    405: "This address does not take this method: /schema describes what it takes.",
    413: "The body is larger than this address takes: max_body_bytes bounds most of them. Shorten it.",
}
"""Details of statuses whose name does not say what to do."""
NO_BODY = "data: 'data'"  # how Litestar says that a request has no body
LOGGER = logging.getLogger("rag_qa.service")


class Problem(Struct, frozen=True, kw_only=True):
    """Problem details as in RFC 9457."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str

    @classmethod
    def from_status(cls, status: int, detail: str) -> "Problem":
        """The problem of a status, with the status's own title."""
        return cls(title=HTTPStatus(status).phrase, status=status, detail=detail)


def problem(status: int, detail: str, headers: dict[str, str] | None = None) -> Response[Problem]:
    """A response of the given status."""
    body = Problem.from_status(status, detail)
    return Response(body, status_code=status, media_type=MEDIA_TYPE, headers={**SECURITY_HEADERS, **(headers or {})})


def written(status: int, detail: str, headers: Mapping[str, str] | None = None) -> tuple[dict[str, str], bytes]:
    """All headers and the body of a problem that is sent outside the application."""
    body = msgspec.json.encode(Problem.from_status(status, detail))
    fields = {"Content-Type": MEDIA_TYPE, "Content-Length": str(len(body)), **SECURITY_HEADERS, **(headers or {})}
    return {name.lower(): value for name, value in fields.items()}, body


async def send_problem(send: Send, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
    """Answers outside the application, as its responses would."""
    fields, body = written(status, detail, headers)
    encoded = [(name.encode(), value.encode()) for name, value in fields.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def detail_of(error: Exception) -> tuple[int, str]:
    """The status of an error, and the sentence for the client."""
    if isinstance(error, HTTPException):
        return (HTTPStatus.BAD_REQUEST if _is_gone(error) else error.status_code), _http_detail(error)
    if isinstance(error, InputError):
        return error.http_status, str(error)
    if isinstance(error, RagQaError):
        LOGGER.error("%s", error)  # names files of this machine: for the log, not for the client
        return error.http_status, "The index cannot be used at the moment; the server's log says why."
    LOGGER.error("unhandled", exc_info=error)
    return HTTPStatus.INTERNAL_SERVER_ERROR, "The server failed on this request; its log says why."


def _is_gone(error: HTTPException) -> bool:
    """Returns whether it says that the client went in the middle of its body, which is no failure of the server."""
    return isinstance(error, InternalServerException) and "disconnected" in error.detail


def _http_detail(error: HTTPException) -> str:
    if error.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return HTTPStatus(error.status_code).phrase
    if isinstance(error.extra, list) and error.extra:  # Litestar's list of fields that did not fit
        fields = [f"{field.get('key') or 'the request'}: {field['message']}" for field in error.extra]
        return "The body is empty: send a JSON object." if fields == [NO_BODY] else "; ".join(fields) + "."
    plain = error.detail == HTTPStatus(error.status_code).phrase
    return TOLD.get(error.status_code, error.detail) if plain else error.detail


def _told(_: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    return problem(*detail_of(error), error.headers if isinstance(error, HTTPException) else None)


def _from_bytes(_: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    """A body that no decoder reads: bytes that are no UTF-8, or nesting without end."""
    return problem(HTTPStatus.BAD_REQUEST, f"The body is no JSON that could be read ({type(error).__name__}).")


exception_handlers: dict[int | type[Exception], Callable[[Request[Any, Any, Any], Any], Response[Problem]]] = {
    UnicodeDecodeError: _from_bytes,
    RecursionError: _from_bytes,
    HTTPException: _told,
    Exception: _told,
}
