"""Metadata in one form, under any name that a file gives it.

Names that every parser uses: `authors` (a list), `date` (ISO 8601), `language` (ISO 639-1 where there is one), `url`,
`format`, `size` (bytes). All other fields keep their names.
"""

import datetime as dt
import json
import math
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any

from rag_qa.errors import ReadError

__all__ = [
    "RESERVED",
    "TITLE",
    "iso_date",
    "language_code",
    "name_of",
    "normalised",
    "sidecar_fields",
    "whole_characters",
]

RESERVED = frozenset({"format", "size", "encoding", "encoding_guessed"})
"""Fields that only the parser sets."""
# The common names of a field, the best first.
TITLE = ("title", "headline", "subject", "name")
DATE = (
    "date",
    "date_published",
    "published",
    "published_at",
    "pubDate",
    "created_at",
    "created",
    "timestamp",
    "updated",
)
URL = ("url", "link", "permalink", "external_url", "canonical_url", "href")
AUTHORS = ("authors", "author", "byline", "creator")
LANGUAGE = ("language", "lang", "locale")
COMMON = {"authors": AUTHORS, "date": DATE, "language": LANGUAGE, "url": URL}
EMPTY: tuple[object, ...] = (None, "", [], {})
LARGEST_NUMBER = 2**63 - 1
MOST_BITS_IN_WORDS = 10_000  # Python writes no longer numbers in decimal
DEEPEST = 16
EPOCHS = ("1601-01-01", "1970-01-01")  # what programs write for "no date"


def normalised(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields with the common ones under their one name and in their one form; empty ones are left out."""
    given = {whole_characters(str(name)): plain(value) for name, value in fields.items()}
    names = {name: name_of(given, others) for name, others in COMMON.items()}
    found = {name: given.get(used) for name, used in names.items() if used is not None}
    common = {
        "authors": _names(found.get("authors")),
        "date": iso_date(found.get("date")),
        "language": language_code(found.get("language")),
        "url": url if isinstance(url := found.get("url"), str) else None,
    }
    kept = {name: value for name, value in given.items() if name and name not in names.values()}
    if common["date"] is None and "date" in found:  # for people to see
        kept["date_as_given"] = str(found["date"])
    return {name: value for name, value in {**kept, **common}.items() if value not in EMPTY}


def sidecar_fields(data: bytes) -> dict[str, Any]:
    """The fields of a sidecar.

    Raises:
        ReadError: it is no JSON object.
    """
    try:
        fields = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ReadError(f"a sidecar that is no JSON ({error})") from None
    if not isinstance(fields, dict):
        raise ReadError("a sidecar that is no JSON object of fields")
    return fields


def name_of(fields: Mapping[str, Any], names: Sequence[str]) -> str | None:
    """The first of the names whose field says something."""
    return next((name for name in names if fields.get(name) not in EMPTY), None)


def iso_date(value: object) -> str | None:
    """A date or time in ISO 8601, or None where the value is none; year and year-month stay short."""
    if isinstance(value, int) and 1000 <= value <= 9999:
        return str(value)
    text = str(value).strip() if isinstance(value, str) else ""
    if text.startswith(EPOCHS):
        return None
    for shape in ("%Y", "%Y-%m"):
        try:
            return dt.datetime.strptime(text, shape).strftime(shape)
        except ValueError:
            continue
    try:
        moment = dt.datetime.fromisoformat(text)
        return moment.date().isoformat() if len(text) <= 10 else moment.isoformat(timespec="seconds")
    except ValueError:
        pass
    try:
        return parsedate_to_datetime(text).isoformat()
    except (ValueError, IndexError, OverflowError):
        return None


def language_code(value: object) -> str | None:
    """The code of a language, of two letters where it has one; None where the value is no code."""
    if not isinstance(value, str):
        return None
    import langcodes  # here, for most files do not name their language
    from langcodes.tag_parser import LanguageTagError

    try:
        return langcodes.Language.get(value).language
    except LanguageTagError:
        return None


def plain(value: Any, depth: int = 0) -> Any:  # noqa: ANN401 - whatever a file's metadata hold
    """A value as JSON has it; what lies too deep is left out, and says so."""
    if depth > DEEPEST:
        return "…"
    if isinstance(value, dt.date):  # times too
        return value.isoformat()
    if isinstance(value, Mapping):
        return {whole_characters(str(name)): plain(part, depth + 1) for name, part in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((plain(part, depth + 1) for part in value), key=str)
    if isinstance(value, list | tuple):
        return [plain(part, depth + 1) for part in value]
    return _scalar(value)


def _scalar(value: Any) -> str | int | float | None:  # noqa: ANN401 - as `plain`
    if isinstance(value, int) and abs(value) > LARGEST_NUMBER:
        return f"{value:#x}" if value.bit_length() > MOST_BITS_IN_WORDS else str(value)
    if value is None or isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return whole_characters(str(value))


def whole_characters(text: str) -> str:
    """The text with halves of surrogate pairs, which JSON can hold and UTF-8 cannot, as U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _names(value: object) -> list[str]:
    """Persons as a list of names: from one name, a list, or JSON Feed's objects."""
    if isinstance(value, Mapping):
        value = value.get("name")
    if isinstance(value, list):
        return [name for part in value for name in _names(part)]
    return [value.strip()] if isinstance(value, str) and value.strip() else []
