import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_qa.evaluation.run.spans import SpanScores, TokenGrid, span_scores
from rag_qa.text.tokens import token_starts

# Three questions, computed by hand; "d" stands for the document.
BY_HAND = {
    "one quote, found in part by each of two passages": (
        [("d", 10, 30)],
        [("d", 0, 20), ("d", 25, 45)],
        # found of the quote: 10 to 20 and 25 to 30; returned: 20 + 20; not found: 5
        SpanScores(15 / 20, 15 / 40, 15 / 45),
    ),
    "quotes that overlap, passages that overlap, a passage beside it": (
        [("d", 0, 10), ("d", 5, 15), ("e", 0, 5)],
        [("d", 0, 8), ("d", 4, 12), ("f", 0, 10)],
        # the quotes hold 15 + 5; found: 0 to 12 of d; returned, what is there twice counting twice: 8 + 8 + 10
        SpanScores(12 / 20, 12 / 26, 12 / 34),
    ),
    "nothing found": ([("d", 0, 10)], [("d", 10, 20), ("e", 0, 10)], SpanScores(0.0, 0.0, 0.0)),
}


@pytest.mark.parametrize("question", BY_HAND)
def test_spans_by_hand(question):
    evidence, found, expected = BY_HAND[question]
    assert span_scores(evidence, found) == expected


def test_a_question_without_result_scores_zero():
    assert span_scores([("d", 0, 10)], []) == SpanScores(0.0, 0.0, 0.0)


places = st.lists(
    st.tuples(st.sampled_from("de"), st.integers(0, 40), st.integers(1, 20)).map(lambda p: (p[0], p[1], p[1] + p[2])),
    min_size=1,
    max_size=6,
)


@given(places, places)
def test_spans_are_what_counting_single_characters_gives(evidence, found):
    wanted = {(document, at) for document, start, end in evidence for at in range(start, end)}
    returned = [(document, at) for document, start, end in found for at in range(start, end)]
    both = len(wanted & set(returned))
    scores = span_scores(evidence, found)
    assert scores.recall == both / len(wanted)
    assert scores.precision == both / len(returned)
    assert scores.iou == both / (len(returned) + len(wanted) - both)


def test_tokens_of_a_place_are_those_that_have_a_character_in_it():
    grid = TokenGrid({"d": "one two three four"}.__getitem__)  # tokens begin at 0, 3, 7, 13
    assert grid.span(("d", 0, 3)) == ("d", 0, 1)
    assert grid.span(("d", 0, 4)) == ("d", 0, 2)
    assert grid.span(("d", 4, 7)) == ("d", 1, 2)
    assert grid.span(("d", 8, 18)) == ("d", 2, 4)
    assert grid.span(("d", 0, 18)) == ("d", 0, 4)


def test_spans_in_tokens_by_hand():
    grid = TokenGrid({"d": "one two three four"}.__getitem__)
    evidence = [grid.span(("d", 4, 13))]  # two, three
    found = [grid.span(("d", 8, 18))]  # three, four
    assert span_scores(evidence, found) == SpanScores(1 / 2, 1 / 2, 1 / 3)


def test_a_token_that_is_half_a_character_is_that_character():
    text = "a 🜚 b"
    grid = TokenGrid({"d": text}.__getitem__)
    assert token_starts(text) == [0, 1, 2, 2, 3]  # the second character is what follows a space and two more tokens
    assert grid.span(("d", 2, 3)) == ("d", 2, 4)
    assert grid.span(("d", 0, 3)) == ("d", 0, 4)
    assert grid.span(("d", 3, 5)) == ("d", 4, 5)
