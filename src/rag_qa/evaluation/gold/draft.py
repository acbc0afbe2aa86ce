"""Making gold for one's own documents: passages worth asking about, and what a person says of them.

Nothing here invents a question: a line of gold is written only from a person's words.
"""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from msgspec import Struct

from rag_qa.errors import GoldError, InputError
from rag_qa.evaluation.gold.gold_file import Evidence, GoldQuestion, places_of, read_gold
from rag_qa.files import write_atomically
from rag_qa.retrieval.query import check_question
from rag_qa.settings import Settings
from rag_qa.text.analysis import analyze
from rag_qa.types import Passage, document_id

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rag_qa.index.protocol import SearchIndex

__all__ = [
    "LONGEST",
    "NOTHING",
    "Asked",
    "Entered",
    "Proposal",
    "Quoted",
    "add_questions",
    "enter",
    "place_quote",
    "propose",
    "write_proposals",
]

CONSIDERED = 20_000
"""Passages that are looked at; of a larger collection a sample, the same at every run."""
TERMS = 40
"""The rarest terms of a passage that count: a longer list of names is not worth more."""
COLUMNS = ("document", "start", "end", "passage", "question", "quote", "approved")
APPROVALS = {"yes", "y", "x", "true", "1"}
LONGEST = Settings().max_question_characters
READ_TOGETHER = 1000  # passages
NOTHING = "-"
"""In the place of a quote: nothing in the documents answers."""
FORMULAS = ("=", "+", "-", "@", "\t", "\r")


class Proposal(Struct, frozen=True):
    """A passage that may be worth asking about."""

    document: str
    passage: Passage


class Quoted(Struct, frozen=True):
    """A quote that a person took from a passage."""

    document: str
    start: int
    end: int
    """Where the passage stands."""
    quote: str


class Asked(Struct, frozen=True):
    """A question in a person's words, with the quotes that answer it; none where nothing in the documents does."""

    question: str
    quotes: list[Quoted]


class Entered(Struct, frozen=True):
    """What became of the rows of a table: questions that are gold now, and rows that count for nothing yet."""

    added: list[GoldQuestion]
    empty: int
    """Rows without a question."""
    unapproved: int
    """Rows that nobody has approved."""
    known: int
    """Questions that were gold already."""


def propose(index: "SearchIndex", wanted: int, known: Sequence[GoldQuestion] = ()) -> list[Proposal]:
    """Informative passages that differ from one another, and from the evidence of questions there are already.

    Chosen one after the other, as in maximal marginal relevance (Carbonell and Goldstein 1998): the passage with the
    largest product of its information, the inverse document frequencies of its terms, and its distance, 1 - cosine,
    from the nearest one that is taken.

    Args:
        index: the opened snapshot.
        wanted: how many.
        known: gold questions about it.
    """
    found = list(_passages(index))
    if not found:
        return []
    vectors = np.stack([vector for _, vector in found])
    information = np.array([_information(index, proposal.passage) for proposal, _ in found])
    information /= max(information.max(), np.finfo(float).tiny)
    free = np.ones(len(found))
    for place in _evidence_places([proposal for proposal, _ in found], known):
        free = np.minimum(free, 1 - vectors @ vectors[place])
    chosen: list[Proposal] = []
    while len(chosen) < min(wanted, len(found)):
        scores = information * np.clip(free, 0.0, None)
        best = int(np.argmax(scores))
        if scores[best] <= 0.0:
            break
        chosen.append(found[best][0])
        free = np.minimum(free, 1 - vectors @ vectors[best])
        free[best] = 0.0
    return chosen


def add_questions(path: Path, asked: Sequence[Asked], index: "SearchIndex") -> list[GoldQuestion]:
    """Adds questions to a gold file, which is made if need be; all of them, or none where one cannot be used.

    Raises:
        QuestionError: a question cannot be asked.
        GoldError: a quote does not stand in its document, or the file is no gold.
    """
    known = {question.id for question in read_gold(path)} if path.is_file() else set()
    before = path.read_bytes().decode() if path.is_file() else ""  # line ends as they are
    added: list[GoldQuestion] = []
    for each in asked:
        check_question(each.question, LONGEST)
        evidence = tuple(dict.fromkeys(place_quote(quoted, index) for quoted in each.quotes))
        added.append(GoldQuestion(_free_id(known), each.question.strip(), bool(evidence), evidence))
        known.add(added[-1].id)
    joint = "" if not before or before.endswith("\n") else "\n"
    lines = "".join(f"{msgspec.json.encode(question).decode()}\n" for question in added)
    write_atomically(path, f"{before}{joint}{lines}")
    return added


def place_quote(quoted: Quoted, index: "SearchIndex") -> Evidence:
    """The quote as it stands in its document, whatever white space it was given with.

    Where it stands there more than once, the place in the passage is meant.

    Raises:
        GoldError: the document is not indexed, or the quote does not stand in it.
    """
    document = index.document(document_id(quoted.document))
    if document is None:
        raise GoldError(f"“{quoted.document}” is not in the index.")
    words = quoted.quote.split()
    if not any(character.isalnum() for character in quoted.quote):
        raise GoldError("A quote needs a letter or a digit.")
    pattern = re.compile(r"\s+".join(map(re.escape, words)))
    text = document.text
    places = list(pattern.finditer(text))
    inside = [each for each in places if quoted.start <= each.start() and each.end() <= quoted.end]
    if not places or (len(places) > 1 and not inside):
        what = "does not stand in" if not places else f"stands {len(places)} times, and not in the passage, in"
        raise GoldError(f"The quote {what} {quoted.document}: “{' '.join(words)[:80]}”; copy it from the passage.")
    found = (inside or places)[0]
    again = len(places_of(found.group(), text)) > 1
    return Evidence(quoted.document, found.group(), found.start() if again else None)


