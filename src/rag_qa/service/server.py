"""Runs the application under uvicorn."""

import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_network
from pathlib import Path

import uvicorn

from rag_qa.engine import Engine
from rag_qa.errors import InputError, SettingsError
from rag_qa.service.app import create_app
from rag_qa.service.http.authentication import keys_needed, why_keys
from rag_qa.service.http.protocol import BoundedProtocol
from rag_qa.service.keys import read_keys
from rag_qa.service.live import engine_opener
from rag_qa.service.telemetry.logs import configure_logs
from rag_qa.settings import Settings

__all__ = ["serve"]

BACKLOG = 2048  # connections that wait to be accepted
OWN_FILES = 200
"""Files that this process may have open beside connections: of two snapshots, logs, uploads, jobs."""


def serve(settings: Settings, on_ready: Callable[[str], None]) -> None:
    """Serves until it is stopped; what has begun then is answered first.

    Args:
        settings: where to listen and what to serve; port 0 takes any free port.
        on_ready: called with the service's URL once index and encoder are loaded and connections are taken.

    Raises:
        InputError: the address cannot be listened on, or others can reach it and there is no key.
        KeysError: the file of keys cannot be read.
        SettingsError: a trusted proxy is no address.
        SnapshotError: the index cannot be used.
    """
    _check_proxies(settings.trusted_proxies)
    if keys_needed(settings):
        _check_keys(settings)
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

    class Protocol(BoundedProtocol):
        """Protocol class with the time limits of the settings."""

        client_seconds = settings.client_seconds
        most = _most_connections()

    configure_logs(questions=settings.log_questions)
    config = uvicorn.Config(
        create_app(settings, load, lambda: server.should_exit),
        log_config=None,
        log_level="critical",  # a failed start is raised below as one sentence, not logged with a traceback
        access_log=False,
        http=Protocol,
        ws="none",
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        server_header=False,
        timeout_graceful_shutdown=settings.finish_seconds,
    )
    server = uvicorn.Server(config)
    try:
        server.run(sockets=[listener])
    except SystemExit:  # uvicorn's way out of a failed start
        if not failures:
            raise
    except KeyboardInterrupt:  # the usual way to stop it; uvicorn has finished what was begun
        return
    if failures:
        raise failures[0]


def _most_connections() -> int:
    """Maximum number of connections: the open files that the system allows, less those that the process needs."""
    if sys.platform == "win32":
        return BoundedProtocol.most

    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = BoundedProtocol.most + OWN_FILES
    if soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard) if hard > 0 else wanted, hard))
    return max(resource.getrlimit(resource.RLIMIT_NOFILE)[0] - OWN_FILES, 10)


def _check_keys(settings: Settings) -> None:
    if not any(not key.revoked for key in read_keys(Path(settings.keys_file))):
        missing = f"there is no key in {settings.keys_file}: make one with `rag-qa keys create NAME`."
        raise InputError(f"{why_keys(settings)}, and {missing}")


def _check_proxies(proxies: tuple[str, ...]) -> None:
    for proxy in proxies:
        try:
            ip_network(proxy, strict=False)
        except ValueError:
            raise SettingsError(
                f"trusted_proxies has “{proxy[:80]}”: it must be an address or a network, as 10.0.0.0/8."
            ) from None


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
