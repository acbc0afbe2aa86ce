import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rag_qa.index.local.snapshot.merge_policy import to_merge


def test_what_is_merged():
    assert to_merge({}, 5, 100) == []
    assert to_merge({1: (500, 500)}, 1, 10_000) == []  # small beside it: stays
    assert to_merge({1: (500, 500)}, 100, 10_000) == [1]
    assert to_merge({1: (2400, 2400), 2: (90, 90), 3: (400, 400)}, 20, 10_000) == [2, 3, 1]  # one leads to the next
    assert to_merge({1: (10_000, 10_000)}, 5000, 10_000) == []  # full
    assert to_merge({1: (7900, 10_000)}, 0, 10_000) == [1]  # full of holes
    assert to_merge({1: (8100, 10_000)}, 0, 10_000) == []
    assert to_merge({1: (50, 50), 2: (60, 60)}, 0, 10_000) == []  # nothing new, nothing to do


@given(st.lists(st.integers(1, 400), min_size=1, max_size=200))
def test_segments_stay_few_and_each_passage_is_copied_few_times(changes):
    full, segments, copied = 2000, {}, 0
    for number, fresh in enumerate(changes):
        merged = to_merge(segments, fresh, full)
        taken = sum(segments.pop(other)[0] for other in merged)
        copied += taken
        segments[number] = (fresh + taken, fresh + taken)
    total = sum(changes)
    growing = [size for size, _ in segments.values() if size < full]
    assert len(growing) <= 2 + np.log(full) / np.log(5)
    assert copied <= 15 * total
