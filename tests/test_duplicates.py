import hashlib
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rag_qa.duplicates import LENGTH, LIKELY, likeness, same_statement, signature

REPORT = (
    "The harbour master said on Tuesday that 14 of the vessels had left Portsmouth before the storm of 9 January 2014. "
    "Smith denied the claims, and the committee, which met in March, found that Jones had paid $2.5m to the firm."
    " Nobody was hurt. Police are looking for a man who left the scene in a red car with three children in the back."
)
WORDS = REPORT.split()
FILLERS = ["a", "also", "an", "that", "the", "very"]
NO_FILLERS = (
    "two third II half twice dozen percent 7 7% Smith London March Monday today yesterday tomorrow last next ago "
    "annual not no n't never none nor neither nobody nothing nowhere without cannot hardly barely scarcely non un "
    "all some any every each few many most only except unless if may might could would should must alleged "
    "allegedly reportedly almost nearly about approximately former formerly ex more less least over under above "
    "below before after until since against https://a.example a@b.example @smith #tax fake was and or of to"
)


def judged(one: str, other: str) -> bool:
    """The judgement, which is the same in both directions."""
    assert same_statement(one, other) == same_statement(other, one)
    return same_statement(one, other)


def sixty(text: str) -> str:
    """A text within a longer one, where one or two changes are few."""
    return f"{REPORT} {text} {REPORT}"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The committee found nothing.", "  The\ncommittee\r\n\r\nfound\tnothing.  "),
        ("“We reject this,” she said.", '"We reject this", she said.'),
        ("«We reject this», she said.", "‘We reject this,’ she said."),
        ("Smith’s claims don’t hold", "Smith's claims don't hold."),
        ("The storm – the worst in years – passed.", "The storm—the worst in years—passed."),
        ("The storm -- the worst in years -- passed.", "The storm, the worst in years, passed."),
        ("A well-known risk", "A well known risk"),
        ("from 2010–2014 on", "from 2010-2014 on"),
        ("The **committee** found _nothing_.", "The committee found nothing."),
        ("# Findings\n\n* The committee met.\n* It left.", "Findings\n\n- The committee met.\n- It left."),
        ("• The committee met.", "The committee met."),
        ("The committee (which met) left!", "The committee, which met, left."),
        ("The com\u00admittee found\u200b nothing.\ufeff", "The committee found nothing."),
        ("The ﬁrst ﬁnding", "The first finding"),
        ("Ｔhe committee met in ２０１４", "The committee met in 2014"),
        ("It rose by 5%, he said.", "It rose by 5% he said"),
        ("In 2014.", "in 2014"),
        ("It ended. The committee left.", "It ended: the committee left"),
        ("He left... and came back", "He left… and came back"),
        ("", " \n"),
    ],
)
def test_what_does_not_matter(one, other):
    assert judged(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1.5", "15"),
        ("1,500", "1.500"),
        ("-3", "3"),
        ("− 3", "3"),
        ("–3", "3"),
        ("-$3", "$3"),
        ("5%", "5"),
        ("$5", "5"),
        ("$5", "€5"),
        (".5", "5"),
        ("(5)", "5"),
        ("~5", "5"),
        ("5'", '5"'),
        ("10²", "102"),
        ("1½", "11/2"),
        ("½", "12"),
        ("1/2", "12"),
        ("3-1", "31"),
        ("3 - 1", "3 1"),
        ("12:30", "1230"),
        ("5th", "5"),
        ("5km", "5m"),
        ("1990s", "1990"),
        ("H5N1", "H5N2"),
        ("12(a)", "12"),
        ("12 (a)", "12"),
        ("12 a", "12"),
        ("II", "III"),
        ("two", "three"),
        ("half", "twice"),
    ],
)
def test_numbers_that_differ(one, other):
    assert not judged(f"It was {one} then", f"It was {other} then")
    assert not judged(sixty(f"It was {one} then."), sixty(f"It was {other} then."))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Smith denied it", "Jones denied it"),
        ("William denied it", "Williams denied it"),
        ("the US army", "the us army"),
        ("the Polish word", "the polish word"),
        ("the plan of Turkey", "the plan of turkey"),
        ("they met in March", "they met in May"),
        ("they met on Monday", "they met on Sunday"),
        ("vitamin A helps", "vitamin helps"),
        ("he was at The Hague", "he was at Hague"),
        ("visit https://a.example/b-c", "visit https://a.example/bc"),
        ("write to a@b.example", "write to a.b.example"),
        ("write to @smith", "write to smith"),
        ("a case for #tax", "a case for tax"),
        ("the C++ code", "the C code"),
        ("if a != b", "if a = b"),
        ("it's final", "its final"),
        ("we're there", "were there"),
        ("they will re-sign", "they will resign"),
        ("he resigned.", "he resigned?"),
        ("कि", "कु"),  # vowel signs are no letters to `str.isalpha`
    ],
)
def test_names_dates_addresses_and_other_words_that_differ(one, other):
    assert not judged(one, other)
    assert not judged(sixty(f"It said {one}"), sixty(f"It said {other}"))


