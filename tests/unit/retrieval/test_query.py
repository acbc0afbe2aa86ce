"""Questions that can be asked, those that cannot, and what becomes of a question."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from support.searchers import ChecksumEncoder, searcher_of
from support.small_collections import make_document, random_documents, unit_vectors

from rag_qa.errors import QuestionError
from rag_qa.retrieval.query import Query, check_question, read_query
from rag_qa.retrieval.searcher import Searcher


@pytest.mark.parametrize("question", ["Who?", "7", "中", "a" * 20])
def test_a_letter_or_a_digit_makes_a_question(question):
    check_question(question, 20)


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ("a" * 21, "has 21 characters, at most 20 are read: shorten it"),
        ("", "is empty"),
        (" \t\n", "is empty"),
        ("who\0?", "NUL or bytes that are no text"),
        ("who \udcff?", "NUL or bytes that are no text"),
        ("?!…", "no letter and no digit"),
    ],
)
def test_a_question_that_cannot_be_asked_is_refused_with_the_reason(question, message):
    with pytest.raises(QuestionError, match=message):
        check_question(question, 20)


HARBOURS = [make_document("a.txt", [["The harbour opens."]]), make_document("b.txt", [["Ships pay a fee."]])]
POLICE = "The Independent Office for Police Conduct (IOPC) acts."
LONG_FORM = "Independent Office for Police Conduct"


def test_terms_weigh_by_how_often_they_are_asked_and_how_rare_they_are():
    query = read_query("Harbour, harbour, or a lighthouse?", searcher_of(HARBOURS))
    (variant,) = query.variants
    harbour, lighthouse = math.log(1 + 1.5 / 1.5), math.log(1 + 2.5 / 0.5)  # BM25's, in one of two passages and in none
    assert variant.terms == {"harbour": 2, "lighthous": 1}
    assert variant.shares == pytest.approx(
        {"harbour": 2 * harbour / (2 * harbour + lighthouse), "lighthous": lighthouse / (2 * harbour + lighthouse)}
    )
    assert variant.bm25_max == pytest.approx(2.2 * (2 * harbour + lighthouse))
    assert (variant.text, variant.factor) == (query.question, 1.0)
    assert np.array_equal(variant.vector, unit_vectors([query.question])[0])


def test_a_question_of_stopwords_has_no_terms():
    (variant,) = read_query("What is it?", searcher_of(HARBOURS)).variants
    assert (variant.terms, variant.shares, variant.bm25_max) == ({}, {}, 0)


def test_an_acronym_gives_a_second_variant_that_counts_less_and_says_where_it_is_from():
    query = read_query("What does the IOPC do?", searcher_of([make_document("a.txt", [[POLICE]])]))
    assert [variant.text for variant in query.variants] == [
        "What does the IOPC do?",
        f"What does the {LONG_FORM} do?",
    ]
    assert [variant.factor for variant in query.variants] == [1.0, 0.75]
    (expansion,) = query.expansions
    assert (expansion.term, expansion.expanded, expansion.document) == ("IOPC", LONG_FORM, "a.txt")
    assert POLICE[expansion.start : expansion.end] == LONG_FORM
    assert query.vectors.tolist() == unit_vectors([variant.text for variant in query.variants]).tolist()


def test_the_words_of_a_long_form_weigh_together_as_much_as_their_acronym():
    query = read_query("fees of the IOPC", searcher_of([*HARBOURS, make_document("c.txt", [[POLICE]])]))
    asked, other = (variant.shares for variant in query.variants)
    assert asked.keys() == {"fee", "iopc"}
    assert other.keys() == {"fee", "independ", "offic", "polic", "conduct"}
    assert other["fee"] == pytest.approx(asked["fee"])
    assert sum(other.values()) == pytest.approx(1)


def test_acronyms_stay_where_that_is_set():
    query = read_query(
        "What does the IOPC do?", searcher_of([make_document("a.txt", [[POLICE]])], expand_acronyms=False)
    )
    assert (len(query.variants), query.expansions) == (1, ())


def test_an_acronym_in_lower_case_stays_where_it_is_a_word_to_the_encoder():
    plain = searcher_of([make_document("a.txt", [["The Public Office for Road Traffic Safety (PORTS) meets."]])])
    assert len(read_query("the ports", plain).variants) == 2
    knows = structs.replace(plain, encoder=ChecksumEncoder("ports"))
    assert len(read_query("the ports", knows).variants) == 1


def test_a_question_that_asks_two_things_has_its_halves():
    query = read_query("compare the fee for boats and cars", searcher_of(HARBOURS))
    assert [half.question for half in query.halves] == ["What about the fee for boats?", "What about the fee for cars?"]
    assert all(half.halves == () for half in query.halves)
    assert read_query("the fee for boats and cars", searcher_of(HARBOURS)).halves == ()


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("List the harbours", True),
        ("How many harbours are there?", True),
        ("Is any other harbour open?", True),
        ("Which harbour is small?", False),
        ("Who calls?", False),  # “all” within a word
    ],
)
def test_whether_everything_is_asked_for(question, expected):
    assert Query(question, (), (), 0.0).asks_for_all is expected


def test_no_question_is_encoded_twice():
    encoder, plain = ChecksumEncoder(), searcher_of(HARBOURS)
    searcher = Searcher.from_index(plain.index, encoder, plain.settings)
    first, second = (read_query("which harbour?", searcher) for _ in range(2))
    assert encoder.encoded == [("which harbour?",)]
    assert np.array_equal(first.vectors, second.vectors)


MANY = searcher_of(random_documents(3, 20))


@given(st.text(alphabet=st.sampled_from("abIOPC '?-"), max_size=30) | st.sampled_from(["the harbour", "ship ship fee"]))
def test_shares_are_a_whole_or_nothing(question):
    for variant in read_query(question, MANY).variants:
        assert variant.shares.keys() == variant.terms.keys()
        assert sum(variant.shares.values()) == pytest.approx(1 if variant.terms else 0)
        assert (variant.bm25_max > 0) == bool(variant.terms)
