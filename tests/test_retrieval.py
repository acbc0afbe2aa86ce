import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_qa.retrieval import Weights, best_readings, fuse, order
from rag_qa.types import Coverage

SCORES = st.dictionaries(st.integers(0, 50), st.floats(-1, 1).map(lambda x: round(x, 3)), min_size=1)
HALVES = Weights(dense=0.5, bm25=0.1, own=0.15, near=0.25)


def covered(own=0.0, near=0.0):
    return Coverage(own, near)


def test_weights_add_up_to_one_and_words_share_what_the_dense_score_leaves():
    weights = Weights.of(0.5, coverage=True)
    assert weights.dense + weights.bm25 + weights.own + weights.near == pytest.approx(1)
    assert Weights.of(0.5, coverage=False) == Weights(0.5, 0.5, 0.0, 0.0)
    assert Weights.of(1.0, coverage=True) == Weights(1.0, 0.0, 0.0, 0.0)


def test_fused_score_by_hand():
    found = fuse(
        {0: 0.8, 1: 0.4, 2: -0.6}, {1: 10.0}, {0: covered(), 1: covered(0.2, 0.6), 2: covered(1, 1)}, 20, HALVES
    )
    assert found[0].score == 0.4
    assert found[1].score == pytest.approx(0.2 + 0.05 + 0.03 + 0.15)
    assert found[2].score == pytest.approx(0.15 + 0.25)  # being far counts as 0, not against it
    assert (found[1].dense, found[1].lexical, found[1].coverage) == (0.4, 10.0, covered(0.2, 0.6))
    assert [each.row for each in order(found.values())] == [1, 0, 2]  # of equal ones the first row


def test_no_candidates_and_a_question_without_words():
    assert fuse({}, {}, {}, 1.0, HALVES) == {}
    assert fuse({3: 0.5}, {}, {3: covered()}, 0.0, HALVES)[3].score == 0.25


def test_of_two_readings_the_better_counts():
    asked = fuse({0: 0.5, 1: 0.5}, {}, {0: covered(), 1: covered()}, 1.0, HALVES)
    other = fuse({0: 0.6, 1: 0.8}, {}, {0: covered(), 1: covered()}, 1.0, HALVES, reading=1, factor=0.75)
    best = best_readings([asked, other])
    assert {row: (each.score, each.reading) for row, each in best.items()} == {0: (0.25, 0), 1: (0.3, 1)}
    equal = fuse({0: 0.5}, {}, {0: covered()}, 1.0, HALVES, reading=1)
    assert best_readings([asked, equal])[0].reading == 0


@given(SCORES, st.floats(0, 1), st.randoms(use_true_random=False))
def test_order_is_total_and_does_not_depend_on_the_order_of_the_candidates(dense, weight, random):
    lexical = {row: 1.0 + row % 3 for row in dense if row % 2}
    coverage = {row: covered(row / 100, row / 50) for row in dense}
    weights = Weights.of(weight, coverage=True)
    ranked = order(fuse(dense, lexical, coverage, 5.0, weights).values())
    shuffled = list(dense.items())
    random.shuffle(shuffled)
    assert order(fuse(dict(shuffled), lexical, coverage, 5.0, weights).values()) == ranked
    assert sorted(each.row for each in ranked) == sorted(dense)
    assert all(0 <= each.score <= 1 for each in ranked)
    assert [(-each.score, each.row) for each in ranked] == sorted((-each.score, each.row) for each in ranked)


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_a_weight_of_one_side_ranks_by_that_side(weight):
    dense, lexical = {0: 0.1, 1: 0.3, 2: 0.2}, {0: 9.0, 1: 1.0, 2: 5.0}
    coverage = {row: covered(score / 10, score / 10) for row, score in lexical.items()}
    expected = [1, 2, 0] if weight else [0, 2, 1]
    ranked = order(fuse(dense, lexical, coverage, 9.0, Weights.of(weight, coverage=True)).values())
    assert [each.row for each in ranked] == expected
