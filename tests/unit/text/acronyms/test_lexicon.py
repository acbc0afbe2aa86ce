"""Pairs of a collection, and questions with pairs exchanged."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_qa.text.acronyms.lexicon import Acronym, Lexicon, resolve
from rag_qa.text.acronyms.mentions import find_mentions
from rag_qa.types import Mentions

HMICFRS = "Her Majesty's Inspectorate of Constabulary and Fire & Rescue Services"


def resolved(*texts):
    return resolve((f"{number}.txt", find_mentions(text)) for number, text in enumerate(texts))


def pairs(*texts):
    return [(pair.acronym, pair.long_form) for pair in resolved(*texts)]


def reading(question, *texts):
    return Lexicon(resolved(*texts)).expand(question)[0]


def test_definitions_make_pairs_with_the_place_of_the_long_form():
    (pair,) = resolved("Nothing.", "The College of Policing (CoP)")
    assert pair == Acronym("CoP", "College of Policing", "1.txt", 4, 23, definitions=1)


def test_long_forms_that_hardly_differ_are_one_and_the_most_frequent_spelling_stands_for_them():
    (pair,) = resolved(
        "The Women's Rights Services (WRS)",
        "a women’s rights service (WRS)",
        "a women’s  rights\nservice (WRS)",
        "the Womens rights-service (WRS)",
        "a women’s rights service (WRS)",
    )
    assert (pair.long_form, pair.path, pair.definitions) == ("women’s rights service", "1.txt", 5)


def test_a_name_resolves_an_acronym_that_another_document_uses():
    assert resolved("It was HMICFRS who said so.", f"A report by {HMICFRS}.") == (
        Acronym("HMICFRS", HMICFRS, "1.txt", 12, 12 + len(HMICFRS)),
    )
    assert pairs(f"A report by {HMICFRS}.") == []
    assert pairs("The USS is a ship.", "The United States Senate sat.") == []


def test_several_names_of_the_same_initials_resolve_nothing():
    one, other = "by the Northern Office for Railway Track Safety.", "by the National Organ of Rural Trade Scholars."
    assert pairs("NORTS is good.", one, one.replace("Northern Office", "Northern  Office")) == [
        ("NORTS", "Northern Office for Railway Track Safety")
    ]
    assert pairs("NORTS is good.", one, other) == []
    assert pairs("NORTS is good.", one, other, one) == []


def test_a_definition_goes_before_a_name():
    texts = ["By the Northern Office for Railway Track Safety. NORTS", "the nearest old road towards Salisbury (NORTS)"]
    assert pairs(*texts) == [("NORTS", "nearest old road towards Salisbury")]


def test_the_order_of_documents_does_not_matter():
    texts = [
        "The College of Policing (CoP) and a community of practice (CoP); HMICFRS.",
        "The college of policing (CoP) and the colleges of policing (CoP)",
        f"by {HMICFRS}. By the Northern Office for Railway Track Safety.",
        f"by {HMICFRS}. By the National Organ of Rural Trade Scholars. Of NORTS.",
    ]
    said = [(f"{number}.txt", find_mentions(text)) for number, text in enumerate(texts)]
    expected = resolve(said)
    assert [pair.acronym for pair in expected] == ["CoP", "CoP", "HMICFRS"]
    for seed in range(10):
        assert resolve(iter(random.Random(seed).sample(said, len(said)))) == expected


def test_the_seeds_define_and_spell(root):
    paths = sorted((root / "seeds").glob("*.txt"))
    found = {pair.acronym: pair for pair in resolve((path.name, find_mentions(path.read_text())) for path in paths)}
    assert sorted(found) == ["CoP", "HMICFRS", "IE", "IOPC", "LAWRS", "SBS"]
    assert (found["HMICFRS"].long_form, found["HMICFRS"].path) == (HMICFRS, "001_5f55143bc41e5fed.txt")
    assert found["CoP"].long_form == "College of Policing"
    for pair in found.values():
        assert (root / "seeds" / pair.path).read_text()[pair.start : pair.end] == pair.long_form


POLICE = "The College of Policing (CoP)", "It was HMICFRS.", f"by {HMICFRS}."


def test_a_question_is_read_with_acronyms_and_long_forms_exchanged():
    lexicon = Lexicon(resolved(*POLICE))
    question, replaced = lexicon.expand("What did HMICFRS tell the College of Policing?")
    assert question == f"What did {HMICFRS} tell the CoP?"
    assert [(term, expanded, pair.path) for term, expanded, pair in replaced] == [
        ("HMICFRS", HMICFRS, "2.txt"),
        ("College of Policing", "CoP", "0.txt"),
    ]
    assert lexicon.expand("What did they tell?") == ("What did they tell?", [])
    assert Lexicon(()).expand("What is HMICFRS?") == ("What is HMICFRS?", [])
    assert len(lexicon.expand("CoP, CoP and CoP")[1]) == 1


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("the @HMICFRS report", f"the {HMICFRS} report"),
        ("HMICFRS's report", f"{HMICFRS} report"),
        ("the #CoP’s report", "the College of Policing report"),
        ("several CoPs", "several College of Policing"),
        ("hmicfrs?", f"{HMICFRS}?"),
        ("a cop, a COP", "a cop, a COP"),
        ("CoPx, xCoP, Co-P, CoP_x", "CoPx, xCoP, Co-P, CoP_x"),
        ("a CoP-led effort", "a College of Policing-led effort"),
        ("her majesty’s  inspectorate of constabulary and fire and rescue service", "HMICFRS"),
        ("colleges of Policing", "CoP"),
        ("a college, of policing", "a college, of policing"),
        ("a college. Of policing", "a college. Of policing"),
        ("college of policings", "CoP"),
        ("a college of policing_x", "a college of policing_x"),
    ],
)
def test_terms_match_as_words_whatever_their_ending(question, expected):
    assert reading(question, *POLICE) == expected


def test_the_longest_term_is_exchanged():
    texts = "a stem cell (SC) line", "human stem cell therapy (HSCT)"
    assert reading("human stem cell therapy or stem cells", *texts) == "HSCT or SC"


def test_a_long_form_of_one_word_is_not_exchanged():
    assert reading("the electroencephalogram or EEG", "the electroencephalogram (EEG)") == (
        "the electroencephalogram or electroencephalogram"
    )


def test_an_acronym_with_hyphens_matches_as_it_is_written():
    text = "low-density lipoprotein cholesterol (LDL-C)"
    assert reading("LDL-C is not LDL or C", text) == "low-density lipoprotein cholesterol is not LDL or C"
    assert reading("low density lipoprotein cholesterol", text) == "LDL-C"


def test_what_is_ambiguous_is_not_exchanged_but_what_most_definitions_say_is():
    one, other = "the College of Policing (CoP)", "a community of practice (CoP)"
    assert len(pairs(one, other)) == 2
    assert reading("CoP, college of policing", one, other) == "CoP, college of policing"
    assert reading("CoP, college of policing", one, other, one) == "College of Policing, CoP"
    assert reading("CoP, community of practice", one, other, one) == "College of Policing, community of practice"
    assert reading("CoP", one, one, other, other) == "CoP"


def test_lower_case_means_no_acronym_where_it_is_an_ordinary_word():
    which = Acronym("WHICH", "Worst Hour in Council Housing", "a", 0, 29)
    assert Lexicon([which]).expand("which one, WHICH?")[0] == "which one, Worst Hour in Council Housing?"
    value = Acronym("VALUE", "Valsartan Long Use Evaluation", "a", 0, 29)
    assert Lexicon([value]).expand("a value")[0] == "a Valsartan Long Use Evaluation"
    found = Lexicon([value]).expand("a value, VALUE", lambda word: word == "value")
    assert found[0] == "a value, Valsartan Long Use Evaluation"


def test_an_article_that_is_elided():
    who = Acronym("OMS", "Organisation mondiale de la santé", "a", 0, 29)
    assert Lexicon([who]).expand("Où siège l’OMS ?")[1][0][:2] == ("OMS", who.long_form)


def test_a_question_in_capitals_has_only_long_acronyms():
    short = Acronym("WHO", "World Health Organization", "a", 0, 25, 1)
    lexicon = Lexicon([short, *resolved(*POLICE)])
    assert lexicon.expand("WHO SET UP HMICFRS?")[0] == f"WHO SET UP {HMICFRS}?"
    assert lexicon.expand("WHO HMICFRS")[0] == f"World Health Organization {HMICFRS}"


def test_a_long_form_of_two_acronyms_gives_way_to_the_more_frequent_one():
    few, many = (Acronym(name, "Stem Cell", "a", 0, 9, count) for name, count in (("XSC", 1), ("SC", 2)))
    assert Lexicon([few, many]).expand("stem cell")[0] == "SC"
    assert Lexicon([many, few]).expand("stem cell")[0] == "SC"


@given(st.text(max_size=60), st.text(max_size=12))
def test_any_text_can_be_searched(text, inside):
    found = find_mentions(f"{text} ({inside}) {text}")
    assert isinstance(found, Mentions)
    Lexicon(resolve([("a", found)])).expand(text)
