"""What JSON Schema cannot say of requests: values of the formats that the description names, and which go together.

Schemathesis makes values of unknown formats at random; a client would take them from the descriptions of the fields.
"""

import calendar

import schemathesis
from hypothesis import strategies as st

WORDS = st.text(st.characters(categories=["L", "N", "P", "Zs"], exclude_characters="\0"), min_size=1, max_size=200)
LETTERS = st.text("abcdefghijklmnopqrstuvwxyz0123456789_-", min_size=1, max_size=20)
LATE = 2025  # after the year of the examples
ENOUGH = 1000  # tokens, more than the longest passage has


def period(parts: tuple[int, int, int, int]) -> str:
    """A year, a month or a day."""
    year, month, day, length = parts
    day = min(day, calendar.monthrange(year, month)[1])
    return "-".join([f"{year:04}", f"{month:02}", f"{day:02}"][:length])


FIELDS = st.sampled_from(["title", "format", "language"])
schemathesis.openapi.format("question", WORDS.filter(lambda text: any(map(str.isalnum, text))))
schemathesis.openapi.format("glob", st.builds("{}/*.{}".format, LETTERS, LETTERS) | LETTERS)
schemathesis.openapi.format(
    "period",
    st.tuples(st.integers(LATE, 9999), st.integers(1, 12), st.integers(1, 31), st.integers(1, 3)).map(period),
)
schemathesis.openapi.format("field-value", st.builds("{}={}".format, FIELDS, LETTERS))
schemathesis.openapi.format("field", FIELDS)
schemathesis.openapi.format("file-name", st.builds("{}/{}.txt".format, LETTERS, LETTERS) | LETTERS.map("{}.txt".format))
schemathesis.openapi.media_type(
    "application/octet-stream", WORDS.filter(lambda text: any(map(str.isalnum, text))).map(str.encode)
)


@schemathesis.hook
def filter_body(context: schemathesis.HookContext, body: object) -> bool:
    """Leaves out bodies whose fields do not go together."""
    questions = body.get("questions", [body]) if isinstance(body, dict) else []
    asked = [each for each in questions if isinstance(each, dict)] if isinstance(questions, list) else []
    return all(_agree(each, each.get("filters")) for each in asked)


@schemathesis.hook
def filter_query(context: schemathesis.HookContext, query: object) -> bool:
    """The same of addresses."""
    return not isinstance(query, dict) or _agree(query, query)


def _agree(asked: dict[str, object], filters: object) -> bool:
    budget = asked.get("max_tokens")
    if isinstance(budget, int) and 1 <= budget < ENOUGH:
        return False
    if not isinstance(filters, dict):
        return True
    fields = filters.get("metadata")
    if isinstance(fields, list) and len({str(each).partition("=")[0] for each in fields}) < len(fields):
        return False
    first, last = filters.get("date_from"), filters.get("date_to")
    return not (isinstance(first, str) and isinstance(last, str) and first[:4] >= last[:4])
