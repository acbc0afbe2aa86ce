"""The application: routes, limits and errors around one engine that loads in the lifespan."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import anyio.to_thread
from litestar import Litestar
from litestar.datastructures import ResponseHeader
from litestar.types import ASGIApp

from rag_qa.engine import Engine
from rag_qa.service.hosts import AllowedHosts
from rag_qa.service.problems import exception_handlers
from rag_qa.service.routes import handlers
from rag_qa.service.schema import openapi_config
from rag_qa.settings import Settings

__all__ = ["create_app"]


def create_app(settings: Settings, load_engine: Callable[[], Engine] | None = None) -> ASGIApp:
    """An ASGI application over the current snapshot of `settings.index`.

    Args:
        settings: index, limits and allowed hosts.
        load_engine: what opens the engine; `Engine.open` with the settings by default.
    """
    load = load_engine or partial(Engine.open, settings.index, settings)

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        app.state.engine = await anyio.to_thread.run_sync(load)
        try:
            yield
        finally:
            app.state.engine.close()

    app = Litestar(
        handlers,
        lifespan=[lifespan],
        exception_handlers=exception_handlers,
        openapi_config=openapi_config(),
        request_max_body_size=settings.max_body_bytes,
        response_headers=[ResponseHeader(name="X-Content-Type-Options", value="nosniff")],
        logging_config=None,
    )
    return AllowedHosts(app, settings.allowed_hosts)
