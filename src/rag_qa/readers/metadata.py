"""Metadata in one form, whatever the file calls it.

Names that every reader uses: `authors` (a list), `date` (ISO 8601), `language` (ISO 639-1 where there is one), `url`,
`format`, `size` (bytes). All other fields keep their names.
"""

import datetime as dt
import json
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import langcodes
from langcodes.tag_parser import LanguageTagError

from rag_qa.errors import ReadError

__all__ = [
    "DATE",
    "TITLE",
    "URL",
    "first_of",
    "iso_date",
    "language_code",
    "normalised",
    "read_sidecar",
    "whole_characters",
]

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
LARGEST_NUMBER = 2**63 - 1
EPOCHS = ("1601-01-01", "1970-01-01")  # what programs write for "no date"


def normalised(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields with the common ones under their one name and in their one form; empty ones are left out."""
    given = {name: plain(value) for name, value in fields.items()}
    common = {
        "authors": _names(first_of(given, AUTHORS)),
        "date": iso_date(first_of(given, DATE)),
        "language": language_code(first_of(given, LANGUAGE)),
        "url": first_of(given, URL),
    }
    renamed = {name for names in (AUTHORS, DATE, LANGUAGE, URL) for name in names}
    kept = {name: value for name, value in given.items() if name not in renamed}
    # A date that cannot be read as one stays as it is, for people to see.
    if common["date"] is None and (unread := first_of(given, DATE)) is not None:
        kept["date_as_given"] = str(unread)
    return {name: value for name, value in {**common, **kept}.items() if value not in (None, "", [], {})}


def read_sidecar(path: Path) -> dict[str, Any]:
    """The fields of a sidecar.

    Raises:
        ReadError: it is no JSON object.
    """
    try:
        fields = json.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise ReadError(f"cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ReadError(f"a sidecar that is no JSON ({error}): its document was read without it") from None
    if not isinstance(fields, dict):
        raise ReadError("a sidecar that is no JSON object of fields: its document was read without it")
    return fields


def first_of(fields: Mapping[str, Any], names: tuple[str, ...]) -> Any:  # noqa: ANN401 - whatever the field holds
    """The first field of these names that says something."""
    return next((fields[name] for name in names if fields.get(name) not in (None, "", [], {})), None)


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
        return text[:10] if len(text) <= 10 else moment.isoformat(timespec="seconds")
    except ValueError:
        pass
    try:
        return parsedate_to_datetime(text).isoformat()
    except (ValueError, IndexError, OverflowError):
        return None


def language_code(value: object) -> str | None:
    """The code of a language, of two letters where it has one; None where the value is no code."""
    try:
        return langcodes.Language.get(str(value)).language if isinstance(value, str) else None
    except LanguageTagError:
        return None


def plain(value: Any) -> Any:  # noqa: ANN401 - whatever a file's metadata hold
    """A value as JSON has it."""
    if isinstance(value, dt.date):  # times too
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain(part) for part in value]
    if isinstance(value, int) and abs(value) > LARGEST_NUMBER:
        return str(value)
    if isinstance(value, str):
        return whole_characters(value)
    return value if value is None or isinstance(value, int | float) else str(value)


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
