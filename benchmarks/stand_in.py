"""Stand-in for the encoder, for benchmarks in which encoding would take most of the time, and texts for them.

Its vectors lie between neighbouring vectors of the real model, at a point that a checksum of the text chooses. So they
cluster as real ones do, and equal texts have equal vectors, but they do not represent what a text means. Questions are
encoded by the real model.
"""

import random
import re
import zlib
from collections.abc import Sequence
from pathlib import Path

import faiss
import numpy as np

from rag_qa.models.sentence_transformer import SentenceEncoder

NEIGHBOURS, PIECES, WORDS_A_PIECE = 8, 6000, 100
SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


class StandInEncoder(SentenceEncoder):
    """The default encoder with other vectors of passages."""

    digest = "57a4d1157a4d1157"
    encodes_itself = True

    def __init__(self, real: SentenceEncoder, vectors: np.ndarray) -> None:
        """Takes the real encoder, and unit vectors that it made, of shape (n, dimension)."""
        super().__init__(real.name, real.folder, real.precision)
        self._vectors = vectors
        index = faiss.IndexFlatIP(vectors.shape[1])
        index.add(vectors)
        self._neighbours = index.search(vectors, NEIGHBOURS + 1)[1][:, 1:]

    def encode_passages(self, texts: Sequence[str]) -> np.ndarray:
        """Returns unit vectors of shape (len(texts), dimension)."""
        seeds = np.array([zlib.crc32(text.encode()) for text in texts], dtype=np.int64)
        first = seeds % len(self._vectors)
        others = [self._neighbours[first, (seeds >> shift) % NEIGHBOURS] for shift in (5, 11)]
        weights = [1.0, (seeds >> 7) % 997 / 997, (seeds >> 13) % 991 / 991]
        between = sum(
            self._vectors[rows] * np.reshape(weight, (-1, 1))
            for rows, weight in zip([first, *others], weights, strict=True)
        )
        return (between / np.linalg.norm(between, axis=1, keepdims=True)).astype(np.float32)


def real_vectors(sources: Sequence[Path], path: Path, encoder: SentenceEncoder) -> np.ndarray:
    """Returns vectors of real text, of shape (n, dimension), from a file; where it is missing, makes it in minutes."""
    if not path.exists():
        words = [source.read_text("utf-8", "replace").split() for source in sources]
        pieces = [
            " ".join(each[first : first + WORDS_A_PIECE])
            for each in words
            for first in range(0, len(each), WORDS_A_PIECE)
        ]
        random.Random(0).shuffle(pieces)
        np.save(path, encoder.encode_passages(pieces[:PIECES]))
    return np.load(path)


def write_texts(sources: Sequence[Path], folder: Path, megabytes: int, kilobytes: int = 20) -> int:
    """Writes a collection of files made of halves of real sentences; returns the number of files.

    Args:
        sources: files of text from which the sentences are drawn.
        folder: the folder of the collection.
        megabytes: size of all files together.
        kilobytes: mean size of a file; sizes vary tenfold.
    """
    chance = random.Random(0)
    sentences = [
        sentence.split()
        for source in sources
        for sentence in SENTENCE_END.split(source.read_text("utf-8", "replace"))
        if 6 <= len(sentence.split()) <= 60
    ]
    left, number = megabytes * 1_000_000, 0
    while left > 0:
        wanted = int(kilobytes * 1000 * chance.lognormvariate(-0.3, 0.8))
        parts: list[str] = []
        length = 0
        while length < wanted:
            first, second = chance.choice(sentences), chance.choice(sentences)
            sentence = " ".join([*first[: len(first) // 2], *second[len(second) // 2 :]])
            parts.append(sentence + ("\n\n" if chance.random() < 0.15 else " "))
            length += len(sentence) + 1
        path = folder / f"{number // 1000:03}" / f"{number:06}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(parts), "utf-8")
        left, number = left - length, number + 1
    return number
