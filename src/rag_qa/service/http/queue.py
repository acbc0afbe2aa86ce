"""A bound on the requests in flight: beyond it, clients get 503 with Retry-After at once.

A request whose client has gone is dropped, unless a thread works on it already.
"""

import asyncio
from http import HTTPStatus

from litestar.types import ASGIApp, HTTPRequestEvent, Message, Receive, ReceiveMessage, Scope, Send

from rag_qa.service.http.problems import send_problem
from rag_qa.service.telemetry.metrics import REFUSED

__all__ = ["BoundedQueue"]

SECONDS_TO_COME_AGAIN = 1
BODILESS = {"GET", "HEAD"}
NO_BODY: HTTPRequestEvent = {"type": "http.request", "body": b"", "more_body": False}
UNQUEUED = ("/health/", "/metrics")
"""Paths that are answered however many requests wait."""


class BoundedQueue:
    """Wraps an ASGI application; a request that comes while `most` others are there gets 503 with Retry-After.

    One whose body is still on its way is not there yet, or slow clients would take the places of others.
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        self.app = app
        self.most = most
        self.there = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI entry point."""
        if str(scope["type"]) != "http" or scope["path"].startswith(UNQUEUED):
            await self.app(scope, receive, send)
            return
        place = _Place(self)
        try:
            if scope.get("method") in BODILESS:
                place.take()
            await self._while_connected(scope, receive, send, place)
        except _FullError:
            REFUSED.labels("queue").inc()
            detail = f"{self.most} requests are here already: ask again in {SECONDS_TO_COME_AGAIN} s."
            again = {"Retry-After": str(SECONDS_TO_COME_AGAIN)}
            await send_problem(send, HTTPStatus.SERVICE_UNAVAILABLE, detail, again)
        finally:
            place.give_back()

    async def _while_connected(self, scope: Scope, receive: Receive, send: Send, place: "_Place") -> None:
        """Runs the application until the client disconnects, which is checked once the whole body has been received."""
        complete = asyncio.Event()
        waiting = [NO_BODY] if place.taken else []
        if waiting:
            complete.set()
        begun = full = False

        async def passed_on() -> ReceiveMessage:
            nonlocal full
            if waiting:
                return waiting.pop()
            message = await receive()
            if message["type"] == "http.request" and not message.get("more_body", False):
                try:
                    place.take()
                except _FullError:
                    full = not begun  # what is answered already, such as a wrong key, waits for nothing
                    if full:
                        work.cancel()
                complete.set()
            return message

        async def until_gone() -> None:
            await complete.wait()
            while (await receive())["type"] != "http.disconnect":
                pass

        async def sent(message: Message) -> None:
            nonlocal begun
            begun = True
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                gone.cancel()  # the server calls a client disconnected that has received everything
            await send(message)

        work = asyncio.ensure_future(self.app(scope, passed_on, sent))
        gone = asyncio.ensure_future(until_gone())
        gone.add_done_callback(lambda told: None if told.cancelled() else work.cancel())
        try:
            await work
        except asyncio.CancelledError:
            if full:
                raise _FullError from None
            if gone.cancelled() or not gone.done():  # it is the server that ends this request
                raise
        finally:
            gone.cancel()


class _Place:
    """The place of a request."""

    def __init__(self, queue: BoundedQueue) -> None:
        self._queue = queue
        self.taken = False

    def take(self) -> None:
        """Takes a place.

        Raises:
            _FullError: there is none.
        """
        if self._queue.there >= self._queue.most:
            raise _FullError
        self._queue.there += 1
        self.taken = True

    def give_back(self) -> None:
        """Releases the place."""
        if self.taken:
            self._queue.there -= 1
            self.taken = False


class _FullError(Exception):
    """Refuses a request for which there is no place."""
