"""The Model Context Protocol: the tools for language models, over standard input and output or at `/mcp`.

The only file that imports the protocol's SDK, which takes a second: it is imported where MCP is used.
"""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
from litestar import Litestar, asgi
from litestar.concurrency import sync_to_thread
from litestar.config.app import AppConfig
from litestar.exceptions import MethodNotAllowedException
from litestar.plugins import InitPlugin
from litestar.types import Message, Receive, Scope, Send
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from mcp.shared.exceptions import MCPError
from mcp.types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    TextContent,
    ToolAnnotations,
)
from mcp.types import Tool as ListedTool

from rag_qa import __version__
from rag_qa.service.http.problems import SECURITY_HEADERS, detail_of
from rag_qa.service.live import LiveEngine, engine_opener
from rag_qa.service.mcp.tools import INSTRUCTIONS, TOOLS
from rag_qa.service.telemetry.logs import configure_logs
from rag_qa.service.wire import MOST_TO_VERIFY
from rag_qa.settings import Settings

__all__ = ["Endpoint", "protocol_server", "serve_stdio"]

NAME = "rag_qa"
PATH = "/mcp"
READS_ONLY = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)


def protocol_server(live: LiveEngine) -> Server[Any]:
    """The server of MCP requests; tools run in the threads of the loop's default executor."""
    listed = ListToolsResult(
        tools=[
            ListedTool(
                name=tool.name,
                title=tool.title,
                description=tool.description,
                input_schema=tool.input_schema,
                output_schema=tool.output_schema,
                annotations=READS_ONLY,
            )
            for tool in TOOLS.values()
        ]
    )
    schemas = {tool.name: tool.input_schema for tool in listed.tools}

    async def list_tools(*_: object) -> ListToolsResult:
        return listed

    async def call_tool(_: object, params: CallToolRequestParams) -> CallToolResult:
        if params.name not in TOOLS:
            told = f"There is no tool “{params.name[:80]}”; there are: {', '.join(TOOLS)}."
            raise MCPError(INVALID_PARAMS, told)
        call = TOOLS[params.name].call
        try:
            result = await sync_to_thread(call, live, params.arguments or {})
        except Exception as error:
            _, detail = detail_of(error)
            return CallToolResult(content=[TextContent(text=detail)], is_error=True)
        return CallToolResult(
            content=[TextContent(text=text) for text in result.texts], structured_content=result.value
        )

    return Server(
        NAME,
        version=__version__,
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        get_tool_input_schema=schemas.get,
    )


def serve_stdio(settings: Settings) -> None:
    """Answers over standard input and output until the client closes its end, or a signal ends the process.

    Raises:
        SnapshotError: the index cannot be used.
    """
    configure_logs(questions=settings.log_questions, level=logging.WARNING)
    live = LiveEngine(Path(settings.index), engine_opener(settings))
    # A thread waits for the client's next line, and only the end of the process ends it. Nothing is written that could
    # be left half done: the system may do with the process what it does by itself.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        anyio.run(_over_stdio, live, settings.threads)
    except* BrokenPipeError:  # the client has disconnected
        pass
    finally:
        live.close()


async def _over_stdio(live: LiveEngine, threads: int) -> None:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(threads, "answering"))
    server = protocol_server(live)
    async with anyio.create_task_group() as tasks, stdio_server() as (incoming, outgoing):
        tasks.start_soon(live.follow)
        await server.run(incoming, outgoing, server.create_initialization_options())
        tasks.cancel_scope.cancel()


class Endpoint(InitPlugin):
    """`/mcp` of the service.

    Each request is answered by itself, with JSON; a server that has nothing to say by itself offers no stream.
    """

    def __init__(self, settings: Settings) -> None:
        self._longest = max(settings.max_body_bytes, MOST_TO_VERIFY)

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Adds the route, and what has to run as long as the application, within its engine's life."""
        app_config.route_handlers.append(_answer)
        app_config.lifespan.append(self._running)
        return app_config

    @asynccontextmanager
    async def _running(self, app: Litestar) -> AsyncIterator[None]:
        app.state.mcp = StreamableHTTPSessionManager(
            protocol_server(app.state.live),
            json_response=True,
            stateless=True,
            # service/http/hosts.py and service/http/origins.py look at hosts and origins, as the settings say.
            security_settings=TransportSecuritySettings(enable_dns_rebinding_protection=False),
            max_request_body_size=self._longest,
        )
        async with app.state.mcp.run():
            yield


@asgi(PATH, opt={"scope": "ask"}, copy_scope=True)
async def _answer(scope: Scope, receive: Receive, send: Send) -> None:
    if scope.get("method") != "POST":
        raise MethodNotAllowedException("MCP is spoken by POST alone.", headers={"Allow": "POST"})
    await scope["litestar_app"].state.mcp.handle_request(scope, receive, _with_security_headers(send))


def _with_security_headers(send: Send) -> Send:
    added = [(name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *added]
        await send(message)

    return sent
