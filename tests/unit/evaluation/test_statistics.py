"""Intervals and tests: by hand where that is possible, otherwise by simulation with a truth that is known."""

from functools import partial
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_qa.evaluation.statistics import adjusted, aggregate, estimate, paired_difference


def test_an_interval_holds_its_mean_and_is_the_same_each_time():
    values = [0.0, 1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0]
    first = aggregate(values)
    assert first == aggregate(values)
    assert first.low < first.value == 0.75 < first.high
    assert aggregate([1.0, 1.0]).low == 1.0
    assert aggregate([0.5]) == aggregate([0.5, 0.5, 0.5])


@given(st.lists(st.sampled_from([0.0, 0.25, 1.0]), min_size=1, max_size=12))
def test_every_interval_is_finite_and_in_order(values):
    found = aggregate(values)
    assert min(values) <= found.low <= found.high <= max(values)
    assert found.value == pytest.approx(np.mean(values))


def test_the_paired_test_is_exact_where_questions_are_few():
    base, other = [0.1, 0.5, 0.3, 0.9, 0.2], [0.4, 0.4, 0.8, 1.0, 0.2]
    differences = np.subtract(other, base)
    sums = [abs(np.dot(signs, differences)) for signs in product([1, -1], repeat=5)]
    expected = np.mean([each >= abs(differences.sum()) - 1e-9 for each in sums])
    found = paired_difference(base, other)
    assert found.p == pytest.approx(expected)
    assert (found.wins, found.losses, found.ties) == (3, 1, 1)
    assert found.value == pytest.approx(0.16)


def test_runs_that_are_equal_or_differ_once_are_not_told_apart():
    assert paired_difference([0.2, 0.4], [0.2, 0.4]).p == 1.0
    assert paired_difference([0.2, 0.4], [0.2, 0.9]).p == 1.0
    rounding = paired_difference([0.1 + 0.2], [0.3])
    assert (rounding.wins, rounding.losses, rounding.ties) == (0, 0, 1)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=10))
def test_exchanging_the_runs_changes_only_the_sign(pairs):
    one, other = zip(*pairs, strict=True)
    there, back = paired_difference(one, other), paired_difference(other, one)
    assert there.p == pytest.approx(back.p)
    assert there.value == pytest.approx(-back.value)
    assert (there.wins, there.losses) == (back.losses, back.wins)


def test_p_values_of_a_family_are_adjusted_by_benjamini_and_hochberg():
    assert adjusted([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.04, 0.04])
    assert adjusted([]) == []


def test_other_figures_have_intervals_too_and_none_where_they_are_not_defined():
    found = estimate(partial(np.median, axis=-1), [1.0, 2.0, 3.0, 4.0, 5.0])
    assert found is not None
    assert 1.0 <= found.low <= found.value == 3.0 <= found.high <= 5.0
    assert estimate(lambda values: np.full(values.shape[:-1], np.nan), [1.0, 2.0]) is None


def test_what_few_questions_raise_has_an_interval_below():
    values = np.random.default_rng(1).random(40)
    plain = estimate(partial(np.ptp, axis=-1), values)
    biased = estimate(lambda drawn: -np.ptp(drawn, axis=-1), -values, biased=True)
    assert plain.high == plain.value  # no sample has a wider range
    assert biased == type(biased)(biased.value, 0.0, 0.0)  # nothing falls below 0
    error = estimate(lambda drawn: 1 + np.ptp(drawn, axis=-1), values, biased=True)
    assert error.low == error.value  # the reverse of an interval that ends at the figure
    assert error.high > error.value


def test_of_many_questions_the_interval_needs_no_square_of_memory():
    import tracemalloc

    values = np.random.default_rng(1).random(6000).tolist()
    tracemalloc.start()
    found = aggregate(values)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.low < 0.5 < found.high
    assert peak < 100e6