def write_proposals(proposals: Sequence[Proposal], path: Path) -> None:
    """Writes a table (CSV) to be filled in: question, quote, and `yes` under `approved`.

    Raises:
        GoldError: there is such a file, which may have been filled in.
    """
    if path.exists():
        raise GoldError(f"“{path}” is there already: name another file, or take it in with `--from-csv {path}`.")
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(COLUMNS)
    for each in proposals:
        passage = each.passage
        writer.writerow([_plain(each.document), passage.start, passage.end, _plain(passage.text), "", "", ""])
    write_atomically(path, f"\ufeff{table.getvalue()}")  # without the mark, spreadsheets take UTF-8 for something else


def enter(table: Path, gold: Path, index: "SearchIndex") -> Entered:
    """Takes the approved rows of a filled-in table into a gold file; all of them, or none where one is wrong.

    Rows with the same question become one question with several quotes; `-` as the quote says that nothing in the
    documents answers it.

    Raises:
        GoldError: the table cannot be read, or a row cannot be used; the message names its line.
    """
    asked: dict[str, list[Quoted]] = {}
    unanswered: set[str] = set()
    empty = unapproved = 0
    for line, row in _rows(table):
        question, approval = row["question"].strip(), row["approved"].strip().lower()
        if not question:
            empty += 1
        elif approval not in APPROVALS:
            unapproved += 1
        else:
            quotes = asked.setdefault(question, [])
            try:
                check_question(question, LONGEST)
                if not row["quote"].strip():
                    raise GoldError(
                        f"It has no quote: copy one, or write “{NOTHING}” if nothing in the documents answers."
                    )
                if row["quote"].strip() != NOTHING:
                    quotes.append(_quoted(row))
                    place_quote(quotes[-1], index)
                else:
                    unanswered.add(question)
                if quotes and question in unanswered:
                    raise GoldError(f"Its question has a quote in one row, and “{NOTHING}” in another.")
            except InputError as error:
                raise GoldError(f"The row that ends in line {line} of {table}: {error}") from None
    known = {question.question for question in read_gold(gold)} & asked.keys() if gold.is_file() else set()
    new = [Asked(question, quotes) for question, quotes in asked.items() if question not in known]
    return Entered(add_questions(gold, new, index) if new else [], empty, unapproved, len(known))


def _passages(index: "SearchIndex") -> "Iterator[tuple[Proposal, NDArray[np.float32]]]":
    """All passages with their vectors, or a sample of as many as are considered."""
    total = index.info.counts.passages
    rows = np.arange(total)
    if total > CONSIDERED:
        rows = np.sort(np.random.default_rng(0).choice(total, CONSIDERED, replace=False))
    for first in range(0, len(rows), READ_TOGETHER):
        some = rows[first : first + READ_TOGETHER].tolist()
        for (document, passage), vector in zip(index.passages(some), index.passage_vectors(some), strict=True):
            yield Proposal(document.path, passage), vector


def _information(index: "SearchIndex", passage: Passage) -> float:
    """The sum of the idf of its rarest terms."""
    idf = sorted(index.idf(set(analyze(passage.text))).values(), reverse=True)
    return sum(idf[:TERMS])


def _evidence_places(proposals: Sequence[Proposal], known: Sequence[GoldQuestion]) -> list[int]:
    """The proposals that hold a quote of a question there is already."""
    quotes = {(item.document, item.quote) for question in known for item in question.evidence}
    return [
        number
        for number, each in enumerate(proposals)
        if any(document == each.document and quote in each.passage.text for document, quote in quotes)
    ]


def _free_id(known: set[str]) -> str:
    """The next id of the form q1, q2 and so on."""
    return next(name for number in count(len(known) + 1) if (name := f"q{number}") not in known)


def _plain(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(FORMULAS) else text


def _quoted(row: Mapping[str, str]) -> Quoted:
    try:
        start, end = int(row["start"]), int(row["end"])
    except ValueError:
        raise GoldError("Start and end are not the numbers that were written: leave them as they are.") from None
    return Quoted(row["document"].strip().removeprefix("'"), start, end, row["quote"])


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            heading = file.readline()
            file.seek(0)
            separator = next((mark for mark in ";\t" if heading.count(mark) >= len(COLUMNS) - 1), ",")
            reader = csv.DictReader(file, delimiter=separator, strict=True)
            reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or ()]
            missing = set(COLUMNS) - set(reader.fieldnames)
            if missing:
                raise GoldError(f"{path} has no column “{min(missing)}”: fill in what `rag-qa eval draft --csv` wrote.")
            rows = [(reader.line_num, row) for row in reader]
    except OSError as error:
        raise GoldError(f"“{path}” cannot be read ({error.strerror}): check the path.") from None
    except (csv.Error, UnicodeDecodeError) as error:
        raise GoldError(f"“{path}” is no table in CSV and UTF-8 ({error}): save it as such.") from None
    return [(line, {name: row[name] or "" for name in COLUMNS}) for line, row in rows]
