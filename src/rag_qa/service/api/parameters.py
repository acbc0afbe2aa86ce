"""The parameters of a request's address: none that is unknown, and none twice that counts once."""

from typing import Any

from litestar import Request
from litestar.datastructures import State

from rag_qa.errors import InputError

__all__ = ["refuse_unknown"]

SEVERAL = {"document", "format", "language", "metadata"}
"""Parameters that may be given several times."""
NUMBERS = ("k", "max_tokens", "start", "end", "offset", "limit")


def refuse_unknown(request: Request[Any, Any, State], *known: str) -> None:
    """Checks that a request has only known parameters, so that none is misspelt in vain.

    Raises:
        InputError: it has another, or one twice.
    """
    if null := next((name for name in NUMBERS if request.query_params.get(name) == "null"), None):
        raise InputError(f"{null} is “null”, which is no number: leave it out.")
    names = [name for name, _ in request.query_params.multi_items()]
    if doubled := sorted(name for name in {*known} - SEVERAL if names.count(name) > 1):
        raise InputError(f"The parameter “{doubled[0]}” is given twice: give it once.")
    if unknown := sorted({*names} - {*known}):
        raise InputError(f"Unknown parameter “{unknown[0][:80]}”; there are: {', '.join(sorted(known)) or 'none'}.")
