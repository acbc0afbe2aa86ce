"""What the nearest passages lack."""

import pytest

from rag_qa.answering.why_not import why_not
from rag_qa.types import Expansion, Part

SHARES = {"ferret": 0.3, "sick": 0.3, "leav": 0.2, "week": 0.1, "look": 0.07, "mani": 0.03}
LEAVE = ["Parents get ten weeks of paid leave after a birth.", "The canteen opens at noon."]


@pytest.mark.parametrize(
    ("question", "sentence"),
    [
        (
            "How many weeks of leave do I get to look after a sick ferret?",  # the weightiest of seven words
            "The nearest passages mention “weeks”, “leave” and “get”, but not “look”, “sick” or “ferret”.",
        ),
        ("What is the fee in 2026?", "No passage mentions “fee” or “2026”."),
        ("Who pays?", "The nearest passages have the words of the question, but do not seem to answer it."),
        ("Who is it?", "The nearest passages have the words of the question, but do not seem to answer it."),
        (
            "When do canteens open?",
            "The nearest passages have the words of the question, but do not seem to answer it.",
        ),
        (
            "Is leave leave or holiday holiday?",
            "The nearest passages mention “leave”, but not “holiday”.",
        ),
    ],
)
def test_the_words_that_no_passage_mentions(question, sentence):
    assert why_not(question, SHARES, [*LEAVE, "Members pay."], [], []) == sentence


def test_without_passages_the_filters_are_to_blame():
    assert why_not("Who pays?", {}, [], [], []) == "No document passes the filters."


def test_another_form_of_a_term_counts_too():
    other = Expansion(term="RFL", expanded="Rugby Football League", document="a.txt", start=0, end=9)
    text = ["The Rugby Football League was founded in 1895."]
    assert why_not("Who founded the RFL?", {}, text, [other], []).startswith("The nearest passages have the words")
    assert "but not “RFL”" in why_not("Who founded the RFL?", {}, text, [], [])


def test_the_half_that_nothing_answers_is_named():
    parts = [
        Part(question="When was Acme founded?", passages=[1], answered=True, confidence=0.9),
        Part(question="Who runs Beta?", passages=[2], answered=False, confidence=0.1),
    ]
    question = "When was Acme founded, and who runs Beta?"
    assert why_not(question, {}, LEAVE, [], parts) == "Nothing answers “Who runs Beta?”."
