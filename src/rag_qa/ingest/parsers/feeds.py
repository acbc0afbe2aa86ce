"""JSON and JSONL feeds: each record is a document. JSON that is no feed is text like any other."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from rag_qa.errors import ReadError
from rag_qa.ingest.parsers.metadata import TITLE, name_of, whole_characters
from rag_qa.ingest.parsers.plain import decode, read_text
from rag_qa.ingest.parsers.record import Record
from rag_qa.settings import IndexSettings
from rag_qa.text.structure import LINE_END

__all__ = ["FEEDS", "BrokenRecord", "read_feed"]

PARSER = "feed/1"
FEEDS = frozenset({".json", ".jsonl", ".ndjson"})
LINES = frozenset({".jsonl", ".ndjson"})
TEXT = ("text", "content", "body", "content_text", "full_text", "article", "abstract", "description", "summary")
LISTS = ("items", "records", "documents", "articles", "entries", "results", "data", "docs", "posts")
"""Fields in which an object keeps its records."""


class BrokenRecord(Struct, frozen=True):
    """A record that gave no document: its line or place, and why."""

    number: int
    reason: str


def read_feed(data: bytes, suffix: str, settings: IndexSettings) -> tuple[list[Record], list[BrokenRecord]]:
    """The records of a feed in order, and those that are broken.

    Raises:
        ReadError: it is no text, no line of a JSONL file is a record with text, or none of the records has the text
            field that the settings name.
    """
    text, encoding = decode(data)
    names = (settings.feed_text,) if settings.feed_text else TEXT
    records: list[Record] = []
    broken: list[BrokenRecord] = []
    for number, value in _lines(text) if suffix in LINES else _values(text, names):
        if isinstance(value, BrokenRecord):
            broken.append(value)
        elif isinstance(value, Mapping) and (field := _text_field(value, names)) is not None:
            records.append(_record(number, value, field, suffix, settings, encoding))
        else:
            told = settings.feed_text or f"{', '.join(TEXT[:3])} …"
            broken.append(BrokenRecord(number, f"the record has no text in the field {told}"))
    if records:
        return records, broken
    if settings.feed_text:
        raise ReadError(f"no record has text in the field “{settings.feed_text}”, which feed_text names")
    if suffix in LINES:
        reason = f"{broken[0].reason}, in line {broken[0].number}" if broken else "it has no line"
        raise ReadError(f"none of its lines is a record with a text ({reason})")
    whole = read_text(data)
    return [Record(text=whole.text, parser=whole.parser, metadata={**whole.metadata, "format": suffix[1:]})], []


def _lines(text: str) -> Iterator[tuple[int, Any]]:
    """(1-based line, value) of each line that holds something."""
    for number, line in enumerate(LINE_END.split(text), start=1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError) as error:
                yield number, BrokenRecord(number, f"the line is no JSON ({error})")


def _values(text: str, names: Sequence[str]) -> Iterator[tuple[int, Any]]:
    """(1-based place, value) of each record in a JSON file; none where it holds neither a record nor a list of them."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return
    if isinstance(value, dict):
        listed = next((value[name] for name in LISTS if _is_list_of_objects(value.get(name))), None)
        value = listed if listed is not None and _text_field(value, names) is None else [value]
    if _is_list_of_objects(value):
        yield from enumerate(value, start=1)


def _is_list_of_objects(value: object) -> bool:
    return isinstance(value, list) and any(isinstance(part, dict) for part in value)


def _text_field(value: Mapping[str, Any], names: Sequence[str]) -> str | None:
    """The first of the fields that holds text."""
    return next((name for name in names if isinstance(value.get(name), str) and value[name].strip()), None)


def _record(
    number: int,
    value: Mapping[str, Any],
    field: str,
    suffix: str,
    settings: IndexSettings,
    encoding: Mapping[str, Any],
) -> Record:
    title = settings.feed_title or name_of(value, TITLE)
    by_setting = {"date": settings.feed_date, "url": settings.feed_url}
    chosen = {name: value.get(other) for name, other in by_setting.items() if other}
    others = {name: part for name, part in value.items() if name not in {field, title, *by_setting.values()}}
    named = value.get(title) if title else None
    return Record(
        text=whole_characters(value[field]),
        parser=PARSER,
        title=whole_characters(named) if isinstance(named, str) else None,
        number=number,
        metadata={**others, **chosen, **encoding, "format": suffix.removeprefix(".")},
    )
