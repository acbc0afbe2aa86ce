from itertools import combinations, pairwise

from hypothesis import given
from hypothesis import strategies as st

from rag_qa.ingest.packing import INNER_HEADING, PASSAGE, pack


def cost(cuts, lengths, penalties, headings, capacity):
    total = 0.0
    for first, end in cuts:
        filled = min(sum(lengths[first:end]) / capacity, 1)
        total += PASSAGE + (1 - filled) ** 2 + INNER_HEADING * sum(headings[first + 1 : end])
        total += penalties[first] if first else 0
    return total


def all_ways(lengths, capacity):
    """Every way to cut into passages that fit, or are a single unit."""
    count = len(lengths)
    for size in range(count):
        for inner in combinations(range(1, count), size):
            borders = [0, *inner, count]
            cuts = list(pairwise(borders))
            if all(sum(lengths[first:end]) <= capacity or end - first == 1 for first, end in cuts):
                yield cuts


units = st.tuples(st.integers(0, 12), st.sampled_from([0, 0.05, 0.1, 0.2]), st.booleans())


@given(st.lists(units, min_size=1, max_size=8), st.integers(1, 20))
def test_no_other_way_costs_less(given_units, capacity):
    lengths, penalties, headings = zip(*given_units, strict=True)
    cuts = [(part.start, part.stop) for part in pack(lengths, penalties, headings, capacity)]
    assert [unit for first, end in cuts for unit in range(first, end)] == list(range(len(lengths)))
    least = min(cost(each, lengths, penalties, headings, capacity) for each in all_ways(lengths, capacity))
    assert cost(cuts, lengths, penalties, headings, capacity) <= least + 1e-9
    assert cuts in list(all_ways(lengths, capacity))


def test_passages_are_filled_alike():
    assert pack([4] * 6, [0] * 6, [False] * 6, 18) == [range(3), range(3, 6)]  # not four and two


def test_a_passage_begins_with_a_heading():
    assert pack([5, 5, 2, 5, 5], [0] * 5, [False, False, True, False, False], 14) == [range(2), range(2, 5)]


def test_a_unit_that_is_too_long_stands_alone():
    assert pack([3, 50, 3], [0] * 3, [False] * 3, 10) == [range(1), range(1, 2), range(2, 3)]


def test_nothing():
    assert pack([], [], [], 10) == []
