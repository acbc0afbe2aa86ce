"""Drafts of gold questions: proposes passages to ask about, and adds a person's questions to a gold file.

No question is generated: every question and quote comes from a person.
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
from rag_qa.evaluation.gold.gold_file import Evidence, GoldQuestion, read_gold, starts_of
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
    "Draft",
    "DraftReport",
    "Proposal",
    "Quoted",
    "add_questions",
    "enter",
    "place_quote",
    "propose",
    "write_proposals",
]

CONSIDERED = 20_000
"""Maximum number of passages that are compared; of a larger collection a sample, the same in every run."""
TERMS = 40
"""Number of a passage's rarest terms that count, so that a long list of names is not worth more."""
COLUMNS = ("document", "start", "end", "passage", "question", "quote", "approved")
APPROVALS = {"yes", "y", "x", "true", "1"}
LONGEST = Settings().max_question_characters
READ_TOGETHER = 1000  # passages
NOTHING = "-"
"""Entry in place of a quote that says that nothing in the documents answers."""
FORMULAS = ("=", "+", "-", "@", "\t", "\r")
"""First characters of a cell that spreadsheets read as a formula."""


class Proposal(Struct, frozen=True):
    """A passage that may be worth asking about."""

    document: str
    passage: Passage


class Quoted(Struct, frozen=True):
    """A quote that a person took from a passage, with the offsets of the passage."""

    document: str
    start: int
    end: int
    quote: str


class Draft(Struct, frozen=True):
    """A person's question with the quotes that answer it; empty where nothing in the documents answers."""

    question: str
    quotes: list[Quoted]


class DraftReport(Struct, frozen=True):
    """The questions that a table added to the gold, and the counts of its other rows."""

    added: list[GoldQuestion]
    empty: int
    """Rows without a question."""
    unapproved: int
    """Rows with a question that are not approved."""
    known: int
    """Questions that were already in the gold."""


def propose(index: "SearchIndex", wanted: int, known: Sequence[GoldQuestion] = ()) -> list[Proposal]:
    """Returns informative passages that differ from one another and from the evidence of the known questions.

    They are chosen one after the other, as in maximal marginal relevance (Carbonell and Goldstein 1998): each time the
    passage with the largest product of its information, the sum of the inverse document frequencies of its terms, and
    its distance, 1 - cosine, from the nearest passage that is chosen already or holds evidence.

    Args:
        index: the opened snapshot.
        wanted: maximum number of passages.
        known: gold questions about the collection.
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


def add_questions(path: Path, drafts: Sequence[Draft], index: "SearchIndex") -> list[GoldQuestion]:
    """Adds drafts to a gold file, which is created if missing: all of them, or none if one cannot be used.

    Raises:
        QuestionError: a question cannot be asked.
        GoldError: a quote is not in its document, or the file is no gold file.
    """
    known = {question.id for question in read_gold(path)} if path.is_file() else set()
    before = path.read_bytes().decode() if path.is_file() else ""  # keeps the line ends
    added: list[GoldQuestion] = []
    for each in drafts:
        check_question(each.question, LONGEST)
        evidence = tuple(dict.fromkeys(place_quote(quoted, index) for quoted in each.quotes))
        added.append(GoldQuestion(_free_id(known), each.question.strip(), bool(evidence), evidence))
        known.add(added[-1].id)
    joint = "" if not before or before.endswith("\n") else "\n"
    lines = "".join(f"{msgspec.json.encode(question).decode()}\n" for question in added)
    write_atomically(path, f"{before}{joint}{lines}")
    return added


def place_quote(quoted: Quoted, index: "SearchIndex") -> Evidence:
    """Finds a quote in its document, whatever its white space, and returns the text there.

    Of several places the one inside the passage counts.

    Raises:
        GoldError: the document is not indexed, or the quote is not in it.
    """
    document = index.document(document_id(quoted.document))
    if document is None:
        raise GoldError(f"“{quoted.document}” is not in the index.")
    words = quoted.quote.split()
    if not any(character.isalnum() for character in quoted.quote):
        raise GoldError("A quote needs a letter or a digit.")
    pattern = re.compile(r"\s+".join(map(re.escape, words)))
    text = document.text
    matches = list(pattern.finditer(text))
    inside = [each for each in matches if quoted.start <= each.start() and each.end() <= quoted.end]
    if not matches or (len(matches) > 1 and not inside):
        what = "does not stand in" if not matches else f"stands {len(matches)} times, and not in the passage, in"
        raise GoldError(f"The quote {what} {quoted.document}: “{' '.join(words)[:80]}”; copy it from the passage.")
    found = (inside or matches)[0]
    again = len(starts_of(found.group(), text)) > 1
    return Evidence(quoted.document, found.group(), found.start() if again else None)


def write_proposals(proposals: Sequence[Proposal], path: Path) -> None:
    """Writes a table (CSV) in which a person fills in question, quote, and `yes` under `approved`.

    Raises:
        GoldError: the file exists; it may have been filled in.
    """
    if path.exists():
        raise GoldError(f"“{path}” is there already: name another file, or take it in with `--from-csv {path}`.")
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(COLUMNS)
    for each in proposals:
        passage = each.passage
        writer.writerow([_plain(each.document), passage.start, passage.end, _plain(passage.text), "", "", ""])
    write_atomically(path, f"\ufeff{table.getvalue()}")  # spreadsheets recognise UTF-8 by the byte order mark


def enter(table: Path, gold: Path, index: "SearchIndex") -> DraftReport:
    """Adds the approved rows of a filled-in table to a gold file: all of them, or none if one is wrong.

    Rows with the same question become one question with several quotes; `-` as the quote says that nothing in the
    documents answers it.

    Raises:
        GoldError: the table cannot be read, or a row cannot be used; the message names its line.
    """
    drafts: dict[str, list[Quoted]] = {}
    unanswered: set[str] = set()
    empty = unapproved = 0
    for line, row in _rows(table):
        question, approval = row["question"].strip(), row["approved"].strip().lower()
        if not question:
            empty += 1
        elif approval not in APPROVALS:
            unapproved += 1
        else:
            quotes = drafts.setdefault(question, [])
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
    known = {question.question for question in read_gold(gold)} & drafts.keys() if gold.is_file() else set()
    new = [Draft(question, quotes) for question, quotes in drafts.items() if question not in known]
    return DraftReport(add_questions(gold, new, index) if new else [], empty, unapproved, len(known))


def _passages(index: "SearchIndex") -> "Iterator[tuple[Proposal, NDArray[np.float32]]]":
    """Yields the passages with their vectors; of more than CONSIDERED passages a sample."""
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
    """Returns the indices of the proposals that hold a quote of a known question."""
    quotes = {(item.document, item.quote) for question in known for item in question.evidence}
    return [
        number
        for number, each in enumerate(proposals)
        if any(document == each.document and quote in each.passage.text for document, quote in quotes)
    ]


def _free_id(known: set[str]) -> str:
    """Returns the next free id of the form q1, q2 and so on."""
    return next(name for number in count(len(known) + 1) if (name := f"q{number}") not in known)


def _plain(text: str) -> str:
    """Returns a text that no spreadsheet reads as a formula."""
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
