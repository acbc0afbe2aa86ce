"""Helpers for msgspec types: decoders, and field metadata for JSON Schema."""

from typing import Any, TypeVar

import msgspec
from msgspec import Meta

__all__ = ["json_decoder", "msgpack_decoder", "shown"]

Decoded = TypeVar("Decoded")


def json_decoder(kind: type[Decoded]) -> msgspec.json.Decoder[Decoded]:
    """Returns a decoder from JSON to a type; must be called when the module is imported.

    msgspec crashes if two threads are the first to decode a type at the same time. Making the decoder once, at import,
    prepares the type before there are threads; afterwards all threads may share the decoder.
    """
    return msgspec.json.Decoder(kind)


def msgpack_decoder(kind: type[Decoded]) -> msgspec.msgpack.Decoder[Decoded]:
    """Returns a decoder from MessagePack to a type; must be called at import, as `json_decoder`."""
    return msgspec.msgpack.Decoder(kind)


def shown(description: str, **schema: Any) -> Meta:  # noqa: ANN401 - keywords of JSON Schema
    """Returns field metadata with keywords of JSON Schema that msgspec does not check when it decodes.

    A client can read these bounds and formats before it asks; the engine checks the value and words the error message.
    """
    # Litestar looks under "extra".
    return Meta(description=description, extra_json_schema={**schema, "extra": schema} if schema else None)
