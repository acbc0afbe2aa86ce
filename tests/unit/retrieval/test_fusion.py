import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_qa.retrieval.fusion import Weights, fuse, order
from rag_qa.settings import Settings

HALVES = Weights(dense=0.5, bm25=0.1, own=0.15, neighbours=0.25)
SCORES = st.lists(st.floats(-1, 1).map(lambda x: round(x, 3)), min_size=1, max_size=50)


def one_variant(dense, lexical, coverage, highest, weights):
    """The hits of a query of one variant, row i being the i-th of each list."""
    dense, lexical, coverage = np.array(dense), np.array(lexical), np.array(coverage)
    scores = fuse(dense, lexical, coverage, highest, weights)
    return order(np.arange(len(dense)), scores[np.newaxis], dense[np.newaxis], lexical[np.newaxis])


def test_weights_add_up_to_one_and_words_share_what_the_dense_score_leaves():
    weights = Weights.from_settings(Settings(dense_weight=0.5, word_coverage=True))
    assert weights.dense + weights.bm25 + weights.own + weights.neighbours == pytest.approx(1)
    assert Weights.from_settings(Settings(dense_weight=0.5, word_coverage=False)) == Weights(0.5, 0.5, 0.0, 0.0)
    assert Weights.from_settings(Settings(dense_weight=1.0, word_coverage=True)) == Weights(1.0, 0.0, 0.0, 0.0)


def test_fused_score_by_hand():
    found = one_variant([0.8, 0.4, -0.6], [0.0, 10.0, 0.0], [[0, 0.2, 1], [0, 0.6, 1]], 20, HALVES)
    assert [each.row for each in found] == [1, 0, 2]  # of equal ones the first row
    assert found[0].score == pytest.approx(0.2 + 0.05 + 0.03 + 0.15)
    assert found[1].score == 0.4
    assert found[2].score == pytest.approx(0.15 + 0.25)  # being far counts as 0, not against it
    assert (found[0].dense, found[0].bm25) == (0.4, 10.0)


def test_parts_of_a_score_have_six_digits():
    near = np.array([[0.612345678]], dtype=np.float32)
    (found,) = order(np.array([0]), np.array([[0.5]]), near, np.array([[1.23456789]]))
    assert (found.dense, found.bm25) == (0.612346, 1.234568)


def test_a_question_without_words():
    (found,) = one_variant([0.5], [0.0], [[0], [0]], 0.0, HALVES)
    assert found.score == 0.25


def test_of_two_variants_the_better_counts():
    nothing = np.zeros((2, 3))
    asked = fuse(np.array([0.5, 0.5, 0.4]), np.zeros(3), nothing, 1.0, HALVES)
    other = fuse(np.array([0.6, 0.8, 0.4]), np.zeros(3), nothing, 1.0, HALVES, factor=0.75)
    other[2] = asked[2]
    found = order(
        np.arange(3), np.stack([asked, other]), np.array([[0.5, 0.5, 0.4], [0.6, 0.8, 0.4]]), np.zeros((2, 3))
    )
    assert [(each.row, each.score, each.dense, each.variant) for each in found] == [
        (1, 0.3, 0.8, 1),
        (0, 0.25, 0.5, 0),
        (2, 0.2, 0.4, 0),  # of equal variants the first
    ]


@given(SCORES, st.floats(0, 1), st.randoms(use_true_random=False))
def test_order_is_total_and_does_not_depend_on_the_order_of_the_candidates(near, weight, random):
    rows = list(range(len(near)))
    random.shuffle(rows)

    def ranked(rows):
        shuffled = np.array(rows)
        dense, lexical = np.array(near)[shuffled], np.where(shuffled % 2, 1.0 + shuffled % 3, 0.0)
        scores = fuse(
            dense,
            lexical,
            np.stack([shuffled / 100, shuffled / 50]),
            5.0,
            Weights.from_settings(Settings(dense_weight=weight, word_coverage=True)),
        )
        return order(shuffled, scores[np.newaxis], dense[np.newaxis], lexical[np.newaxis])

    found = ranked(rows)
    assert found == ranked(sorted(rows))
    assert sorted(each.row for each in found) == sorted(rows)
    assert all(0 <= each.score <= 1 for each in found)
    assert [(-each.score, each.row) for each in found] == sorted((-each.score, each.row) for each in found)


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_a_weight_of_one_side_ranks_by_that_side(weight):
    lexical = np.array([9.0, 1.0, 5.0])
    found = one_variant(
        [0.1, 0.3, 0.2],
        lexical,
        [lexical / 10] * 2,
        9.0,
        Weights.from_settings(Settings(dense_weight=weight, word_coverage=True)),
    )
    assert [each.row for each in found] == ([1, 2, 0] if weight else [0, 2, 1])
