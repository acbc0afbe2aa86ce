"""The application: routes, limits and errors around an engine that loads in the lifespan and follows the index."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import anyio.to_thread
from litestar import Litestar
from litestar.config.cors import CORSConfig
from litestar.datastructures import ResponseHeader
from litestar.types import ASGIApp

from rag_qa.engine import Engine
from rag_qa.service.hosts import AllowedHosts
from rag_qa.service.live import LiveEngine
from rag_qa.service.pages import pages
from rag_qa.service.problems import SECURITY_HEADERS, exception_handlers
from rag_qa.service.queue import BoundedQueue
from rag_qa.service.routes import handlers
from rag_qa.service.schema import openapi_config
from rag_qa.settings import Settings

__all__ = ["create_app"]


def create_app(settings: Settings, load_engine: Callable[[], Engine] | None = None) -> ASGIApp:
    """An ASGI application over the current snapshot of `settings.index`.

    Requests are answered by threads, of which as many run as the settings say; the others wait in order.

    Args:
        settings: index, limits and allowed hosts.
        load_engine: what opens the engine, again for every new snapshot; `Engine.open` with the settings by default.
    """
    load = load_engine or partial(Engine.open, settings.index, settings)

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        live = await anyio.to_thread.run_sync(LiveEngine, Path(settings.index), load)
        app.state.live = live
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(settings.threads, "answering"))
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(live.follow)
                yield
                tasks.cancel_scope.cancel()
        finally:
            live.close()

    plugins = []
    if settings.mcp:
        from rag_qa.service.mcp import Endpoint

        plugins.append(Endpoint(settings))
    app = Litestar(
        [*handlers, pages],
        lifespan=[lifespan],
        plugins=plugins,
        exception_handlers=exception_handlers,
        openapi_config=openapi_config(),
        request_max_body_size=settings.max_body_bytes,
        response_headers=[ResponseHeader(name=name, value=value) for name, value in SECURITY_HEADERS.items()],
        cors_config=CORSConfig(list(settings.cors_origins)) if settings.cors_origins else None,
        logging_config=None,
    )
    return AllowedHosts(BoundedQueue(app, settings.max_requests), settings.allowed_hosts)
