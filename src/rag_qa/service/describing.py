"""What the OpenAPI document says of responses: an example for each, also for what goes wrong."""

from typing import Any

from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example

from rag_qa.service import examples
from rag_qa.service.problems import MEDIA_TYPE, Problem

__all__ = ["answers", "problems"]

ALWAYS = (400, 401, 403, 429, 500, 503)
"""What every route may answer: no usable request, no key, a key of another scope, too often, our fault, a crowd."""


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


def answers(status: int, kind: Any, value: Any, *others: int, media_type: str | None = None) -> dict[int, ResponseSpec]:  # noqa: ANN401
    """The responses of a route: one that answers, with an example, and its problems.

    Args:
        status: of the answer.
        kind: its type.
        value: the example.
        others: statuses of problems, beside those that every route may give.
        media_type: of the answer, where that is not JSON.
    """
    given = {} if media_type is None else {"media_type": media_type}
    answer = ResponseSpec(
        kind, generate_examples=False, examples=[Example(value=value)], description="The answer", **given
    )
    return {status: answer, **problems(*others)}
