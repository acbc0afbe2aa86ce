"""Rows that pass filters, and facets; what a filter means is in test_filters.py."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_qa.errors import QuestionError, UnknownFieldError
from rag_qa.filters import Filters, matcher
from rag_qa.index.local.metadata_index import MetadataIndex
from rag_qa.types import DocumentInfo, document_id


def info(path, **metadata):
    return DocumentInfo(
        id=document_id(path), path=path, title=path, source=path, sha256="", parser="", characters=1, metadata=metadata
    )


DOCUMENTS = [
    (info("2023/a.txt", format="text", language="en", client="ACME"), 2),
    (info("2024/b.pdf", format="pdf", language="de", date="2024-02"), 1),
    (info("2024/deep/c.pdf", format="pdf", language="en", date="2024-02-29"), 3),
    (info("empty.md", format="markdown"), 0),
    (info("undated.md", format="markdown"), 2),
]


@pytest.mark.parametrize(
    ("fields", "rows"),
    [
        ({}, [0, 1, 2, 3, 4, 5, 6, 7]),
        ({"document": "2024/"}, [2, 3, 4, 5]),
        ({"document": "*.md"}, [6, 7]),
        ({"document": "empty.md"}, []),
        ({"language": "en"}, [0, 1, 3, 4, 5]),
        ({"metadata": {"client": "ACME"}}, [0, 1]),
        ({"metadata": {"title": "undated.md"}}, [6, 7]),
    ],
)
def test_all_rows_of_a_document_pass_or_none(fields, rows):
    allowed = MetadataIndex(DOCUMENTS).allowed(Filters(**fields))
    assert (allowed.shape, allowed.dtype) == ((8,), bool)
    assert np.flatnonzero(allowed).tolist() == rows


def test_a_filter_that_cannot_be_used_is_refused_before_any_document_is_looked_at():
    index = MetadataIndex(DOCUMENTS)
    for ask in (index.allowed, index.check):
        with pytest.raises(UnknownFieldError, match="metadata field “clnt”; there are: client, date, format"):
            ask(Filters(metadata={"clnt": "x"}))
        with pytest.raises(QuestionError, match="date_from is “yesterday”"):
            ask(Filters(date_from="yesterday"))
    index.check(Filters(format="pdf", metadata={"client": "nobody"}))


def test_facets_are_by_frequency_and_then_by_name():
    assert MetadataIndex(DOCUMENTS).facets == {
        "format": [("markdown", 2), ("pdf", 2), ("text", 1)],
        "language": [("en", 2), ("de", 1)],
    }
    assert MetadataIndex([]).facets == {"format": [], "language": []}


def test_the_same_filters_are_decided_once():
    index = MetadataIndex(DOCUMENTS)
    first = index.allowed(Filters(format="pdf"))
    assert index.allowed(Filters(format="pdf")) is first
    for number in range(100):
        index.allowed(Filters(format=str(number)))
    assert len(index._kept) <= 32


@given(
    st.lists(st.tuples(st.sampled_from(["pdf", "text"]), st.integers(0, 3)), max_size=6),
    st.sampled_from(["pdf", "text", "html"]),
)
def test_rows_are_those_of_the_documents_that_match(documents, wanted):
    counted = [(info(f"{number}", format=name), count) for number, (name, count) in enumerate(documents)]
    passes = matcher(Filters(format=wanted), {"title", "format"})
    expected = [passes(document) for document, count in counted for _ in range(count)]
    assert MetadataIndex(counted).allowed(Filters(format=wanted)).tolist() == expected
