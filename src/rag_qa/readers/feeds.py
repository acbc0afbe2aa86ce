"""JSON and JSONL feeds: each record is a document. JSON that is no feed is text like any other."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from rag_qa.errors import ReadError
from rag_qa.readers.metadata import DATE, TITLE, URL, first_of, normalised, whole_characters
from rag_qa.readers.record import Record
from rag_qa.readers.text import decode, read_text
from rag_qa.settings import IndexSettings

__all__ = ["FEEDS", "BrokenRecord", "read_feed"]

READER = "feed/1"
FEEDS = frozenset({".json", ".jsonl", ".ndjson"})
LINES = frozenset({".jsonl", ".ndjson"})
TEXT = ("text", "content", "body", "content_text", "full_text", "article", "abstract", "description", "summary")
LISTS = ("items", "records", "documents", "articles", "entries", "results", "data", "docs", "posts")
"""Where an object keeps its records."""


class BrokenRecord(Struct, frozen=True):
    """A record that gave no document: its line or place, and why."""

    number: int
    reason: str


def read_feed(data: bytes, suffix: str, settings: IndexSettings) -> tuple[list[Record], list[BrokenRecord]]:
    """The records of a feed in order, and those that are broken.

    Raises:
        ReadError: it is no text, or none of its records has the text field that the settings name.
    """
    text, _ = decode(data)
    records: list[Record] = []
    broken: list[BrokenRecord] = []
    for number, value in _lines(text) if suffix in LINES else _values(text):
        if isinstance(value, BrokenRecord):
            broken.append(value)
        elif (record := _record(number, value, suffix, settings)) is not None:
            records.append(record)
        else:
            names = settings.feed_text or f"{', '.join(TEXT[:3])} …"
            broken.append(BrokenRecord(number, f"the record has no text in the field {names}"))
    if records:
        return records, broken
    if settings.feed_text:
        raise ReadError(f"no record has text in the field “{settings.feed_text}”, which feed_text names")
    whole = read_text(data)
    return [Record(text=whole.text, reader=whole.reader, metadata={**whole.metadata, "format": suffix[1:]})], []


def _lines(text: str) -> Iterator[tuple[int, Any]]:
    """(1-based line, value) of each line that holds something."""
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError) as error:
                yield number, BrokenRecord(number, f"the line is no JSON ({error})")


def _values(text: str) -> Iterator[tuple[int, Any]]:
    """(1-based place, value) of each record in a JSON file; the file itself where it holds no list of records."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return
    if isinstance(value, dict):
        listed = next((value[name] for name in LISTS if isinstance(value.get(name), list)), None)
        value = [value] if listed is None else listed
    if isinstance(value, list):
        yield from enumerate(value, start=1)


def _record(number: int, value: object, suffix: str, settings: IndexSettings) -> Record | None:
    if not isinstance(value, Mapping):
        return None
    names = (settings.feed_text,) if settings.feed_text else TEXT
    text = next((value[name] for name in names if isinstance(value.get(name), str) and value[name].strip()), None)
    if text is None:
        return None
    used = {name for name in names if value.get(name) == text}
    title = value.get(settings.feed_title) if settings.feed_title else first_of(value, TITLE)
    chosen = {
        name: value.get(field)
        for name, field, common in (("date", settings.feed_date, DATE), ("url", settings.feed_url, URL))
        if field or any(other in value for other in common)
        for field in [field or next(other for other in common if other in value)]
    }
    fields = {name: field for name, field in value.items() if name not in used and name not in TITLE}
    return Record(
        text=whole_characters(text),
        reader=READER,
        title=whole_characters(title) if isinstance(title, str) else None,
        number=number,
        metadata={**normalised({**fields, **chosen}), "format": suffix.removeprefix(".")},
    )
