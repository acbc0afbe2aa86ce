import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rag_qa.retrieval.dedup import LOSS, give_way, group_duplicates
from rag_qa.text.duplicates import signature


def test_collapsing_by_hand():
    texts = ["Ships pay ten crowns.", "Ferries sail.", "Ships  pay ten crowns.", "Ice.", "Ferries\nsail.", "Fog."]
    signatures = np.stack([signature(text) for text in texts])
    asked = []

    def give(positions):
        asked.extend(positions)
        return [texts[position] for position in positions]

    assert group_duplicates(signatures, give, 3) == [[0, 2], [1, 4], [3]]
    assert 5 not in asked
    assert group_duplicates(signatures, give, 10) == [[0, 2], [1, 4], [3], [5]]
    assert group_duplicates(signatures[:0], give, 3) == []


def signatures_of(*shared):
    """Signatures of 64 numbers, of which each shares the first so many with the one before it."""
    rows = [np.arange(64)]
    for number, count in enumerate(shared, 1):
        rows.append(np.where(np.arange(64) < count, rows[-1], 1000 * number + np.arange(64)))
    return np.array(rows, dtype=np.uint32)


def test_a_near_copy_in_another_document_gives_way_by_hand():
    signatures = signatures_of(48, 0)  # the second is three quarters of the first
    assert LOSS == 0.5  # so that it loses 3/8 of its score: .8 counts as .5
    assert give_way([0.9, 0.8, 0.51], ["a", "b", "c"], signatures) == ([0, 2, 1], 1)
    assert give_way([0.9, 0.8, 0.49], ["a", "b", "c"], signatures) == ([0, 1, 2], 1)
    assert give_way([0.9, 0.8, 0.51], ["a", "a", "c"], signatures) == ([0, 1, 2], 0)  # neighbours in one document
    assert give_way([0.9, 0.8, 0.51], ["a", "b", "c"], signatures_of(31, 0)) == ([0, 1, 2], 0)  # too unlike


def test_nothing_gives_way_where_there_is_nothing():
    assert give_way([], [], np.zeros((0, 64), np.uint32)) == ([], 0)


@given(
    st.lists(st.tuples(st.floats(0, 1), st.sampled_from("abc"), st.integers(0, 64)), min_size=1, max_size=12),
)
def test_every_passage_stays_and_the_best_stays_first(passages):
    scores = sorted((score for score, _, _ in passages), reverse=True)
    signatures = signatures_of(*(shared for _, _, shared in passages[1:]))
    order, copies = give_way(scores, [document for _, document, _ in passages], signatures)
    assert sorted(order) == list(range(len(scores)))
    assert order[0] == 0
    assert 0 <= copies < len(scores)
