"""HTTP by httptools, as in uvicorn, with limits on the head of a request and on the slowness of a client.

A client that sends or takes next to nothing for long has its connection ended, so that a thousand of them do no harm.
"""

from asyncio import BaseTransport, Transport
from asyncio.events import TimerHandle
from http import HTTPStatus
from socket import SO_LINGER, SOL_SOCKET
from struct import pack
from typing import Any, cast

import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from rag_qa.service.http.problems import written
from rag_qa.service.telemetry.logs import REQUEST_ID, new_id
from rag_qa.service.telemetry.metrics import REFUSED

__all__ = ["BoundedProtocol"]

LONGEST_HEAD = 1_048_576  # bytes of a request's first line and headers
LONGEST_ADDRESS = 65_535  # bytes, httptools'
SLOWEST = 5_000  # bytes in the seconds that a client is given
SECONDS_TO_LINGER = 2
LOG = structlog.get_logger()
AT_ONCE = pack("ii", 1, 0)


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    client_seconds: float = 10
    """Seconds that a client may take for `SLOWEST` bytes; also the time between two checks."""
    most: int = 10_000
    """Connections that may be open at the same time."""
    _head: int | None = 0
    """Bytes of a head that has not come to its end; None while there is none."""
    _received = 0
    _waited = False
    """True if the client was waited for at the last check."""
    _moved = 0
    """Bytes received and sent at the last check."""
    _look: TimerHandle | None = None
    _lingers = False
    """True if the response is complete, although the client still sends."""

    def connection_made(self, transport: BaseTransport) -> None:
        """Counts a new connection, or ends it where there are too many already."""
        if len(self.connections) >= self.most:
            cast("Transport", transport).abort()
            return
        super().connection_made(cast("Transport", _Counted(cast("Transport", transport))))
        self._waited = True
        self._look = self.loop.call_later(self.client_seconds, self._end_if_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops the checks of a connection that has ended."""
        if self._look is None:  # it never was one
            return
        self._look.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Takes received bytes, unless the head has grown too long."""
        self._received += len(data)
        if self._lingers:
            return
        if self._head is not None:
            self._head += len(data)
            if self._head > LONGEST_HEAD:
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"Headers have at most {LONGEST_HEAD} bytes.")
                return
        super().data_received(data)

    def on_message_begin(self) -> None:
        """Begins to count the bytes of a request's head."""
        self._head = self._head or 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Records that the head of a request is whole."""
        self._head = None
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Records that a request is whole."""
        self._head = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Ends the connection after a response if the body of the request is still on its way."""
        super().on_response_complete()
        unread = self.cycle.response_complete and self.cycle.more_body
        if unread and not self.transport.is_closing():
            self._lingers = True  # closed at once, the client might never see the answer
            self.transport.write_eof()
            self.loop.call_later(SECONDS_TO_LINGER, self.transport.abort)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's words
        """Answers a request that cannot be read, and ends the connection."""
        detail = (
            "The request cannot be read as HTTP: write it as the description at /schema says, with an address of at "
            f"most {LONGEST_ADDRESS} bytes."
        )
        self._refuse(HTTPStatus.BAD_REQUEST, detail)

    def _end_if_slow(self) -> None:
        """Ends the connection if the client was waited for since the last check and next to nothing has moved."""
        waits, moved = self._waits_for_client(), self._received + cast("_Counted", self.transport).sent
        if not waits or not self._waited or moved - self._moved >= SLOWEST:
            self._waited, self._moved = waits, moved
            self._look = self.loop.call_later(self.client_seconds, self._end_if_slow)
        elif self._comes() and not (self.cycle and self.cycle.response_started):
            detail = f"The request did not come within {self.client_seconds:g} s: send it faster, or in parts."
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, detail)
        else:
            if self.transport.get_write_buffer_size() > 0:  # the system would keep it as long as the client likes
                self.transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, AT_ONCE)
            self.transport.abort()

    def _waits_for_client(self) -> bool:
        """Returns whether it is the client's turn: to take what was sent, or to send more of a request."""
        return self.transport.get_write_buffer_size() > 0 or self.cycle is None or self._comes()

    def _comes(self) -> bool:
        """Returns whether a request has begun that is not whole, and that is read."""
        if self._head is not None:
            return self._head > 0
        return not (self.cycle.response_complete or self.flow.read_paused or self.cycle.waiting_for_100_continue)

    def _refuse(self, status: HTTPStatus, detail: str) -> None:
        request_id = new_id()
        REFUSED.labels("protocol").inc()
        LOG.info("refused", status=status.value, client=self.client[0] if self.client else None, request_id=request_id)
        fields, body = written(status, detail, {"Connection": "close", REQUEST_ID: request_id})
        lines = [f"{name}: {value}\r\n" for name, value in fields.items()]
        self.transport.write(f"HTTP/1.1 {status.value} {status.phrase}\r\n{''.join(lines)}\r\n".encode() + body)
        self.transport.close()


class _Counted:
    """A transport that counts the bytes that have left."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._written = 0

    @property
    def sent(self) -> int:
        """Bytes that have left, as far as the system's own buffers."""
        return self._written - self._transport.get_write_buffer_size()

    def write(self, data: bytes) -> None:
        """Writes."""
        self._written += len(data)
        self._transport.write(data)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        """Returns all other attributes of the transport."""
        return getattr(self._transport, name)
