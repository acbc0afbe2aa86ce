"""Passages to vectors: in parts, each text once, and never again."""

import numpy as np
from support.small_collections import make_document, unit_vectors

from rag_qa.indexer.encode import PART, CachedEncoder
from rag_qa.indexer.vector_cache import VectorCache


class Counted:
    """Vectors from a checksum of the text; it keeps what it was asked to encode."""

    digest = "0123456789abcdef"

    def __init__(self):
        self.encoded = []

    def encode_passages(self, texts):
        self.encoded += texts
        return unit_vectors(texts)


PASSAGES = make_document(
    "a.txt", [["The harbour.", "A fee."], ["A fee."], ["Ships pay a lot."]], context="Port"
).passages


def run(folder, passages):
    """Vectors of passages, with what had to be encoded, how many passages that touched, and the progress."""
    encoder, told = Counted(), []
    with CachedEncoder(encoder, folder, lambda *progress: told.append(progress)) as cached:
        parts = list(cached.encode(passages))
        cached.keep()
    return parts, encoder.encoded, cached.touched, told


def test_vectors_are_those_of_passages_in_context_and_of_their_sentences(tmp_path):
    ((vectors,), encoded, touched, told) = run(tmp_path, PASSAGES)
    assert np.array_equal(vectors.passages, unit_vectors([passage.in_context for passage in PASSAGES]))
    sentences = ["The harbour.", "A fee.", "A fee.", "Ships pay a lot."]
    assert np.array_equal(vectors.sentences, unit_vectors(sentences).astype(np.float16))
    assert list(vectors.counts) == [2, 1, 1]
    assert encoded == sorted(
        {*sentences, *(passage.in_context for passage in PASSAGES)}, key=lambda text: (-len(text), text)
    )
    assert touched == 3
    assert told == [("encoding", 0, 6), ("encoding", 6, 6)]


def test_what_was_kept_is_not_encoded_again(tmp_path):
    first = run(tmp_path, PASSAGES[:2])
    again = run(tmp_path, PASSAGES[:2])
    assert (again[1], again[2]) == ([], 0)
    assert np.array_equal(again[0][0].passages, first[0][0].passages)
    more = run(tmp_path, PASSAGES)
    assert more[1] == ["Port\nShips pay a lot.", "Ships pay a lot."]
    assert more[2] == 1


def test_a_dry_run_counts_and_leaves_nothing_behind(tmp_path):
    with CachedEncoder(Counted(), tmp_path / "index", lambda *_: None) as cached:
        cached.count(PASSAGES)
        assert cached.touched == 3
        cached.keep()
    assert not (tmp_path / "index").exists()
    run(tmp_path, PASSAGES[:2])
    with CachedEncoder(Counted(), tmp_path, lambda *_: None) as cached:
        cached.count(PASSAGES)
        assert cached.touched == 1


def test_a_long_document_is_encoded_in_parts(tmp_path):
    passages = make_document("a.txt", [[f"{number % 100}."] for number in range(PART + 2)]).passages
    parts, encoded, touched, _ = run(tmp_path, passages)
    assert [len(each.passages) for each in parts] == [PART, 2]
    assert sorted(encoded) == sorted(f"{number}." for number in range(100))
    assert touched == PART  # the last two have the vectors of others
    whole = np.concatenate([each.passages for each in parts])
    assert np.array_equal(whole, unit_vectors([passage.text for passage in passages]))


def test_no_passages_make_no_cache(tmp_path):
    assert run(tmp_path, [])[:3] == ([], [], 0)
    assert not VectorCache.exists(tmp_path)
