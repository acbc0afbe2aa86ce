import subprocess
import sys
import zlib

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rag_qa.retrieval.dedup import LIKELY, signature_similarity
from rag_qa.text.duplicates import LENGTH, is_duplicate, signature

REPORT = (
    "The Portsmouth harbour fee was raised to 12.5 crowns on 3 May 2021, and Ms Smith said that no pilot objected. "
    "It isn't known whether 40 % of the ships, or €5 million, were ever at stake – the board didn't say."
)
WORDS = REPORT.split()


def judged(one: str, other: str) -> bool:
    assert is_duplicate(one, other) == is_duplicate(other, one)
    if is_duplicate(one, other):
        assert signature_similarity(signature(other)[np.newaxis], signature(one))[0] >= LIKELY
    return is_duplicate(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ships pay\nten crowns. ", "  Ships pay ten\r\n\r\ncrowns."),
        ("He said “no” to it.", 'He said "no" to it.'),
        ("Women’s rights", "Women's rights"),
        ("a well\u2010known\u200b harbour", "a well-known harbour"),
        ("caf\u00e9 closed", "cafe\u0301 closed"),
        ("The **harbour fee** and the _pilot_ rose.", "The harbour fee and the pilot rose."),
    ],
)
def test_form_does_not_matter(one, other):
    assert judged(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The fee is 12 crowns.", "The fee is 13 crowns."),
        ("The fee is 1.5 crowns.", "The fee is 15 crowns."),
        ("It rose by 5% in May.", "It rose by 5 in May."),
        ("It opens in May.", "It opens in June."),
        ("Smith objected.", "Jones objected."),
        ("It is safe.", "It is not safe."),
        ("The auditors said no. Payments were made.", "The auditors said no payments were made."),
        ("if (!enabled) start();", "if (enabled) start();"),
        ("The city is rated AA-", "The city is rated AA"),
        ("It was 0.35***", "It was 0.35*"),
        ("area = width * height", "area = width - height"),
        ("base ** exponent", "base * exponent"),
        ("Acme\t\t500", "Acme\t500\t"),
        ("Alice,,yes", "Alice,yes,"),
        ("the chairman and the chief executive", "the chairman and chief executive"),
        ("It measures 6''", "It measures 6'"),
        ("a loss of ( 1,234 )", "a loss of 1,234"),
        ("in the valley: - 5 degrees", "in the valley: -5 degrees"),
        ("up to 〜5℃", "up to −5℃"),
        ("Smoker: (•) yes ( ) no", "Smoker: ( ) yes (•) no"),
        ("It is rated very high", "It is rated high"),
        ("hepatitis a infection", "hepatitis infection"),
        ("Pardon impossible, to be executed", "Pardon, impossible to be executed"),
        ("He announces it.", "He announced it."),
        ("10² metres", "102 metres"),
        ("Is it closed?", "Is it closed."),
    ],
)
def test_what_may_turn_the_meaning_does(one, other):
    assert not judged(one, other)
    assert not judged(f"{REPORT} {one} {REPORT}", f"{REPORT} {other} {REPORT}")


@given(st.sampled_from([i for i, character in enumerate(REPORT) if character.isdigit()]), st.sampled_from("0123456789"))
def test_one_digit_changed(position, digit):
    assume(REPORT[position] != digit)
    assert not judged(REPORT, REPORT[:position] + digit + REPORT[position + 1 :])


@given(st.integers(0, len(WORDS)), st.sampled_from(["not", "never", "Kiel", "2020", "without", "the"]))
def test_one_word_more(place, word):
    assert not judged(REPORT, " ".join([*WORDS[:place], word, *WORDS[place:]]))


some_text = st.text(alphabet=st.sampled_from("aATthe ’'\"-—.?,5%$½²(\n\t*_#\u200b"), max_size=60)


@given(some_text, some_text)
def test_symmetric_and_reflexive(one, other):
    assert judged(one, one)
    assert judged(one, other) == judged(other, one)


@given(st.lists(st.sampled_from([" ", "\n", "  ", "\r\n"]), min_size=len(WORDS) - 1, max_size=len(WORDS) - 1))
def test_any_white_space(blanks):
    assert judged(REPORT, "".join(a + b for a, b in zip(WORDS, [*blanks, ""], strict=True)))


def test_a_signature_is_the_same_everywhere():
    found = signature(REPORT)
    assert (found.shape, found.dtype) == ((LENGTH,), np.uint32)
    assert zlib.crc32(found.astype("<u4").tobytes()) == CHECKSUM
    assert signature_similarity(np.stack([found, signature("something else altogether")]), found).tolist() == [1.0, 0.0]


CHECKSUM = 3044673327


@pytest.mark.parametrize("text", ["", "a b", "* " * 20_000, "_a" * 20_000, "*a" * 20_000, "a" * 100_000])
def test_hostile_texts_take_no_time(text):
    assert judged(text, text)


def test_asking_does_not_import_datasketch():
    code = "import sys, rag_qa.text.duplicates; assert not {'datasketch', 'scipy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
