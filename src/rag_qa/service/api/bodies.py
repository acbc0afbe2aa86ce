"""Bodies of requests, decoded as strictly as JSON is written: 1 is no text, and "1" no number.

Litestar converts what does not fit where it can, as it has to for parameters; so a body is looked at before.
"""

from typing import Any

import msgspec
from litestar import Request
from litestar.datastructures import State

from rag_qa.errors import InputError
from rag_qa.service.wire import AskRequest, BatchRequest, Rollback
from rag_qa.types import Answer

__all__ = ["check_body"]

# Made when the module is: msgspec crashes where two threads are the first to decode a type.
_DECODERS: dict[type, msgspec.json.Decoder[Any]] = {
    kind: msgspec.json.Decoder(kind) for kind in (Answer, AskRequest, BatchRequest, Rollback)
}
LONGEST_TRIED_AGAIN = 65_536  # bytes


async def check_body(request: Request[Any, Any, State]) -> None:
    """Checks that the body is what its handler takes.

    Raises:
        InputError: it is not; the message names the field.
    """
    field = request.route_handler.parsed_data_field
    if field is None or field.annotation not in _DECODERS:
        return
    body = await request.body()
    if not body:
        raise InputError("The body is empty: send a JSON object.")
    try:
        _decode(body, field.annotation)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at ")
        raise InputError(f"{where.strip('`').removeprefix('$').lstrip('.') or 'The body'}: {what}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"The body is no JSON that could be read ({error}).") from None


def _decode(body: bytes, kind: type) -> None:
    try:
        _DECODERS[kind].decode(body)
    except msgspec.ValidationError as error:
        if "got `float`" not in str(error) or len(body) > LONGEST_TRIED_AGAIN:
            raise
        msgspec.convert(_whole(msgspec.json.decode(body)), kind)


def _whole(value: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
    """A value with 2 for 2.0, which JSON does not tell apart."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_whole(each) for each in value]
    if isinstance(value, dict):
        return {name: _whole(each) for name, each in value.items()}
    return value
