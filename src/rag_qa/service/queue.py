"""Takes only so many requests at a time, so that a crowd is told at once to come again instead of waiting for long.

A request whose client has gone is dropped, unless a thread works on it already.
"""

import asyncio
from http import HTTPStatus

from litestar.types import ASGIApp, HTTPRequestEvent, Message, Receive, ReceiveMessage, Scope, Send

from rag_qa.service.metrics import REFUSED
from rag_qa.service.problems import send_problem

__all__ = ["BoundedQueue"]

SECONDS_TO_COME_AGAIN = 1
BODILESS = {"GET", "HEAD"}
NO_BODY: HTTPRequestEvent = {"type": "http.request", "body": b"", "more_body": False}
FREE = ("/health/", "/metrics")
"""What is answered however many wait."""


class BoundedQueue:
    """Wraps an ASGI application; a request that comes while `most` others are there gets 503 with Retry-After."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self.app = app
        self.most = most
        self.there = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI entry point."""
        if str(scope["type"]) != "http" or scope["path"].startswith(FREE):
            await self.app(scope, receive, send)
            return
        if self.there >= self.most:
            REFUSED.labels("queue").inc()
            detail = f"{self.most} requests are here already: ask again in {SECONDS_TO_COME_AGAIN} s."
            again = {"Retry-After": str(SECONDS_TO_COME_AGAIN)}
            await send_problem(send, HTTPStatus.SERVICE_UNAVAILABLE, detail, again)
            return
        self.there += 1
        try:
            await self._while_connected(scope, receive, send)
        finally:
            self.there -= 1

    async def _while_connected(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Runs the application until the client goes, which is looked for when all of the body has come."""
        complete = asyncio.Event()
        waiting = [NO_BODY] if scope.get("method") in BODILESS else []
        if waiting:
            complete.set()

        async def passed_on() -> ReceiveMessage:
            if waiting:
                return waiting.pop()
            message = await receive()
            if message["type"] == "http.request" and not message.get("more_body", False):
                complete.set()
            return message

        async def until_gone() -> None:
            await complete.wait()
            while (await receive())["type"] != "http.disconnect":
                pass

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                gone.cancel()  # the server calls a client gone that has got all
            await send(message)

        work = asyncio.ensure_future(self.app(scope, passed_on, sent))
        gone = asyncio.ensure_future(until_gone())
        gone.add_done_callback(lambda told: None if told.cancelled() else work.cancel())
        try:
            await work
        except asyncio.CancelledError:
            if gone.cancelled() or not gone.done():  # it is the server that ends this request
                raise
        finally:
            gone.cancel()
