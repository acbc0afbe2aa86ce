"""HTTP by httptools, as uvicorn speaks it, but for requests that cannot be read: a bound, and problem details."""

from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from rag_qa.service.problems import written

__all__ = ["BoundedProtocol"]

LONGEST_HEAD = 1_048_576  # bytes of a request's first line and headers
LONGEST_ADDRESS = 65_535  # bytes, httptools'
STATUS = HTTPStatus.BAD_REQUEST


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    _head: int | None = 0
    """Bytes of a head that has not come to its end; None while there is none."""

    def data_received(self, data: bytes) -> None:
        """Takes what has come, unless the head has grown too long."""
        if self._head is not None:
            self._head += len(data)
            if self._head > LONGEST_HEAD:
                self.send_400_response("too long")
                return
        super().data_received(data)

    def on_message_begin(self) -> None:
        """A request begins."""
        self._head = self._head or 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Its head is whole."""
        self._head = None
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """It is whole."""
        self._head = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's words
        """Answers what cannot be read, and ends the connection."""
        detail = (
            "The request cannot be read as HTTP: write it as the description at /schema says, with an address of at "
            f"most {LONGEST_ADDRESS} bytes."
        )
        fields, body = written(STATUS, detail, {"Connection": "close"})
        lines = [f"{name}: {value}\r\n" for name, value in fields.items()]
        self.transport.write(f"HTTP/1.1 {STATUS.value} {STATUS.phrase}\r\n{''.join(lines)}\r\n".encode() + body)
        self.transport.close()
