import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_qa.retrieval import fuse

SCORES = st.dictionaries(st.integers(0, 50), st.floats(-1, 1).map(lambda x: round(x, 3)), min_size=1)


def test_fused_score_by_hand():
    dense = {0: 0.8, 1: 0.4, 2: 0.6}
    lexical = {1: 10.0, 2: 5.0}
    ranked = fuse(dense, lexical, 0.5)
    assert [(c.row, c.score) for c in ranked] == [(0, 0.5), (1, 0.5), (2, 0.5)]
    ranked = fuse(dense, lexical, 0.25)
    assert [(c.row, c.score) for c in ranked] == [(1, 0.75), (2, 0.5), (0, 0.25)]
    assert (ranked[0].dense, ranked[0].lexical) == (0.4, 10.0)


def test_no_candidates_and_no_shared_words():
    assert fuse({}, {}, 0.5) == []
    assert [c.score for c in fuse({3: 0.5, 1: 0.2}, {}, 0.5)] == [0.5, 0.0]
    assert [c.score for c in fuse({3: 0.5}, {3: 2.0}, 0.5)] == [1.0]


@given(SCORES, st.floats(0, 1), st.randoms(use_true_random=False))
def test_order_is_total_and_does_not_depend_on_the_order_of_the_candidates(dense, weight, random):
    lexical = {row: 1.0 + row % 3 for row in dense if row % 2}
    ranked = fuse(dense, lexical, weight)
    shuffled = list(dense.items())
    random.shuffle(shuffled)
    assert fuse(dict(shuffled), lexical, weight) == ranked
    assert sorted(c.row for c in ranked) == sorted(dense)
    assert all(0 <= c.score <= 1 for c in ranked)
    assert [(-c.score, c.row) for c in ranked] == sorted((-c.score, c.row) for c in ranked)


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_a_weight_of_one_side_ranks_by_that_side(weight):
    dense, lexical = {0: 0.1, 1: 0.3, 2: 0.2}, {0: 9.0, 1: 1.0, 2: 5.0}
    expected = [1, 2, 0] if weight else [0, 2, 1]
    assert [c.row for c in fuse(dense, lexical, weight)] == expected