@pytest.mark.parametrize("order", ["Smith sued Jones", "Jones sued Smith"])
def test_the_order_of_words_matters(order):
    assert judged(sixty(order), sixty("Smith sued Jones")) == (order == "Smith sued Jones")


@pytest.mark.parametrize("filler", FILLERS)
def test_a_filler_more_or_less(filler):
    assert judged(sixty(f"He said {filler} dark clouds came."), sixty("He said dark clouds came."))
    assert judged(sixty(f"“{filler.title()} dark clouds came.”"), sixty("Dark clouds came."))
    assert not judged(f"He said {filler} dark clouds came", "He said dark clouds came")  # one word in six


def test_one_filler_in_ten_words():
    nine = "dark clouds came over every harbour and every ship"
    assert judged(f"the {nine}", nine)
    assert not judged(f"the {nine} also", nine)
    assert not judged(f"the {nine.removesuffix(' ship')}", nine.removesuffix(" ship"))
    assert not judged(f"{nine} a", nine)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a few men left", "few men left"),
        ("the only child left", "only child left"),
        ("all the men left", "all men left"),
        ("the two men left", "two men left"),
        ("the last week was dry", "last week was dry"),
        ("a third of it burnt", "third of it burnt"),
        ("he was not very ill", "he was not ill"),
        ("he wasn't very ill", "he wasn't ill"),
        ("they were in the control of it", "they were in control of it"),
        ("he went to the prison", "he went to prison"),
        ("he stayed so that it ended", "he stayed so it ended"),
        ("points a, b and c", "points b and c"),
        ("a. dark clouds came", "dark clouds came"),
        ("a man left", "the man left"),
        ("the a-team left", "the team left"),
        ("dark clouds also came", "dark clouds very came"),
    ],
)
def test_a_filler_that_says_something(one, other):
    assert not judged(sixty(f"It is known: {one}"), sixty(f"It is known: {other}"))


@pytest.mark.parametrize("word", NO_FILLERS.split())
def test_any_other_word_more_or_less(word):
    assert not judged(sixty(f"He said {word} dark clouds came."), sixty("He said dark clouds came."))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("hard", "hardly"),
        ("announces", "announced"),
        ("scarce", "scarcely"),
        ("import", "important"),
        ("employer", "employed"),
        ("attacking", "attacked"),
        ("attacker", "attackers"),
        ("alleges", "alleged"),
        ("uses", "used"),
        ("happy", "unhappy"),
        ("see", "seed"),
        ("kin", "kind"),
        ("said", "denied"),
        ("x" * 41, "x" * 41 + "s"),
    ],
)
def test_another_word_and_another_form_of_the_same(one, other):
    assert not judged(sixty(f"They {one} it."), sixty(f"They {other} it."))


DIGITS = [i for i, character in enumerate(REPORT) if character.isdigit()]
places = st.integers(0, len(WORDS))
CONTENT = [i for i, word in enumerate(WORDS) if word.lower() not in FILLERS]
some_text = st.text(alphabet=st.sampled_from("aATthe ’'\"-—.?,5%$½²(\n*_#\u200b"), max_size=60)


@given(st.sampled_from(DIGITS), st.sampled_from("0123456789"))
def test_one_digit_changed(position, digit):
    assume(REPORT[position] != digit)
    assert not judged(REPORT, REPORT[:position] + digit + REPORT[position + 1 :])


@given(st.sampled_from(["Portsmouth", "Smith", "Jones"]), st.from_regex(r"[A-Z][a-z]{2,9}", fullmatch=True))
def test_one_name_changed(name, other):
    assume(name != other)
    assert not judged(REPORT, REPORT.replace(name, other))


@given(
    st.sampled_from(["January", "March", "Tuesday"]),
    st.sampled_from(["February", "April", "May", "Monday", "Sunday", "December"]),
)
def test_one_month_or_day_changed(name, other):
    assert not judged(REPORT, REPORT.replace(name, other))


