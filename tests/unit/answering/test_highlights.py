import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rag_qa.answering.answer_types import answer_type, holds_answer
from rag_qa.answering.evidence import SentenceEvidence
from rag_qa.answering.highlights import FEATURES, Scorer, features, mark, scorer
from rag_qa.text.structure import sentences
from rag_qa.types import Passage

TEXT = "The harbour opens in March. Ships pay a fee of ten crowns. The harbour is closed for repairs in December."
PLAIN = Scorer({"words": 1.0, "nearness": 1.0, "kind": 1.0}, length_cost=0.0, second=0.8, most=0.8)


def passage(text=TEXT, start=100):
    spans = tuple((start + left, start + right) for left, right in sentences(text))
    return Passage(start=start, end=start + len(text), text=text, context="", tokens=20, line=4, sentences=spans)


FIRST, SECOND, THIRD = passage().sentence_texts


def marks(*rows, scoring=PLAIN):
    return [found.text for found in mark(passage(), np.array(rows, dtype=float), scoring)]


def test_features_by_hand():
    asked = "When is the harbour closed?"  # months are dates
    holds = [holds_answer(answer_type(asked), sentence, asked) for sentence in (FIRST, SECOND, THIRD)]
    found = features(SentenceEvidence([0.2, 0.0, 0.8], [0.4, -0.1, 0.8], holds))
    assert found.tolist() == [[0.25, 0.5, 1.0], [0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]
    found = features(
        SentenceEvidence(
            [0.0, 0.0],
            [-0.3, -0.2],
            [holds_answer(answer_type("Is it closed?"), each, "Is it closed?") for each in (FIRST, SECOND)],
        )
    )
    assert found.tolist() == [[0.0, 0.0, 0.5], [0.0, 0.0, 0.5]]
    assert found.shape[1] == len(FEATURES)


def test_the_best_sentence_is_marked_and_a_second_that_is_nearly_as_likely():
    assert marks((0, 0, 0), (1, 1, 1), (0, 0, 0)) == [SECOND]
    assert marks((1, 0, 0), (0, 0, 0), (0.8, 0, 0)) == [FIRST, THIRD]  # exp(-.2) is .82
    assert marks((1, 0, 0), (0, 0, 0), (0.7, 0, 0)) == [FIRST]  # exp(-.3) is .74
    assert marks((1, 0, 0), (1, 0, 0), (1, 0, 0)) == [FIRST, SECOND]  # at most two, of equal ones the first


def test_a_second_sentence_has_to_find_room():
    longest = [(0.9, 0, 0), (0.9, 0, 0), (1, 0, 0)]
    narrow = Scorer(PLAIN.coefficients, 0.0, 0.8, most=0.7)
    assert [len(text) for text in (FIRST, SECOND, THIRD)] == [27, 30, 46]
    assert marks(*longest, scoring=narrow) == [FIRST, THIRD]  # 73 of 105 characters
    assert marks(*longest, scoring=Scorer(PLAIN.coefficients, 0.0, 0.8, most=0.69)) == [THIRD]


def test_the_shorter_of_two_like_sentences_is_marked():
    costly = Scorer(PLAIN.coefficients, length_cost=0.5, second=1.0, most=1.0)
    assert marks((1, 0, 0), (0, 0, 0), (1.2, 0, 0), scoring=costly) == [FIRST]  # .5 ln(46 / 27) is .27
    assert marks((1, 0, 0), (0, 0, 0), (1.3, 0, 0), scoring=costly) == [THIRD]


def test_what_ships_was_trained_and_can_be_asked_for_one_feature_alone():
    trained = scorer("trained")
    assert all(value > 0 for value in trained.coefficients.values())
    assert scorer("words").coefficients == trained.coefficients | {"nearness": 0.0, "kind": 0.0}
    assert scorer("vectors").coefficients == trained.coefficients | {"words": 0.0, "kind": 0.0}


def test_offsets_are_those_of_the_document():
    (found,) = mark(passage(start=1000), np.array([[0, 0, 0], [0, 0, 0], [1, 1, 1]]), PLAIN)
    assert found.start == 1000 + TEXT.index("The harbour is closed")
    assert found.end == 1000 + len(TEXT)


@given(st.text(alphabet=st.sampled_from("abc .!?\n“”é😀"), max_size=200).filter(str.strip), st.randoms())
def test_marks_are_slices_in_order_one_or_two(text, random):
    whole = passage(text, start=7)
    found = mark(whole, np.array([[random.random() for _ in FEATURES] for _ in whole.sentences]), scorer("trained"))
    assert 1 <= len(found) <= 2
    position = 7
    for each in found:
        assert position <= each.start < each.end <= 7 + len(text)
        assert text[each.start - 7 : each.end - 7] == each.text
        position = each.end
