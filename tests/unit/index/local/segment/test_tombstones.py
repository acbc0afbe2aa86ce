"""Statistics of deleted passages, by hand, and the ballast that cancels them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.structures import write_lexical

from rag_qa.index.local.segment.inverted import InvertedIndex
from rag_qa.index.local.segment.tombstones import Tombstones, write_ballast


def test_statistics_of_what_was_deleted():
    deleted = Tombstones()
    deleted.add(["The harbours of the harbour", "A fee"])
    deleted.add(["the fees"])
    assert deleted == Tombstones(3, 9, {"the": 2, "harbour": 1, "of": 1, "a": 1, "fee": 2})


def test_a_sum_leaves_its_parts_as_they_were():
    one, other = Tombstones(1, 3, {"fee": 1, "ship": 1}), Tombstones(2, 5, {"fee": 2})
    assert Tombstones.sum([one, other]) == Tombstones(3, 8, {"fee": 3, "ship": 1})
    assert Tombstones.sum([]) == Tombstones()
    assert (one, other) == (Tombstones(1, 3, {"fee": 1, "ship": 1}), Tombstones(2, 5, {"fee": 2}))


@given(st.lists(st.lists(st.text(alphabet="ab ", max_size=9), max_size=4), max_size=4))
def test_the_sum_of_segments_is_that_of_all_their_texts(segments):
    parts = []
    for texts in segments:
        parts.append(Tombstones())
        parts[-1].add(texts)
    whole = Tombstones()
    whole.add(text for texts in segments for text in texts)
    assert Tombstones.sum(parts) == whole


KEPT = ["harbour fee", "the ship pays a fee", "ferry"]
DELETED = ["harbour ice and ice and ice again", "fee"]


@pytest.mark.parametrize("deleted", [DELETED, DELETED[1:], ["x y z " * 20]])
def test_scores_with_ballast_are_those_of_what_is_left(tmp_path, deleted):
    """Two deleted passages stay in the file of their segment, and give no hit and no statistics."""
    write_lexical(tmp_path / "alone", KEPT, 1)
    write_lexical(tmp_path / "whole", [*KEPT, *deleted], 1)
    tombstones = Tombstones()
    tombstones.add(deleted)
    (tmp_path / "ballast").mkdir()
    write_ballast(tmp_path / "ballast", len(KEPT), sum(len(text.split()) for text in KEPT), tombstones)
    rows = np.arange(len(KEPT))
    alone = InvertedIndex.open({1: tmp_path / "alone"}, {1: rows})
    holey = InvertedIndex.open(
        {1: tmp_path / "whole"}, {1: np.append(rows, [-1] * len(deleted))}, tombstones, tmp_path / "ballast"
    )
    for terms in ({"harbour": 1}, {"fee": 1}, {"ship": 1, "fee": 2}, {"ice": 1}):
        assert holey.search(terms, 10) == pytest.approx(alone.search(terms, 10), rel=1e-5)
