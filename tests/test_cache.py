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
    found = cache.find(["a", "b", "c", *map(str, range(2000))])
    assert set(found) == {"a", "b"}
    assert np.array_equal(found["b"], VECTORS[1])
    cache.close()
    other = VectorCache(tmp_path, "two")
    assert other.find(["a"]) == {}
    other.close()


def test_a_damaged_vector_counts_as_missing(tmp_path):
    cache = VectorCache(tmp_path, "one")
    cache.put(["a", "b"], VECTORS)
    with sqlite3.connect(tmp_path / "vectors.sqlite") as connection:
        connection.execute("UPDATE vectors SET vector = ? WHERE vector = ?", (bytes(12), VECTORS[0].tobytes()))
    connection.close()
    assert list(cache.find(["a", "b"])) == ["b"]
    cache.close()


def test_a_file_that_is_no_database_is_begun_anew(tmp_path):
    (tmp_path / "vectors.sqlite").write_bytes(b"no database at all, but long enough to look like a file" * 100)
    cache = VectorCache(tmp_path, "one")
    assert cache.find(["a"]) == {}
    cache.put(["a"], VECTORS[:1])
    assert list(cache.find(["a"])) == ["a"]
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
