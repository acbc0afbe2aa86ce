"""Search structures of one segment, and an encoder without a model, for tests that need nothing else."""

import zlib

import numpy as np

from rag_qa.index.local.segment.inverted import InvertedIndex, InvertedIndexWriter
from rag_qa.index.local.segment.vectors import VectorIndex, VectorWriter
from rag_qa.models.hardware import best_precision
from rag_qa.models.sentence_transformer import SentenceEncoder
from rag_qa.settings import DEFAULT_ENCODER


def built_lexical(folder, texts) -> InvertedIndex:
    """An index of texts, row i being text i."""
    write_lexical(folder, texts, 1)
    return InvertedIndex.open({1: folder}, {1: np.arange(len(texts))})


def write_lexical(folder, texts, segment):
    folder.mkdir(exist_ok=True)
    writer = InvertedIndexWriter(folder, segment)
    for text in texts:
        writer.add(text)
    writer.seal()
    return writer.terms


def built_vectors(folder, vectors, graph_passages=10**9, questions=None) -> VectorIndex:
    """An index of vectors, row i being vector i."""
    folder.mkdir(exist_ok=True)
    writer = VectorWriter(folder)
    writer.add(vectors[:1])
    writer.add(vectors[1:])
    graph = writer.seal(graph_passages, vectors[:100] if questions is None else questions)
    return VectorIndex.open(folder, len(vectors), vectors.shape[1], graph)


class HashEncoder(SentenceEncoder):
    """Vectors from a checksum of the text, without a model: for tests in which only what becomes of them matters.

    It bears the digest of the real one, so that the export that is there already is taken for its own.
    """

    encodes_itself = True

    def encode_passages(self, texts):
        vectors = np.stack([np.random.default_rng(zlib.crc32(text.encode())).standard_normal(384) for text in texts])
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)

    @classmethod
    def make(cls):
        real = SentenceEncoder.from_name(DEFAULT_ENCODER, best_precision())
        return cls(real.name, real.folder, real.precision)
