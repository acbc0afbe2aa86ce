"""Descriptions of responses for the OpenAPI document: an example of each, of problems too."""

from typing import Any

from litestar._openapi.schema_generation import SchemaCreator
from litestar._openapi.schema_generation.plugins.struct import StructSchemaPlugin
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example, OpenAPIType, Reference, Schema
from litestar.params import Parameter
from litestar.typing import FieldDefinition

from rag_qa.service.api import examples
from rag_qa.service.http.problems import MEDIA_TYPE, Problem

__all__ = ["ClosedStructPlugin", "parameter", "problems", "responses_of"]

ALWAYS = (400, 401, 403, 429, 500, 503)
"""Statuses that every route may answer: unusable request, no key, key of another scope, too often, our fault, crowd."""


class ClosedStructPlugin(StructSchemaPlugin):
    """Plugin that adds two facts to the schemas of records: they take no other fields, and 1 is also a number."""

    def to_openapi_schema(self, field_definition: FieldDefinition, schema_creator: SchemaCreator) -> Schema:
        """The schema as Litestar makes it, closed to other fields."""
        schema = super().to_openapi_schema(field_definition, schema_creator)
        for each in (schema.properties or {}).values():
            _alternatives(each)
        if field_definition.type_.__struct_config__.forbid_unknown_fields:
            schema.additional_properties = False
        return schema


def _alternatives(schema: Schema | Reference) -> None:
    """Allows a whole number to match both `integer` and `number` where both are alternatives."""
    if not isinstance(schema, Schema):
        return
    for inner in (schema.items, schema.additional_properties, *(schema.one_of or ())):
        if isinstance(inner, Schema):
            _alternatives(inner)
    types = {each.type for each in schema.one_of or () if isinstance(each, Schema) and isinstance(each.type, str)}
    if {OpenAPIType.INTEGER, OpenAPIType.NUMBER} <= types:
        schema.any_of, schema.one_of = schema.one_of, None


def parameter(description: str, kind: str = "", *, several: bool = False, **schema: Any) -> Any:  # noqa: ANN401
    """A parameter of an address, which need not be given; JSON Schema would let it be null.

    Args:
        description: what it is.
        kind: its type, in JSON Schema's words, where it may be left out.
        several: whether it may be given several times.
        schema: other keywords, of each value.
    """
    value = {"type": kind} | schema if kind else schema
    if several:
        value = {"type": "array", "items": Schema(type=OpenAPIType(kind), **schema)}
    return Parameter(description=description, schema_extra=value | ({"one_of": None} if kind else {}))


def problems(*statuses: int) -> dict[int, ResponseSpec]:
    """The error responses of a route: those that every route may give, and `statuses`."""
    return {
        status: ResponseSpec(
            Problem,
            description=examples.PROBLEMS[status].title,
            media_type=MEDIA_TYPE,
            generate_examples=False,
            examples=[Example(value=examples.PROBLEMS[status])],
        )
        for status in sorted({*ALWAYS, *statuses})
    }


def responses_of(
    status: int,
    kind: Any,  # noqa: ANN401 - a type
    value: Any,  # noqa: ANN401 - of that type
    *others: int,
    media_type: str | None = None,
) -> dict[int, ResponseSpec]:
    """The responses of a route: one that answers, with an example, and its problems.

    Args:
        status: of the answer.
        kind: its type.
        value: the example.
        others: statuses of problems, beside those that every route may give.
        media_type: of the answer, where that is not JSON.
    """
    kept = {} if media_type is None else {"media_type": media_type}
    answer = ResponseSpec(
        kind, generate_examples=False, examples=[Example(value=value)], description="The answer", **kept
    )
    return {status: answer, **problems(*others)}
