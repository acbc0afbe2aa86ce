"""Filters: conditions on the documents that a question is asked of."""

import datetime as dt
import re
from calendar import monthrange
from collections.abc import Callable, Iterable, Mapping, Set
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta, Struct

from rag_qa.errors import QuestionError, UnknownFieldError
from rag_qa.schemas import shown
from rag_qa.types import DocumentInfo

if TYPE_CHECKING:  # imported where it is used: it would make every `ask` 0.03 s slower
    from pathspec import GitIgnoreSpec

__all__ = ["PERIOD", "Filters", "matcher", "metadata_filters"]

Scalar = str | int | float | bool
OneOrMore = str | tuple[str, ...]
GLOB = {"type": "string", "format": "glob"}
SUFFIXES = {"txt": "text", "md": "markdown", "htm": "html"}
"""Suffixes of files, accepted as names of the formats that the index has."""
PERIOD = re.compile(r"\d{4}(-\d\d){0,2}", re.ASCII)
"""A year, month or day in ISO 8601: `2024`, `2024-05`, `2024-05-17`."""
MOST_GLOBS = 20
MOST_STARS = 3  # in a segment of a glob
MOST_NAMED = 20  # known metadata fields in a message


class Filters(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Conditions on a document, all of which it must meet; of several values in a field, one is enough."""

    document: Annotated[
        OneOrMore,
        shown(
            "Globs on the path, as in .gitignore: `reports/`, `*.pdf`, `2024/**/a*`.",
            oneOf=[GLOB, {"type": "array", "items": GLOB}],
        ),
    ] = ()
    format: Annotated[OneOrMore, Meta(description="`pdf`, `docx`, `text`, `markdown`, `html`, …")] = ()
    language: Annotated[OneOrMore, Meta(description="ISO 639-1 codes: `en`.")] = ()
    date_from: Annotated[str | None, shown("First day, ISO 8601; a year or a month is enough.", format="period")] = None
    date_to: Annotated[str | None, shown("Last day, ISO 8601; a year or a month is enough.", format="period")] = None
    metadata: Annotated[
        dict[str, Scalar], Meta(description="Values of metadata fields, `title` among them; of a list, one value.")
    ] = {}


def matcher(filters: Filters, fields: Set[str]) -> Callable[[DocumentInfo], bool]:
    """Returns a predicate that tells whether a document passes the filters; every search engine filters by it.

    Args:
        filters: the conditions.
        fields: the names of all metadata fields that documents of the collection have.

    Raises:
        UnknownFieldError: a filter names a metadata field that no document has.
        QuestionError: a filter cannot be parsed, or the range of dates is empty.
    """
    unknown = sorted(filters.metadata.keys() - fields)
    if unknown:
        known = sorted(fields)
        named = ", ".join(known[:MOST_NAMED]) + (" …" if len(known) > MOST_NAMED else "")
        raise UnknownFieldError(f"No document has the metadata field “{unknown[0][:80]}”; there are: {named}.")
    globs = _globs(_several(filters.document))
    asked = [value.lower().removeprefix(".") for value in _several(filters.format)]
    formats = {SUFFIXES.get(name, name) for name in asked}
    languages = {value.lower() for value in _several(filters.language)}
    first = _period(filters.date_from, "date_from")[0] if filters.date_from is not None else None
    last = _period(filters.date_to, "date_to")[1] if filters.date_to is not None else None
    if first and last and first > last:
        raise QuestionError(f"date_from, {filters.date_from}, is later than date_to, {filters.date_to}: swap them.")

    def passes(info: DocumentInfo) -> bool:
        return (
            (globs is None or _matches(globs, info))
            and (not formats or info.metadata.get("format") in formats)
            and (not languages or info.metadata.get("language") in languages)
            and _is_between(info.metadata.get("date"), first, last)
            and all(_has(info, name, value) for name, value in filters.metadata.items())
        )

    return passes


def metadata_filters(given: Iterable[str]) -> dict[str, Scalar]:
    """Parses metadata filters of a command line or a URL, each `field=value`, to values by field.

    Raises:
        QuestionError: a filter is not of this form, or a field has two.
    """
    values: dict[str, Scalar] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise QuestionError(f"The metadata filter “{text[:80]}” has no field or no value: write FIELD=VALUE.")
        if name in values:
            raise QuestionError(f"There are two filters of the metadata field “{name[:80]}”: give one.")
        values[name] = value
    return values


def _several(value: OneOrMore) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else value


def _globs(patterns: tuple[str, ...]) -> "GitIgnoreSpec | None":
    from pathspec import GitIgnoreSpec
    from pathspec.patterns.gitignore import GitIgnorePatternError

    if len(patterns) > MOST_GLOBS:
        raise QuestionError(f"There are {len(patterns)} globs: at most {MOST_GLOBS} can be used.")
    if not all(pattern.strip() for pattern in patterns):
        raise QuestionError("A glob is empty: leave it out, or write one such as `reports/`.")
    for pattern in patterns:  # every `*` adds to the time that matching takes
        if any(segment.count("*") > MOST_STARS for segment in pattern.split("/")):
            raise QuestionError(f"The glob “{pattern[:80]}” has more than {MOST_STARS} “*” in a part: shorten it.")
    try:
        return GitIgnoreSpec.from_lines(patterns) if patterns else None
    except (GitIgnorePatternError, ValueError, re.error):
        told = ", ".join(patterns)[:80]
        raise QuestionError(f"The glob “{told}” cannot be understood: write it as in .gitignore.") from None


def _matches(globs: "GitIgnoreSpec", info: DocumentInfo) -> bool:
    """Returns whether the last glob that matches the document's path, or that of its file, includes it."""
    results = [globs.check_file(path) for path in {info.path, info.file}]
    included = {result.index: bool(result.include) for result in results if result.index is not None}
    return included[max(included)] if included else False


def _has(info: DocumentInfo, name: str, wanted: Scalar) -> bool:
    value = info.title if name == "title" else info.metadata.get(name)
    return any(_plain(one) == _plain(wanted) for one in (value if isinstance(value, list) else [value]))


def _plain(value: Any) -> str | None:  # noqa: ANN401 - whatever JSON holds
    """Returns a value as a user types it on a command line, where every value is text."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return None if value is None or isinstance(value, Mapping) else str(value)


def _is_between(date: object, first: dt.date | None, last: dt.date | None) -> bool:
    """Returns whether a document's date, which may be a whole month or year, has a day in the range."""
    if first is None and last is None:
        return True
    if not isinstance(date, str):
        return False
    try:
        begin, end = _period(date[:10], "date")
    except QuestionError:
        return False
    return (first is None or end >= first) and (last is None or begin <= last)


def _period(text: str, name: str) -> tuple[dt.date, dt.date]:
    """Returns the first and the last day of `2024`, `2024-05` or `2024-05-17`.

    Raises:
        QuestionError: the text is no such date; the message calls it by the name.
    """
    parts = text.split("-")
    try:
        if not PERIOD.fullmatch(text):
            raise ValueError
        first = [int(part) for part in parts]
        begin = dt.date(*[*first, 1, 1][:3])
        month = begin.month if len(parts) > 1 else 12
        end = begin if len(parts) > 2 else dt.date(begin.year, month, monthrange(begin.year, month)[1])
    except ValueError:
        raise QuestionError(f"{name} is “{text[:40]}”: write a date such as 2024-05-17, 2024-05 or 2024.") from None
    return begin, end
