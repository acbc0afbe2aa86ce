"""Logs of the service on standard error: a JSON object a line, or words for a person at a terminal.

Neither questions nor what was found is among it, unless the settings ask for it: of a request there is the path without
its query, and of an exception the places in the code without its message.
"""

import io
import logging
import re
import sys
import time
import traceback
import uuid
from collections.abc import MutableMapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO, cast

import msgspec
import structlog
from litestar.datastructures import MutableScopeHeaders
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars, merge_contextvars

if TYPE_CHECKING:
    from structlog.typing import Processor

    from rag_qa.service.keys import Caller

__all__ = ["REQUEST_ID", "RequestLog", "configure_logs", "new_id"]

REQUEST_ID = "X-Request-ID"
GIVEN_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
LOG = structlog.get_logger()


class _StandardError(io.TextIOBase):
    """Standard error; a closed pipe fails no request."""

    def write(self, text: str) -> int:
        """Writes what can be written."""
        with suppress(OSError, ValueError):
            sys.stderr.write(text)
            sys.stderr.flush()
        return len(text)


class RequestLog:
    """Wraps an ASGI application; writes a line for every request, and gives it an id that its other lines have too."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI entry point."""
        if str(scope["type"]) != "http":
            await self.app(scope, receive, send)
            return
        started, status, method = time.perf_counter(), 0, scope.get("method")
        request_id = _request_id(scope)

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableScopeHeaders.from_message(message)[REQUEST_ID] = request_id
            await send(message)

        with bound_contextvars(request_id=request_id):
            try:
                await self.app(scope, receive, sent)
            finally:
                caller: Caller | None = scope.get("user")
                LOG.info(
                    "request",
                    method=method,
                    path=scope["path"],
                    status=int(status) or None,  # None where the client went
                    ms=round((time.perf_counter() - started) * 1000, 3),
                    client=scope["client"][0] if scope["client"] else None,
                    key=caller.key.id if caller is not None and caller.key else None,
                )


def configure_logs(*, questions: bool, level: int = logging.INFO) -> None:
    """Sets up this process's logs.

    Args:
        questions: whether the text of questions may stand in them.
        level: from which on something is written.
    """
    shared: list[Processor] = [
        merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if not questions:
        shared.append(_places_only)
    to_person = sys.stderr.isatty()
    last: list[Processor] = (
        [_printable, structlog.dev.ConsoleRenderer()]
        if to_person
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(_json)]
    )
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", _StandardError())),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(_StandardError())
    remove = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[remove, *last], keep_exc_info=False)
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("rag_qa").setLevel(level)


def new_id() -> str:
    """An id for a request."""
    return uuid.uuid4().hex


def _request_id(scope: Scope) -> str:
    """The id that a request brings, if it is one, or a new one."""
    given = next((value for name, value in scope["headers"] if name == REQUEST_ID.lower().encode()), b"")
    return given.decode() if GIVEN_ID.fullmatch(given) else new_id()


def _places_only(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Exchanges an exception for its kind and the places in the code: its message may repeat what was asked."""
    told = event.pop("exc_info", None)
    error = sys.exc_info()[1] if told is True else told[1] if isinstance(told, tuple) else told
    if isinstance(error, BaseException):
        frames = traceback.extract_tb(error.__traceback__)
        event["exception"] = type(error).__name__
        event["places"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    return event


def _printable(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Writes out what would be an order to a terminal."""
    for name, value in event.items():
        if isinstance(value, str) and not value.isprintable():
            event[name] = value.encode("unicode_escape").decode()
    return event


def _json(event: object, **_: object) -> str:
    return msgspec.json.encode(event, enc_hook=repr).decode()
