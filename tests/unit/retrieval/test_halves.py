"""Questions that clearly ask two things, and many that do not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_qa.retrieval.halves import split_question


@pytest.mark.parametrize(
    ("question", "first", "second"),
    [
        (
            "Compare the dividends of Acme in 2018 and Beta in 2017",
            "What about the dividends of Acme in 2018?",
            "What about the dividends of Beta in 2017?",
        ),
        (
            "Compare the times when Acme Ltd. and Beta Co. changed their boards. Which company did so earlier?",
            "What about the times when Acme Ltd. changed their boards?",
            "What about the times when Beta Co. changed their boards?",
        ),
        ("compare the fee for boats and cars", "What about the fee for boats?", "What about the fee for cars?"),
        (
            "Compare the revision of the dental plan with the opening of the museum.",
            "What about the revision of the dental plan?",
            "What about the opening of the museum?",
        ),
        ("Compare and contrast Norway and Sweden.", "What about Norway?", "What about Sweden?"),
        ("Which of the museum and the library was opened earlier?", "The museum was opened earlier?",
         "The library was opened earlier?"),
        ("Which opened earlier, the Louvre or the Prado?", "Which opened earlier, the Louvre?",
         "Which opened earlier, the Prado?"),
        ("What did Acme and Beta pay in 2017 and 2018, respectively?", "What did Acme pay in 2017?",
         "What did Beta pay in 2018?"),
        ("What were the profits of Acme and Beta in their respective years?", "What were the profits of Acme?",
         "What were the profits of Beta?"),
        ("What did Acme in March 2018 and Beta in May 2020 acquire?", "What did Acme in March 2018 acquire?",
         "What did Beta in May 2020 acquire?"),
        ("What did Marks and Spencer in 2018 and Tesco in 2019 earn?", "What did Marks and Spencer in 2018 earn?",
         "What did Tesco in 2019 earn?"),
        ("When was Acme founded, and who runs Beta?", "When was Acme founded?", "Who runs Beta?"),
    ],
)  # fmt: skip
def test_a_question_about_two_things_has_two_halves(question, first, second):
    assert split_question(question) == (first, second)
    assert split_question(f"  {question} \n") == (first, second)


@pytest.mark.parametrize(
    "question",
    [
        "What did Procter and Gamble report in 2018?",  # one name
        "Who signed the treaty between France and Spain?",  # one fact about two
        "On what day did Germany invade both Yugoslavia and Greece?",
        "What is the difference between a grant and a loan?",  # said in one place
        "What happened between 1914 and 1918?",
        "What were the sales in 2018 and 2019?",
        "Who founded the Museum of Clocks and when did it open?",  # refers back
        "When did Beyoncé rise to fame, and what was the consequence?",
        "When THQ closed its studios, who received the rights?",  # a clause, no question
        "Which is more costly, formal or informal imperialism?",
        "Which of the two reports by Shelter and Liberty was published first?",
        "Which of Oslo, Bergen and Tromsø is the oldest?",  # three
        "Compare Norway, Sweden and Denmark.",
        "What has the most countries, North, Central or South America?",
        "Compare Norway and Sweden" + " in every year" * 50,  # too long to look at
        "Compare",
        "Compare and",
        "respectively",
        "?!",
    ],
)
def test_a_question_that_is_not_clearly_two_stays_one(question):
    assert split_question(question) == ()


WORDS = [
    "compare",
    "which",
    "of",
    "and",
    "or",
    "in",
    "2018",
    "May",
    "Acme",
    "Beta Ltd.",
    "the",
    "when",
    "who",
    "was",
    ",",
]


@given(st.text() | st.lists(st.sampled_from(WORDS), max_size=40).map(" ".join))
def test_there_are_two_different_halves_or_none(question):
    halves = split_question(question)
    assert len(halves) in {0, 2}
    assert len(set(halves)) == len(halves)
    assert all(half.endswith("?") and any(character.isalnum() for character in half) for half in halves)
