"""The application: routes, limits and errors around an engine that loads in the lifespan and follows the index."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
from litestar import Litestar, Request, Response
from litestar.config.cors import CORSConfig
from litestar.datastructures import ResponseHeader, State
from litestar.middleware import DefineMiddleware
from litestar.serialization import decode_json, encode_json
from litestar.stores.memory import MemoryStore
from litestar.types import ASGIApp, ControllerRouterHandler, Middleware

from rag_qa.engine import Engine
from rag_qa.service.api.admin import admin
from rag_qa.service.api.bodies import StrictRequest, body_decoders, check_body
from rag_qa.service.api.options import allowed_methods
from rag_qa.service.api.responses import ClosedStructPlugin
from rag_qa.service.api.routes import handlers
from rag_qa.service.api.schema import openapi_config
from rag_qa.service.http.authentication import Access, Authentication, check_scope, keys_needed
from rag_qa.service.http.hosts import AllowedHosts
from rag_qa.service.http.limits import RATE_STORE, rate_limit
from rag_qa.service.http.origins import AllowedOrigins
from rag_qa.service.http.problems import SECURITY_HEADERS, exception_handlers
from rag_qa.service.http.queue import BoundedQueue
from rag_qa.service.jobs import Jobs
from rag_qa.service.keys import Keys
from rag_qa.service.live import LiveEngine
from rag_qa.service.pages.routes import pages
from rag_qa.service.telemetry.logs import RequestLog
from rag_qa.service.telemetry.metrics import Metrics, observe_queue, observe_snapshot, requests_observed
from rag_qa.service.telemetry.tracing import traces
from rag_qa.service.uploads import ManagedFolder
from rag_qa.settings import Settings

if TYPE_CHECKING:
    from litestar.plugins import PluginProtocol

__all__ = ["create_app", "openapi_document"]

SECONDS_BETWEEN_TIDYING = 60


def create_app(
    settings: Settings,
    load_engine: Callable[[], Engine] | None = None,
    stops: Callable[[], bool] = lambda: False,
) -> ASGIApp:
    """An ASGI application over the current snapshot of `settings.index`.

    Requests are answered by threads, of which as many run as the settings say; the others wait in order. API keys are
    asked for unless `settings.host` is loopback and nothing else says that others can reach it.

    Args:
        settings: index, limits, allowed hosts, and who may ask.
        load_engine: what opens the engine, again for every new snapshot; `Engine.open` with the settings by default.
        stops: tells whether the server is about to stop, so that what would go on for long ends.

    Raises:
        KeysError: the file of keys cannot be read.
        SettingsError: traces are wanted, and OpenTelemetry is not installed.
    """
    load = load_engine or partial(Engine.open, settings.index, settings)
    queue = BoundedQueue(_application(settings, load, stops), settings.max_requests)
    observe_queue(queue)
    same_origin = AllowedOrigins(queue, settings.cors_origins)
    return RequestLog(AllowedHosts(same_origin, settings.allowed_hosts))


def openapi_document(settings: Settings) -> dict[str, Any]:
    """The description of the HTTP interface, as it is at /schema/openapi.json."""
    app = _application(settings, partial(Engine.open, settings.index, settings))
    document: dict[str, Any] = decode_json(encode_json(app.openapi_schema.to_schema()))
    return document


def _application(settings: Settings, load: Callable[[], Engine], stops: Callable[[], bool] = lambda: False) -> Litestar:
    access = Access(Keys(Path(settings.keys_file)) if keys_needed(settings) else None)
    rates = MemoryStore()

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        live = await anyio.to_thread.run_sync(LiveEngine, Path(settings.index), partial(_observed, load))
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(settings.threads, "answering"))
        if settings.managed_folder and Path(settings.managed_folder).is_dir():
            await anyio.to_thread.run_sync(ManagedFolder(settings).sweep)
        try:
            async with anyio.create_task_group() as tasks:
                app.state.live, app.state.jobs = live, Jobs(tasks, stops)
                tasks.start_soon(live.follow)
                tasks.start_soon(_tidy, rates)
                yield
                tasks.cancel_scope.cancel()
        finally:
            live.close()
            app.state.administering.shutdown()

    # What is for those with a key is kept neither by proxies nor for whoever sits at the browser next.
    headers = SECURITY_HEADERS | ({"Cache-Control": "no-store"} if access.keys is not None else {})

    routes: list[ControllerRouterHandler] = [*handlers, admin, pages, Metrics]
    app = Litestar(
        deepcopy(routes),  # for Litestar keeps in a handler what it resolves of its application
        lifespan=[lifespan],
        state=State({"access": access, "settings": settings, "administering": ThreadPoolExecutor(1, "administering")}),
        plugins=_plugins(settings),
        middleware=_middleware(settings, access),
        stores={RATE_STORE: rates},
        guards=[check_scope],
        before_request=_before,
        request_class=StrictRequest,
        exception_handlers=exception_handlers,
        openapi_config=openapi_config(with_keys=access.keys is not None),
        request_max_body_size=settings.max_body_bytes,
        response_headers=[ResponseHeader(name=name, value=value) for name, value in headers.items()],
        cors_config=_cross_origin(settings.cors_origins),
        logging_config=None,
    )
    app.state.decoders = body_decoders(app)
    return app


async def _before(request: Request[Any, Any, State]) -> Response[None] | None:
    """Answers for a handler, or checks that the body is one for it."""
    if told := allowed_methods(request):
        return told
    await check_body(request)
    return None


def _observed(load: Callable[[], Engine]) -> Engine:
    engine = load()
    observe_snapshot(engine.info)
    return engine


def _middleware(settings: Settings, access: Access) -> list[Middleware]:
    """Middleware that a request passes before its handler, the first one outermost."""
    traced = [traces().middleware] if settings.traces else []
    limited = [rate_limit(settings.rate_limit).middleware] if access.keys is not None and settings.rate_limit else []
    known = DefineMiddleware(Authentication, access=access)
    return [*traced, known, *limited, requests_observed().middleware]


def _plugins(settings: Settings) -> "list[PluginProtocol]":
    if not settings.mcp:
        return [ClosedStructPlugin()]

    from rag_qa.service.mcp.server import Endpoint

    return [ClosedStructPlugin(), Endpoint(settings)]


def _cross_origin(origins: tuple[str, ...]) -> CORSConfig | None:
    if not origins:
        return None
    return CORSConfig(
        allow_origins=[origin.lower() for origin in origins],
        allow_methods=["GET", "POST"],
        allow_headers=["Authorization", "Content-Type", "MCP-Protocol-Version"],
        expose_headers=[
            "Location",
            "RateLimit-Remaining",
            "RateLimit-Reset",
            "Retry-After",
            "X-Request-ID",
            "X-Snapshot",
        ],
    )


async def _tidy(rates: MemoryStore) -> None:
    """Forgets addresses that have not asked for long, until it is cancelled."""
    while True:
        await anyio.sleep(SECONDS_BETWEEN_TIDYING)
        await rates.delete_expired()
