"""Bodies of requests, decoded once and as strictly as JSON is written: 1 is no text, and "1" no number.

Litestar converts what does not fit where it can, as it has to for parameters. A body that is already of its handler's
type is left as it is.
"""

from typing import Any

import msgspec
from litestar import Litestar, Request
from litestar.datastructures import State
from litestar.enums import RequestEncodingType
from litestar.params import BodyKwarg
from litestar.routes import HTTPRoute
from litestar.typing import FieldDefinition

from rag_qa.errors import InputError
from rag_qa.schemas import json_decoder

__all__ = ["StrictRequest", "body_decoders", "check_body"]

Decoders = dict[Any, msgspec.json.Decoder[Any]]
LONGEST_TRIED_AGAIN = 65_536  # bytes
LARGEST_EXACT = 2.0**53  # up to which a float tells every whole number from the next


def body_decoders(app: Litestar) -> Decoders:
    """Decoders of all bodies that handlers of an application take, by type; made before there are threads."""
    handlers = (handler for route in app.routes if isinstance(route, HTTPRoute) for handler in route.route_handlers)
    fields = (handler.parsed_data_field for handler in handlers)
    return {
        field.annotation: json_decoder(field.annotation) for field in fields if field is not None and _is_json(field)
    }


async def check_body(request: Request[Any, Any, State]) -> None:
    """Checks that the body is what its handler takes.

    Raises:
        InputError: it is not; the message names the field.
    """
    field = request.route_handler.parsed_data_field
    if field is None or not _is_json(field):
        return
    if not await request.body():
        raise InputError("The body is empty: send a JSON object.")
    try:
        await request.json()
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at ")
        raise InputError(f"{where.strip('`').removeprefix('$').lstrip('.') or 'The body'}: {what}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"The body is no JSON that could be read ({error}).") from None


class StrictRequest(Request[Any, Any, State]):
    """A request whose JSON is of the type that its handler takes."""

    _value: Any = None

    async def json(self) -> Any:  # noqa: ANN401 - whatever the handler takes
        """The body as its handler takes it; errors as msgspec raises them."""
        if self._value is None:
            field = self.route_handler.parsed_data_field
            if field is None:
                return await super().json()
            self._value = _decode(await self.body(), field.annotation, self.app.state.decoders)
        return self._value


def _is_json(field: FieldDefinition) -> bool:
    """Returns whether a handler takes its body as JSON."""
    body = field.kwarg_definition
    return not isinstance(body, BodyKwarg) or body.media_type == RequestEncodingType.JSON


def _decode(body: bytes, kind: type, decoders: Decoders) -> Any:  # noqa: ANN401 - of this kind
    try:
        return decoders[kind].decode(body)
    except msgspec.ValidationError as error:
        if "got `float`" not in str(error) or len(body) > LONGEST_TRIED_AGAIN:
            raise
        return msgspec.convert(_whole(msgspec.json.decode(body)), kind)


def _whole(value: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
    """A value with 2 for 2.0, which JSON does not tell apart; a larger float than is exact stays one."""
    if isinstance(value, float) and value.is_integer() and abs(value) <= LARGEST_EXACT:
        return int(value)
    if isinstance(value, list):
        return [_whole(each) for each in value]
    if isinstance(value, dict):
        return {name: _whole(each) for name, each in value.items()}
    return value
