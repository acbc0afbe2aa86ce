import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_qa.answering import cite, highlight, within_budget
from rag_qa.lexical import analyze
from rag_qa.structure import sentences
from rag_qa.types import DocumentInfo, Passage

TEXT = "The harbour opens in March. Ships pay a fee of ten crowns. The harbour is closed for repairs in December."


def passage(text=TEXT, start=100):
    spans = tuple((start + left, start + right) for left, right in sentences(text))
    return Passage(start=start, end=start + len(text), text=text, context="", tokens=20, line=4, sentences=spans)


def marks(rarity, nearness=(0.0, 0.0, 0.0)):
    return [mark.text for mark in highlight(passage(), rarity, analyze, nearness, 0.4)]


FIRST, SECOND, THIRD = passage().sentence_texts


def test_the_sentence_with_the_rarest_shared_words_is_marked():
    assert marks({"ship": 2.0, "harbour": 1.0, "fee": 1.5}) == [SECOND]
    assert marks({"harbour": 1.0, "repair": 3.0, "close": 2.0}) == [THIRD]


def test_nearness_decides_where_words_do_not():
    assert marks({}, (0.1, 0.2, 0.8)) == [THIRD]
    assert marks({"harbour": 1.0}, (0.1, 0.2, 0.8)) == [THIRD]
    # words 1, 0, 0 and vectors 0.5, 1, 0: 1 + 0.7 * 0.5 against 0.7
    assert marks({"march": 1.0}, (0.4, 0.8, -0.3)) == [FIRST]


def test_a_second_sentence_is_marked_if_it_says_nearly_as_much():
    assert marks({"harbour": 1.0}, (0.8, 0.1, 0.8)) == [FIRST, THIRD]
    assert marks({"harbour": 1.0}, (0.8, 0.1, 0.7)) == [FIRST, THIRD]  # 1.7 against 1.6125
    assert marks({"harbour": 1.0}, (0.8, 0.1, 0.6)) == [FIRST]  # 1.7 against 1.525


def test_offsets_are_those_of_the_document():
    (mark,) = highlight(passage(start=1000), {"repair": 1.0}, analyze, (0.0, 0.0, 0.0), 0.4)
    assert mark.start == 1000 + TEXT.index("The harbour is closed")
    assert mark.end == 1000 + len(TEXT)


@given(st.text(alphabet=st.sampled_from("abc .!?\n“”é😀"), max_size=200).filter(str.strip), st.randoms())
def test_marks_are_slices_in_order_one_or_two(text, random):
    whole = passage(text, start=7)
    nearness = [random.uniform(-1, 1) for _ in whole.sentences]
    found = highlight(whole, {"abc": 1.0, "a": 0.5, "cab": 2.0, "ab": 1.0}, str.split, nearness, 0.4)
    assert 1 <= len(found) <= 2
    position = 7
    for mark in found:
        assert position <= mark.start < mark.end <= 7 + len(text)
        assert text[mark.start - 7 : mark.end - 7] == mark.text
        position = mark.end


def test_citation_says_where_the_passage_stands():
    document = DocumentInfo(
        id="0123456789abcdef", path="a/b.txt", title="Notice", source="papers/a/b.txt", sha256="ff", reader="text/1",
        characters=500,
    )  # fmt: skip
    citation = cite(document, passage())
    assert (citation.id, citation.document, citation.source) == ("0123456789abcdef", "a/b.txt", "papers/a/b.txt")
    assert (citation.start, citation.end, citation.line, citation.page) == (100, 100 + len(TEXT), 4, None)


@pytest.mark.parametrize(
    ("budget", "chosen"), [(None, [0, 1, 2, 3]), (100, [0, 1]), (70, [0, 3]), (50, [0]), (30, [3]), (10, [])]
)
def test_budget_passes_over_what_does_not_fit(budget, chosen):
    assert within_budget([50, 50, 60, 20], budget) == chosen