@given(places, st.sampled_from(["not", "Not", "no", "never", "cannot"]))
def test_a_negation_anywhere(place, negation):
    assert not judged(REPORT, " ".join([*WORDS[:place], negation, *WORDS[place:]]))


@given(places, st.from_regex(r"[a-z]{1,8}", fullmatch=True))
def test_any_word_anywhere(place, word):
    assume(word not in FILLERS)
    assert not judged(REPORT, " ".join([*WORDS[:place], word, *WORDS[place:]]))


@given(st.sampled_from(CONTENT), st.sampled_from(CONTENT))
def test_two_words_exchanged(one, other):
    words = [*WORDS]
    assume(words[one].lower() != words[other].lower())
    words[one], words[other] = words[other], words[one]
    assert not judged(REPORT, " ".join(words))


@given(some_text, some_text)
def test_symmetric_and_reflexive(one, other):
    assert same_statement(one, one)
    judged(one, other)


@given(st.lists(st.sampled_from(["  ", "\n", "\u200b ", " — ", " “", "” ", " *", ", "]), min_size=5, max_size=5))
def test_white_space_quotation_marks_and_dashes_anywhere_between_words(joints):
    parts = ["the committee", "met", "and found", "nothing of", "note or", "worth"]
    text = "".join(part + joint for part, joint in zip(parts, [*joints, ""], strict=True))
    assert judged(text, " ".join(parts))


@pytest.mark.parametrize(
    "piece",
    ["the ", "a the very ", "no the ", "x", "the-", ".", "'", ") ", "(", "#", "-- ", " ", "- ", "1.", "announce "],
)
def test_repetition_takes_no_longer(piece):
    one = piece * (20_000 // len(piece))
    began = time.perf_counter()
    judged(one, f"{one}word")
    judged(one, f"word {one}")
    signature(one)
    assert time.perf_counter() - began < 3


def test_signatures_are_the_same_everywhere():
    digest = hashlib.sha256(signature(REPORT).astype("<u4").tobytes()).hexdigest()
    assert digest == "1811c10c385457a89bcec4d8d6fe95ec67c1d7246becd02e196ff9aef839879c"
    assert signature(REPORT).shape == (LENGTH,)
    assert signature(REPORT).dtype == np.uint32


def test_signatures_see_words_and_not_their_form():
    assert (signature(REPORT) == signature(REPORT.upper().replace(" ", "\n"))).all()
    assert (signature("two words") == signature("“Two” words!")).all()
    assert (signature("two words") != signature("two")).any()
    assert (signature("") == signature("...")).all()


def test_likeness_is_near_the_share_of_common_shingles():
    texts = [REPORT, f"{REPORT} {REPORT}", " ".join(WORDS[:30]), "nothing of it"]
    estimates = likeness(np.stack([signature(text) for text in texts]), signature(REPORT))
    assert estimates.shape == (4,)
    assert estimates[0] == 1
    assert estimates[1] > 0.9
    assert estimates[2] == pytest.approx(28 / (len(WORDS) - 2), abs=0.2)
    assert estimates[3] == 0


@given(st.sets(st.integers(0, 56), min_size=1, max_size=6), st.sampled_from(["the", "also", "very", "that"]))
def test_the_same_statement_is_likely(chosen, filler):
    """Up to six fillers more in some sixty words, wherever they stand."""
    words = [f"word{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(57)]
    one = " ".join(words)
    other = " ".join(f"{filler} {word}" if i in chosen else word for i, word in enumerate(words))
    assert judged(one, other)
    assert likeness(signature(other)[np.newaxis], signature(one))[0] > LIKELY


def test_the_least_that_two_same_statements_have_in_common_is_likely():
    """Ten words with one change in the middle, many times over."""
    nouns = [f"{chr(97 + i // 26)}{chr(97 + i % 26)}x" for i in range(600)]
    passed = 0
    for i in range(0, 600, 10):
        start, end = " ".join(nouns[i : i + 5]), " ".join(nouns[i + 5 : i + 9])
        one, other = f"{start} zz {end}", f"{start} the zz {end}"
        assert judged(one, other)
        passed += int(likeness(signature(other)[np.newaxis], signature(one))[0] >= LIKELY)
    assert passed >= 58


def test_asking_does_not_import_datasketch():
    code = "import sys, rag_qa.duplicates; assert not {'datasketch', 'scipy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
