"""Tables: CSV natively, with the file's own text; workbooks through kreuzberg, a line for each row.

Where the rows are texts (an answer in each, say), a passage never holds parts of two rows. The header row applies
to all rows below it, like a heading.
"""

import csv
from collections.abc import Sequence
from itertools import pairwise

from rag_qa.errors import ReadError
from rag_qa.ingest.parsers.kreuzberg import KREUZBERG, explicit_metadata, extract
from rag_qa.ingest.parsers.plain import PARSER, decode
from rag_qa.ingest.parsers.record import Record
from rag_qa.text.structure import line_starts
from rag_qa.types import Heading

__all__ = ["CSV", "WORKBOOKS", "read_csv", "read_workbook"]

CSV = {".csv": ",;\t|", ".tsv": "\t"}
"""Suffixes with the delimiters that are looked for."""
WORKBOOKS = frozenset({".xls", ".xlsx"})
SAMPLE = 4096  # characters from which the delimiter is guessed; the sniffer is slow on odd ones
LONGEST_FIELD = 10_000_000
WORDS_OF_A_TEXT = 12  # a row with more, on average, says something by itself
LONGEST_HEADER_CELL = 60
SHEET_LEVEL, HEADER_LEVEL = 1, 7
"""Levels of headings; a table's header lies below all that Markdown has, and is no section of a citation."""


def read_csv(data: bytes, suffix: str) -> Record:
    """Parses a CSV or TSV file.

    Raises:
        ReadError: it is no text, or a field is too long: its quotes may not close.
    """
    text, metadata = decode(data)
    delimiter = _delimiter(text, CSV[suffix])
    lines = sorted({*line_starts(text), len(text)})
    starts: list[int] = []
    rows: list[list[str]] = []
    csv.field_size_limit(LONGEST_FIELD)
    numbered = (text[start:end] for start, end in pairwise(lines))
    if suffix == ".tsv":  # which has no quotes
        reader = csv.reader(numbered, delimiter=delimiter, quoting=csv.QUOTE_NONE)
    else:
        reader = csv.reader(numbered, delimiter=delimiter)
    begun = 0
    try:
        for row in reader:
            starts.append(lines[begun])
            rows.append(row)
            begun = reader.line_num
    except csv.Error as error:
        raise ReadError(f"cannot be read as a table: {error} in line {reader.line_num}") from None
    headings, breaks = _table(text, rows, starts)
    return Record(
        text=text,
        parser=PARSER,
        headings=headings,
        breaks=breaks,
        metadata={"format": suffix.removeprefix("."), "rows": len(rows), **metadata},
    )


def read_workbook(data: bytes, suffix: str) -> Record:
    """Parses a workbook: each sheet begins with its name, each row is a line with its cells between tabs.

    Raises:
        ReadError: it cannot be read.
    """
    result = extract(data, suffix)
    names = result.metadata.get("sheet_names") or []
    text, pages, breaks, headings = "", list[int](), list[int](), list[Heading]()
    for sheet, name in enumerate(names, start=1):
        pages.append(len(text))
        tables = [table for table in result.tables if table.page_number == sheet]
        rows = [[" ".join(cell.split()) for cell in row] for table in tables for row in table.cells]
        if not any(map(any, rows)):
            continue
        headings.append(Heading(len(text), SHEET_LEVEL, name))
        text += f"{name}\n\n"
        starts: list[int] = []
        for row in rows:
            starts.append(len(text))
            text += "\t".join(row).rstrip() + "\n"
        inner, outer = _table(text, rows, starts)
        headings += inner
        breaks += outer
        text += "\n"
    return Record(
        text=text,
        parser=KREUZBERG,
        title=result.metadata.get("title"),
        pages=tuple(pages) if text else (),
        page_unit="sheet",
        breaks=tuple(breaks),
        headings=tuple(headings),
        metadata={**explicit_metadata(result, suffix), "sheets": list(names)},
    )


def _delimiter(text: str, candidates: str) -> str:
    if len(candidates) == 1:
        return candidates
    try:
        return csv.Sniffer().sniff(text[:SAMPLE], candidates).delimiter
    except csv.Error:  # one column, say
        return candidates[0]


def _table(
    text: str, rows: Sequence[Sequence[str]], starts: Sequence[int]
) -> tuple[tuple[Heading, ...], tuple[int, ...]]:
    """The header row as a heading, and the starts of rows that are units; the header stays with the first of them."""
    full = [number for number, row in enumerate(rows) if any(cell.strip() for cell in row)]
    if not full:
        return (), ()
    header = full[0] if _is_header(rows[full[0]]) else None
    headings: tuple[Heading, ...] = ()
    if header is not None:
        end = starts[header + 1] if header + 1 < len(starts) else len(text)
        headings = (Heading(starts[header], HEADER_LEVEL, " ".join(text[starts[header] : end].split())),)
    body = [number for number in full if number != header]
    words = sum(len(cell.split()) for number in body for cell in rows[number])
    if not body or words < WORDS_OF_A_TEXT * len(body):
        return headings, ()
    return headings, tuple(starts[number] for number in body[1:])


def _is_header(row: Sequence[str]) -> bool:
    """Returns whether a first row names columns: several short, different names without numbers."""
    cells = [cell.strip() for cell in row]
    named = [cell for cell in cells if cell]
    return (
        len(named) > 1
        and len(set(named)) == len(named)
        and all(len(cell) <= LONGEST_HEADER_CELL and not cell.replace(".", "").isdigit() for cell in named)
    )
