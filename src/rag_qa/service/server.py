"""Running the application under uvicorn."""

import socket
from collections.abc import Callable

import uvicorn

from rag_qa.engine import Engine
from rag_qa.errors import InputError
from rag_qa.service.app import create_app
from rag_qa.service.live import engine_opener
from rag_qa.service.protocol import BoundedProtocol
from rag_qa.settings import Settings

__all__ = ["serve"]

SECONDS_TO_FINISH = 10
BACKLOG = 2048  # connections that wait to be accepted


def serve(settings: Settings, on_ready: Callable[[str], None]) -> None:
    """Serves until it is stopped.

    Args:
        settings: where to listen and what to serve; port 0 takes any free port.
        on_ready: called with the service's URL once index and encoder are loaded and connections are taken.

    Raises:
        InputError: the address cannot be listened on.
        SnapshotError: the index cannot be used.
    """
    listener = _listen(settings.host, settings.port)
    name = f"[{settings.host}]" if ":" in settings.host else settings.host
    failures: list[Exception] = []
    open_engine = engine_opener(settings)
    started = False

    def load() -> Engine:
        nonlocal started
        if started:  # a new snapshot
            return open_engine()
        try:
            engine = open_engine()
        except Exception as error:
            failures.append(error)
            raise
        started = True
        on_ready(f"http://{name}:{listener.getsockname()[1]}")  # requests that come from now on wait their turn
        return engine

    config = uvicorn.Config(
        create_app(settings, load),
        log_level="critical",  # a failed start is raised below as one sentence, not logged with a traceback
        access_log=False,
        http=BoundedProtocol,
        timeout_graceful_shutdown=SECONDS_TO_FINISH,
    )
    try:
        uvicorn.Server(config).run(sockets=[listener])
    except SystemExit:  # uvicorn's way out of a failed start
        if not failures:
            raise
    except KeyboardInterrupt:  # the usual way to stop it; uvicorn has finished what was begun
        return
    if failures:
        raise failures[0]


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio sends without delay: otherwise the second part of every response waits for 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise InputError(
            f"Cannot listen on {host}, port {port} ({error.strerror or error}): choose another with --host and --port."
        ) from None
    return listener
