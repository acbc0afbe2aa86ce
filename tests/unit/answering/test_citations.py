from rag_qa.answering.citations import cite
from rag_qa.text.structure import sentences
from rag_qa.types import DocumentInfo, Passage

TEXT = "The harbour opens in March. Ships pay a fee of ten crowns. The harbour is closed for repairs in December."


def passage(text=TEXT, start=100):
    spans = tuple((start + left, start + right) for left, right in sentences(text))
    return Passage(start=start, end=start + len(text), text=text, context="", tokens=20, line=4, sentences=spans)


def test_citation_says_where_the_passage_stands():
    document = DocumentInfo(
        id="0123456789abcdef", path="a/b.txt", title="Notice", source="papers/a/b.txt", sha256="ff", parser="text/1",
        characters=500,
    )  # fmt: skip
    citation = cite(document, passage())
    assert (citation.id, citation.document, citation.source) == ("0123456789abcdef", "a/b.txt", "papers/a/b.txt")
    assert (citation.start, citation.end, citation.line, citation.page) == (100, 100 + len(TEXT), 4, None)
