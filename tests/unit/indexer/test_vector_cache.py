import sqlite3

import numpy as np
import pytest

from rag_qa.errors import WriteError
from rag_qa.indexer.vector_cache import VectorCache

VECTORS = np.array([[1, 0, 0], [0, 0.6, 0.8]], dtype=np.float32)


def test_what_is_put_in_is_there_for_this_encoder_only(tmp_path):
    cache = VectorCache(tmp_path, "one")
    cache.put({"a": VECTORS[0], "b": VECTORS[1]}, np.float32)
    cache.close()
    cache = VectorCache(tmp_path, "one")
    found = cache.find(["a", "b", "c", *map(str, range(2000))], np.float32)
    assert set(found) == {"a", "b"}
    assert np.array_equal(found["b"], VECTORS[1])
    cache.close()
    other = VectorCache(tmp_path, "two")
    assert other.find(["a"], np.float32) == {}
    other.close()


def test_a_damaged_vector_counts_as_missing(tmp_path):
    cache = VectorCache(tmp_path, "one")
    cache.put({"a": VECTORS[0], "b": VECTORS[1]}, np.float32)
    cache.close()
    with sqlite3.connect(tmp_path / "vectors.sqlite") as connection:
        connection.execute("UPDATE vectors SET vector = ? WHERE vector = ?", (bytes(12), VECTORS[0].tobytes()))
    connection.close()
    cache = VectorCache(tmp_path, "one")
    assert list(cache.find(["a", "b"], np.float32)) == ["b"]
    cache.close()


def test_a_file_that_is_no_database_is_begun_anew(tmp_path):
    (tmp_path / "vectors.sqlite").write_bytes(b"no database at all, but long enough to look like a file" * 100)
    cache = VectorCache(tmp_path, "one")
    assert cache.find(["a"], np.float32) == {}
    cache.put({"a": VECTORS[0]}, np.float32)
    assert list(cache.find(["a"], np.float32)) == ["a"]
    cache.close()


def test_a_locked_cache_is_said_in_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr("rag_qa.indexer.vector_cache.SECONDS_TO_WAIT", 0)
    cache = VectorCache(tmp_path, "one")
    other = sqlite3.connect(tmp_path / "vectors.sqlite")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(WriteError, match=r"cannot be written .*locked"):
        cache.put({"a": VECTORS[0]}, np.float32)
    other.close()
    cache.close()


def test_a_cache_that_is_damaged_inside_is_begun_anew(tmp_path):
    cache = VectorCache(tmp_path, "one")
    cache.put({str(number): VECTORS[0] for number in range(2000)}, np.float32)
    cache.close()
    path = tmp_path / "vectors.sqlite"
    path.write_bytes(path.read_bytes()[:8192])
    cache = VectorCache(tmp_path, "one")
    cache.find(map(str, range(2000)), np.float32)
    cache.put({"a": VECTORS[0]}, np.float32)
    assert list(cache.find(["a"], np.float32)) == ["a"]
    cache.close()


def test_a_cache_of_another_version_is_begun_anew(tmp_path):
    with sqlite3.connect(tmp_path / "vectors.sqlite") as connection:
        connection.execute("CREATE TABLE vectors (encoder TEXT, text_sha256 BLOB, vector BLOB, checksum BLOB)")
    connection.close()
    cache = VectorCache(tmp_path, "one")
    cache.put({"a": VECTORS[0]}, np.float32)
    assert list(cache.find(["a"], np.float32)) == ["a"]
    cache.close()


def test_both_precisions_are_kept(tmp_path):
    cache = VectorCache(tmp_path, "one")
    cache.put({"a": VECTORS[1]}, np.float32)
    assert cache.find(["a"], np.float16) == {}
    cache.put({"a": VECTORS[1]}, np.float16)
    cache.close()
    cache = VectorCache(tmp_path, "one")
    (half,) = cache.find(["a"], np.float16).values()
    (full,) = cache.find(["a"], np.float32).values()
    assert (half.dtype, full.dtype) == (np.float16, np.float32)
    assert np.array_equal(full, VECTORS[1])
    cache.close()
