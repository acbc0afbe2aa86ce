"""Searchers of small collections in memory, with vectors from a checksum of the text."""

from pathlib import Path

from support.memory_index import MemoryEngine
from support.small_collections import unit_vectors, write

from rag_qa.retrieval.searcher import Searcher
from rag_qa.settings import Settings


class ChecksumEncoder:
    """The same unit vector for the same text; it knows the words that it is told, and what it was asked to encode."""

    def __init__(self, *known):
        self.known = known
        self.encoded = []

    def encode_queries(self, texts):
        self.encoded.append(texts)
        return unit_vectors(texts)

    def is_word(self, text):
        return text in self.known


def searcher_of(documents, reranker=None, **settings):
    """Everything that the documents are asked with, rows being by path."""
    engine = MemoryEngine(Path("nowhere"))
    write(engine, documents)
    return engine.open_index(
        lambda index: Searcher.from_index(index, ChecksumEncoder(), Settings(**settings), reranker)
    )
