import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_qa.errors import IndexDamagedError
from rag_qa.index.local.segment.term_sets import TermSets, TermWriter


def built(folder, documents):
    folder.mkdir(exist_ok=True)
    writer = TermWriter(folder)
    for passages in documents:
        for place, terms in enumerate(passages):
            writer.add(terms, first=place == 0)
    writer.seal()
    return TermSets.open(folder, sum(map(len, documents)))


DOCUMENTS = [[{"harbour", "fee"}, {"crown"}, set()], [{"fee"}], [{"harbour"}, {"pilot"}]]


def test_coverage_by_hand(tmp_path):
    terms = built(tmp_path / "t", DOCUMENTS)
    (found,) = terms.coverage([{"harbour": 0.5, "crown": 0.3, "ship": 0.2}], np.array([5, 0, 1, 2, 3]))
    expected = {
        5: (0.0, 0.5),
        0: (0.5, 0.8),
        1: (0.3, 0.8),
        2: (0.0, 0.3),
        3: (0.0, 0.0),  # the passages beside it are of other documents
    }
    assert found.T.tolist() == [list(shares) for shares in expected.values()]
    assert terms.coverage([{}], np.array([0])).tolist() == [[[0.0], [0.0]]]


vocabulary = st.sets(st.sampled_from([*"abcdefgh", "naïve", "数据"]), max_size=5)


@given(st.lists(st.lists(vocabulary, min_size=1, max_size=4), min_size=1, max_size=4), st.data())
def test_coverage_is_that_of_sets(tmp_path_factory, documents, data):
    terms = built(tmp_path_factory.mktemp("t"), documents)
    asked = sorted(data.draw(vocabulary))
    weights = {term: 1 / len(asked) for term in asked}
    places = [(number, place) for number, passages in enumerate(documents) for place in range(len(passages))]
    rows = data.draw(st.permutations(range(len(places))))
    found = dict(zip(rows, terms.coverage([weights], np.array(rows))[0].T.tolist(), strict=True))
    for row, (number, place) in enumerate(places):
        own = documents[number][place]
        near = set().union(*documents[number][max(0, place - 1) : place + 2])
        assert found[row][0] == pytest.approx(sum(weights[term] for term in asked if term in own))
        assert found[row][1] == pytest.approx(sum(weights[term] for term in asked if term in near))


@pytest.mark.parametrize("name", ["terms.u32", "term_starts.npy", "term_firsts.npy"])
def test_what_is_missing_truncated_or_of_another_segment_is_damage(tmp_path, name):
    built(tmp_path / "t", DOCUMENTS)
    path = tmp_path / "t" / name
    data = path.read_bytes()
    for broken in (b"", data[:-4]):
        path.write_bytes(broken)
        with pytest.raises(IndexDamagedError):
            TermSets.open(tmp_path / "t", 6)
    path.unlink()
    with pytest.raises(IndexDamagedError):
        TermSets.open(tmp_path / "t", 6)
    path.write_bytes(data)
    with pytest.raises(IndexDamagedError, match="do not belong to the 7 passages"):
        TermSets.open(tmp_path / "t", 7)


def test_a_segment_of_empty_passages(tmp_path):
    assert built(tmp_path / "t", [[set(), set()]]).coverage([{"a": 1.0}], np.array([0, 1])).tolist() == [
        [[0.0] * 2] * 2
    ]
    assert np.load(tmp_path / "t" / "term_starts.npy").tolist() == [0, 0, 0]
