"""Passages to vectors, through the cache: a text that was encoded once, even by a killed run, is not encoded again."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from msgspec import Struct

from rag_qa.index.records import Vectors
from rag_qa.indexer.vector_cache import VectorCache
from rag_qa.models.protocols import PassageEncoder
from rag_qa.types import Passage

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["CachedEncoder"]

PART = 2048  # passages
ENCODED_TOGETHER = 256  # texts between two times that vectors are put into the cache


class _Wanted(Struct):
    """The texts of passages and of their sentences, and the vectors that are known."""

    texts: set[str]
    sentences: set[str]
    full: "dict[str, NDArray[np.float32]]"
    half: "dict[str, NDArray[np.float16]]"

    @property
    def missing(self) -> set[str]:
        """The texts that have to be encoded."""
        return (self.texts - self.full.keys()) | (self.sentences - self.half.keys())


class CachedEncoder:
    """An encoder with the vectors it has made; a context manager that keeps them."""

    def __init__(self, encoder: PassageEncoder, folder: Path, progress: Callable[[str, int, int], None]) -> None:
        self._encoder = encoder
        self._folder = folder
        self._progress = progress
        self._cache: VectorCache | None = None
        self._done = 0
        self._known = 0
        self.touched = 0
        """Passages of which something had, or would have, to be encoded."""

    def encode(self, passages: Sequence[Passage]) -> Iterator[Vectors]:
        """The vectors of passages and their sentences, part by part, so that no document is too long.

        Equal texts of a part are encoded once.
        """
        for first in range(0, len(passages), PART):
            yield self._encode(passages[first : first + PART])

    def _encode(self, passages: Sequence[Passage]) -> Vectors:
        cache = self._cache = self._cache or VectorCache(self._folder, self._encoder.digest)
        wanted = self._look_up(passages)
        new = wanted.missing
        self.touched += _count_touched(passages, new)
        self._known += len(new)
        # Long texts first: texts of like length share a batch, and the progress bar errs on the safe side.
        ordered = sorted(new, key=lambda text: (-len(text), text))
        for first in range(0, len(ordered), ENCODED_TOGETHER):
            self._progress("encoding", self._done, self._known)
            together = ordered[first : first + ENCODED_TOGETHER]
            made = dict(zip(together, self._encoder.encode_passages(together), strict=True))
            full = {text: vector for text, vector in made.items() if text in wanted.texts}
            half = {text: vector.astype(np.float16) for text, vector in made.items() if text in wanted.sentences}
            cache.put(full, np.float32)
            cache.put(half, np.float16)
            wanted.full |= full
            wanted.half |= half
            self._done += len(together)
        self._progress("encoding", self._done, self._known)
        return Vectors(
            np.stack([wanted.full[passage.in_context] for passage in passages]),
            np.stack([wanted.half[text] for passage in passages for text in passage.sentence_texts]),
            [len(passage.sentences) for passage in passages],
        )

    def count(self, passages: Sequence[Passage]) -> None:
        """Counts as touched the passages of which something would have to be encoded; writes nothing."""
        if self._cache is None and VectorCache.exists(self._folder):
            self._cache = VectorCache(self._folder, self._encoder.digest)
        self.touched += _count_touched(passages, self._look_up(passages).missing)

    def keep(self) -> None:
        """Commits every vector made so far to the cache.

        Raises:
            WriteError: the cache cannot be written.
        """
        if self._cache is not None:
            self._cache.commit()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._cache is not None:
            self._cache.close()

    def _look_up(self, passages: Sequence[Passage]) -> _Wanted:
        texts = {passage.in_context for passage in passages}
        sentences = {text for passage in passages for text in passage.sentence_texts}
        full = self._cache.find(texts, np.float32) if self._cache else {}
        half = self._cache.find(sentences, np.float16) if self._cache else {}
        return _Wanted(texts, sentences, full, half)


def _count_touched(passages: Sequence[Passage], texts: set[str]) -> int:
    return sum(not texts.isdisjoint([passage.in_context, *passage.sentence_texts]) for passage in passages)
