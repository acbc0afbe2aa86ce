import sqlite3

import numpy as np
import pytest

from rag_qa.cache import VectorCache
from rag_qa.errors import InputError

VECTORS = np.array([[1, 0, 0], [0, 0.6, 0.8]], dtype=np.float32)


def test_what_is_put_in_is_there_for_this_encoder_only(tmp_path):
    cache = VectorCache(tmp_path, "one")
    cache.put(["a", "b"], VECTORS)
    cache.close()
    cache = VectorCache(tmp_path, "one")
    assert np.array_equal(cache.get("b"), VECTORS[1])
    assert cache.get("c") is None
    cache.close()
    other = VectorCache(tmp_path, "two")
    assert other.get("a") is None
    other.close()


def test_a_damaged_vector_counts_as_missing(tmp_path):
    cache = VectorCache(tmp_path, "one")
    cache.put(["a", "b"], VECTORS)
    with sqlite3.connect(tmp_path / "vectors.sqlite") as connection:
        connection.execute("UPDATE vectors SET vector = ? WHERE vector = ?", (bytes(12), VECTORS[0].tobytes()))
    connection.close()
    assert cache.get("a") is None
    assert cache.get("b") is not None
    cache.close()


def test_a_file_that_is_no_database_is_begun_anew(tmp_path):
    (tmp_path / "vectors.sqlite").write_bytes(b"no database at all, but long enough to look like a file" * 100)
    cache = VectorCache(tmp_path, "one")
    assert cache.get("a") is None
    cache.put(["a"], VECTORS[:1])
    assert cache.get("a") is not None
    cache.close()


def test_a_locked_cache_is_said_in_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr("rag_qa.cache.SECONDS_TO_WAIT", 0)
    cache = VectorCache(tmp_path, "one")
    other = sqlite3.connect(tmp_path / "vectors.sqlite")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(InputError, match=r"cannot be used .*locked"):
        cache.put(["a"], VECTORS[:1])
    other.close()
    cache.close()
