"""Arrays of a segment, by hand and against plain loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_qa.errors import IndexDamagedError
from rag_qa.index.local.segment.arrays import inner_products, positions_of, read_vectors


def test_inner_products_by_hand():
    queries = np.array([[1, 0], [0.6, 0.8]], dtype=np.float32)
    vectors = np.array([[1, 0], [0, 1], [0.8, 0.6]], dtype=np.float32)
    assert np.allclose(inner_products(queries, vectors), [[1, 0, 0.8], [0.6, 0.8, 0.96]])


def test_positions_of_rows_of_unequal_length():
    starts = np.array([0, 2, 2, 5])  # rows of 2, 0 and 3 items
    positions, counts = positions_of(starts, np.array([2, 0, 1]))
    assert positions.tolist() == [2, 3, 4, 0, 1]
    assert counts.tolist() == [3, 2, 0]


@given(st.lists(st.integers(0, 4), min_size=1), st.data())
def test_positions_are_those_of_a_loop(lengths, data):
    rows = data.draw(st.lists(st.integers(0, len(lengths) - 1)))
    starts = np.cumsum([0, *lengths])
    positions, counts = positions_of(starts, np.array(rows, dtype=np.int64))
    assert positions.tolist() == [item for row in rows for item in range(starts[row], starts[row + 1])]
    assert counts.tolist() == [lengths[row] for row in rows]


def test_vectors_are_read_from_an_offset_and_a_short_file_is_damaged(tmp_path):
    vectors = np.arange(12, dtype="<f2").reshape(4, 3)
    (tmp_path / "vectors").write_bytes(b"head" + vectors.tobytes())
    assert np.array_equal(read_vectors(tmp_path / "vectors", 4 + 6, 2, 3), vectors[1:3])
    with pytest.raises(IndexDamagedError, match="vectors is truncated"):
        read_vectors(tmp_path / "vectors", 4 + 6, 4, 3)
