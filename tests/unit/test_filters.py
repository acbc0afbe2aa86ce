"""What filters mean; that the index gives the rows of it is in index/local/test_metadata_index.py."""

import pytest

from rag_qa.errors import QuestionError
from rag_qa.filters import Filters, matcher, metadata_filters
from rag_qa.types import DocumentInfo, document_id


def info(path, record=None, title="", **metadata):
    return DocumentInfo(
        id=document_id(path),
        path=path,
        title=title or path,
        source=path,
        sha256="",
        parser="",
        record=record,
        characters=1,
        metadata=metadata,
    )


DOCUMENTS = [
    info("2023/a.txt", format="text", language="en", date="2023-05-17", client="ACME", tags=["law", "sea"]),
    info("2024/b.pdf", format="pdf", language="de", date="2024-02", client="Bolt", pages=3),
    info("2024/deep/c.pdf", format="pdf", language="en", date="2024-02-29T23:30:00+01:00", secret=True, title="C"),
    info("feed.jsonl#7", record=7, format="jsonl", date="1990", rate=2.0),
    info("undated.md", format="markdown"),
]
FIELDS = {"title"}.union(*(document.metadata for document in DOCUMENTS))


def passing(**fields):
    passes = matcher(Filters(**fields), FIELDS)
    return [document.path for document in DOCUMENTS if passes(document)]


@pytest.mark.parametrize(
    ("fields", "paths"),
    [
        ({}, [document.path for document in DOCUMENTS]),
        ({"document": "2024/"}, ["2024/b.pdf", "2024/deep/c.pdf"]),
        ({"document": "*.pdf"}, ["2024/b.pdf", "2024/deep/c.pdf"]),
        ({"document": "2024/*.pdf"}, ["2024/b.pdf"]),
        ({"document": ("2023/", "*.md")}, ["2023/a.txt", "undated.md"]),
        ({"document": "feed.jsonl"}, ["feed.jsonl#7"]),
        ({"document": "feed.jsonl#8"}, []),
        ({"document": ("*", "!feed.jsonl")}, [document.path for document in DOCUMENTS if not document.record]),
        ({"document": ("*.jsonl", "!*7")}, []),
        ({"document": ("!*7", "*.jsonl")}, ["feed.jsonl#7"]),
        ({"format": "PDF"}, ["2024/b.pdf", "2024/deep/c.pdf"]),
        ({"format": ".md"}, ["undated.md"]),
        ({"metadata": {"pages": 10**30}}, []),
        ({"format": (".pdf", "text")}, ["2023/a.txt", "2024/b.pdf", "2024/deep/c.pdf"]),
        ({"language": "en", "format": "pdf"}, ["2024/deep/c.pdf"]),
        ({"date_from": "2024"}, ["2024/b.pdf", "2024/deep/c.pdf"]),
        ({"date_to": "2024-02-28"}, ["2023/a.txt", "2024/b.pdf", "feed.jsonl#7"]),
        ({"date_from": "2023-05-17", "date_to": "2023-05-17"}, ["2023/a.txt"]),
        ({"date_from": "1990-06", "date_to": "1990-06"}, ["feed.jsonl#7"]),
        ({"metadata": {"client": "ACME"}}, ["2023/a.txt"]),
        ({"metadata": {"client": "acme"}}, []),
        ({"metadata": {"tags": "sea"}}, ["2023/a.txt"]),
        ({"metadata": {"pages": "3"}}, ["2024/b.pdf"]),
        ({"metadata": {"pages": 3.0}}, ["2024/b.pdf"]),
        ({"metadata": {"secret": True}}, ["2024/deep/c.pdf"]),
        ({"metadata": {"secret": "true"}}, ["2024/deep/c.pdf"]),
        ({"metadata": {"rate": 2}}, ["feed.jsonl#7"]),
        ({"metadata": {"title": "C"}}, ["2024/deep/c.pdf"]),
        ({"metadata": {"client": "ACME", "tags": "law"}, "format": "text"}, ["2023/a.txt"]),
    ],
)
def test_what_passes(fields, paths):
    assert passing(**fields) == paths


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"metadata": {"clnt": "x"}}, "No document has the metadata field “clnt”; there are: client, date, "),
        ({"date_from": "yesterday"}, "date_from is “yesterday”: write a date such as"),
        ({"date_to": "2024-13"}, "date_to is “2024-13”"),
        ({"date_to": "2024-2-1"}, "date_to is “2024-2-1”"),
        ({"document": "!"}, "The glob “!” cannot be understood"),
        ({"document": "*a*b*c*d"}, "has more than 3 “\\*” in a part"),
        ({"document": ("a",) * 21}, "There are 21 globs: at most 20"),
        ({"document": "[z-a]"}, "cannot be understood"),
        ({"document": ("a", " ")}, "A glob is empty"),
        ({"date_from": "2025", "date_to": "2024"}, "date_from, 2025, is later than date_to, 2024: swap them"),
        ({"date_from": "２０２４"}, "date_from is “２０２４”"),
        ({"date_from": "+202"}, r"date_from is “\+202”"),
        ({"date_from": "2024-00"}, "date_from is “2024-00”"),
        ({"date_from": "2024-05-00"}, "date_from is “2024-05-00”"),
    ],
)
def test_what_cannot_be_used(fields, message):
    with pytest.raises(QuestionError, match=message):
        passing(**fields)


def test_filters_in_a_line():
    assert metadata_filters(["client=ACME", "a=b=c", "empty="]) == {"client": "ACME", "a": "b=c", "empty": ""}
    for wrong in ("client", "=x"):
        with pytest.raises(QuestionError, match="write FIELD=VALUE"):
            metadata_filters([wrong])
    with pytest.raises(QuestionError, match="two filters of the metadata field “a”"):
        metadata_filters(["a=1", "a=2"])
