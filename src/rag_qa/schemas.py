"""What JSON Schema is told of a field besides its type: bounds and formats that the engine looks at itself.

They stand here so that a client can know them before it asks; the sentence that a wrong value gets is the engine's.
"""

from typing import Any

from msgspec import Meta

__all__ = ["shown"]


def shown(description: str, **schema: Any) -> Meta:  # noqa: ANN401 - keywords of JSON Schema
    """Metadata of a field with keywords of JSON Schema, which are not looked at when the field is decoded."""
    # Litestar looks under "extra".
    return Meta(description=description, extra_json_schema={**schema, "extra": schema} if schema else None)
