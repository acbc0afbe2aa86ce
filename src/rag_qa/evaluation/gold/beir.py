"""Public collections in BEIR form (Thakur et al. 2021): corpus.jsonl, queries.jsonl, qrels/test.tsv."""

import csv
import hashlib
from codecs import BOM_UTF8
from collections.abc import Container, Iterator
from pathlib import Path

import msgspec
from msgspec import Struct, field

from rag_qa.errors import GoldError
from rag_qa.schemas import json_decoder
from rag_qa.types import Document, document_id

__all__ = ["Collection", "load_collection"]


class _Text(Struct, frozen=True):
    id: str = field(name="_id")
    text: str
    title: str = ""


_TEXTS = json_decoder(_Text)


class Collection(Struct, frozen=True):
    """Documents, questions by id, and for each judged question the grades of its relevant documents."""

    name: str
    documents: list[Document]
    questions: dict[str, str]
    relevant: dict[str, dict[str, int]]


def load_collection(folder: Path) -> Collection:
    """Reads a collection; skips questions without a relevant document.

    Raises:
        GoldError: a file is missing, a line is malformed, or a judged question or document is unknown.
    """
    documents = []
    seen: set[str] = set()
    for line, record in _lines(folder / "corpus.jsonl"):
        if record.id in seen:
            raise GoldError(f"Line {line} of {folder / 'corpus.jsonl'} repeats the id “{record.id}”: ids must differ.")
        seen.add(record.id)
        if text := record.text if record.text.strip() else record.title:
            documents.append(_document(folder, line, record, text))
    queries: dict[str, str] = {}
    for line, record in _lines(folder / "queries.jsonl"):
        if record.id in queries:
            raise GoldError(f"Line {line} of {folder / 'queries.jsonl'} repeats the id “{record.id}”: ids must differ.")
        queries[record.id] = record.text
    relevant = _relevant(folder / "qrels" / "test.tsv", queries.keys(), seen)
    return Collection(
        folder.resolve().name, documents, {question: queries[question] for question in relevant}, relevant
    )


def _document(folder: Path, line: int, record: _Text, text: str) -> Document:
    return Document(
        id=document_id(record.id),
        path=record.id,
        title=record.title or record.id,
        source=f"{folder / 'corpus.jsonl'}:{line}",
        sha256=hashlib.sha256(msgspec.json.encode(record)).hexdigest(),
        parser="beir/1",
        characters=len(text),
        metadata={"format": "text"},
        text=text,
    )


def _lines(path: Path) -> Iterator[tuple[int, _Text]]:
    number = 0
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if number == 1:
                    line = line.removeprefix(BOM_UTF8)  # noqa: PLW2901
                if line.strip():
                    yield number, _TEXTS.decode(line)
    except OSError as error:
        raise GoldError(f"“{path}” cannot be read ({error.strerror}): a BEIR collection has that file.") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise GoldError(f"Line {number} of {path} is no record of a BEIR collection: {error}.") from None


def _relevant(path: Path, questions: Container[str], documents: Container[str]) -> dict[str, dict[str, int]]:
    relevant: dict[str, dict[str, int]] = {}
    judged: set[tuple[str, str]] = set()
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            for row in rows:
                where = f"Line {rows.line_num} of {path}"
                try:
                    question, document, grade = row["query-id"], row["corpus-id"], int(row["score"])
                except (KeyError, TypeError, ValueError):
                    raise GoldError(f"{where} is not of the form query-id, corpus-id, score, between tabs.") from None
                if question not in questions:
                    raise GoldError(f"{where} judges the question “{question}”, which queries.jsonl does not hold.")
                if document not in documents:
                    raise GoldError(f"{where} judges the document “{document}”, which corpus.jsonl does not hold.")
                if (question, document) in judged:
                    raise GoldError(f"{where} judges the document “{document}” for “{question}” once more.")
                judged.add((question, document))
                if grade > 0:
                    relevant.setdefault(question, {})[document] = grade
    except OSError as error:
        raise GoldError(f"“{path}” cannot be read ({error.strerror}): a BEIR collection has that file.") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise GoldError(f"{path} is no table in UTF-8 ({error}).") from None
    if not relevant:
        raise GoldError(f"{path} names no relevant document (query-id, corpus-id and a score above 0, between tabs).")
    return relevant
