"""The bound on requests, and those who have gone, without a server."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import anyio

from rag_qa.service.http.queue import BoundedQueue


def test_who_has_gone_is_not_answered():
    """One thread is busy; of the requests that wait for it, those that have gone are dropped."""
    worked, sent, free = [], [], threading.Event()

    def work(path):
        worked.append(path)
        assert free.wait(20)

    async def run():
        busy, leaves = anyio.Event(), anyio.Event()

        async def app(scope, receive, send):
            assert await receive() == {"type": "http.request", "body": b"", "more_body": False}
            busy.set()
            await asyncio.get_running_loop().run_in_executor(pool, work, scope["path"])
            await send({"type": "http.response.body", "body": scope["path"]})

        async def ask(path, gone):
            messages = iter([{"type": "http.request", "body": b"", "more_body": False}])

            async def receive():
                if message := next(messages, None):
                    return message
                await gone.wait()
                return {"type": "http.disconnect"}

            async def send(message):
                sent.append(message["body"])

            await queue({"type": "http", "path": path}, receive, send)

        queue = BoundedQueue(app, 20)
        with ThreadPoolExecutor(1) as pool:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(ask, "first", anyio.Event())
                await busy.wait()
                async with anyio.create_task_group() as others:
                    for number in range(5):
                        others.start_soon(ask, f"gone {number}", leaves)
                    await anyio.wait_all_tasks_blocked()
                    tasks.start_soon(ask, "last", anyio.Event())
                    leaves.set()
                assert queue.there == 2
                free.set()
        assert queue.there == 0

    anyio.run(run)
    assert worked == sent == ["first", "last"]


def test_the_queue_counts_who_is_there():
    async def run():
        entered, leave, sent = anyio.Event(), anyio.Event(), []

        async def app(scope, receive, send):
            entered.set()
            await leave.wait()

        async def send(message):
            sent.append(message)

        async def connected():
            await anyio.sleep_forever()

        asked = {"type": "http", "method": "GET", "path": "/ask"}
        queue = BoundedQueue(app, 1)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(queue, asked, connected, send)
            await entered.wait()
            await queue(asked, connected, send)
            assert [message.get("status") for message in sent] == [503, None]
            assert (b"retry-after", b"1") in sent[0]["headers"]
            leave.set()
            await queue({"type": "http", "path": "/health/live"}, connected, send)
        await queue(asked, connected, send)
        assert (queue.there, len(sent)) == (0, 2)

    anyio.run(run)
