"""Takes only so many requests at a time, so that a crowd is told at once to come again instead of waiting for long.

A request whose client has gone is dropped, unless a thread works on it already.
"""

from http import HTTPStatus

import anyio
from litestar.types import ASGIApp, Receive, ReceiveMessage, Scope, Send

from rag_qa.service.problems import send_problem

__all__ = ["BoundedQueue"]

SECONDS_TO_COME_AGAIN = 1
FREE = "/health/"
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
        """Runs the application, which gets the body as it comes, until the client goes."""
        give, take = anyio.create_memory_object_stream[ReceiveMessage](1)
        async with give, take, anyio.create_task_group() as tasks:

            async def pass_on() -> None:
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        tasks.cancel_scope.cancel()
                        return
                    await give.send(message)

            tasks.start_soon(pass_on)
            await self.app(scope, take.receive, send)
            tasks.cancel_scope.cancel()
