"""A segment: some documents with all that is searched of them, written once; large collections are made of several.

SEGMENT/documents.sqlite                    documents and passages (docstore.py)
SEGMENT/vectors.faiss, graph.faiss          passage vectors, and a graph over many (vectors.py)
SEGMENT/sentences.f16, sentence_starts.npy  sentence vectors (sentence_vectors.py)
SEGMENT/lexical/                            inverted index of the terms (inverted.py)
SEGMENT/terms.u32, term_starts.npy, …       terms of each passage (term_sets.py)
SEGMENT/signatures.u32                      MinHash signatures, for duplicates (signatures.py)
"""

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from rag_qa.errors import IndexDamagedError, WriteError
from rag_qa.index.local.manifest import Segment
from rag_qa.index.local.segment.docstore import DocumentStore, StoreWriter
from rag_qa.index.local.segment.inverted import InvertedIndexWriter
from rag_qa.index.local.segment.sentence_vectors import SentenceVectors, SentenceWriter
from rag_qa.index.local.segment.signatures import SignatureWriter, open_signatures
from rag_qa.index.local.segment.term_sets import TermSets, TermWriter
from rag_qa.index.local.segment.vectors import VectorIndex, VectorWriter
from rag_qa.index.records import Vectors
from rag_qa.types import ChunkedDocument

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["OpenSegment", "SegmentWriter", "lexical_folder", "open_store"]

DOCUMENTS, LEXICAL = "documents.sqlite", "lexical"
MEASURED_QUESTIONS = 100


def lexical_folder(folder: Path) -> Path:
    """Folder of the inverted index of the segment in `folder`."""
    return folder / LEXICAL


def open_store(folder: Path) -> DocumentStore:
    """Opens the documents of the segment in `folder` alone."""
    return DocumentStore(folder / DOCUMENTS)


class OpenSegment:
    """A segment to read from; safe to share between threads."""

    def __init__(
        self,
        segment: Segment,
        vectors: VectorIndex,
        sentences: SentenceVectors,
        terms: TermSets,
        signatures: "NDArray[np.uint32]",
        store: DocumentStore,
    ) -> None:
        self.segment = segment
        self.vectors = vectors
        self.sentences = sentences
        self.terms = terms
        self.signatures = signatures
        self.store = store

    @classmethod
    def open(cls, folder: Path, segment: Segment, dimension: int) -> "OpenSegment":
        """Opens what `SegmentWriter` wrote.

        Raises:
            IndexDamagedError: its parts cannot be read, or do not belong together.
        """
        vectors = VectorIndex.open(folder, segment.passages, dimension, segment.graph)
        sentences = SentenceVectors.open(folder, segment.passages, dimension)
        terms = TermSets.open(folder, segment.passages)
        signatures = open_signatures(folder, segment.passages)
        store = open_store(folder)  # last: it alone has to be closed
        return cls(segment, vectors, sentences, terms, signatures, store)

    def chunked(self, place: int, rows: range) -> tuple[ChunkedDocument, Vectors]:
        """A document with its passages, as it was written, and their vectors."""
        chunked = self.store.chunked(place)
        counts = [len(passage.sentences) for passage in chunked.passages]
        return chunked, Vectors(self.vectors.vectors(rows), self.sentences.vectors(rows), counts)

    def close(self) -> None:
        """Closes its files."""
        self.store.close()


class SegmentWriter:
    """Writes a segment, document by document; every method raises WriteError or OSError where it cannot."""

    def __init__(self, folder: Path, number: int) -> None:
        """Begins a segment.

        Args:
            folder: where to; it is made.
            number: no other segment of the snapshot has it.
        """
        (folder / LEXICAL).mkdir(parents=True)
        self.number = number
        self._folder = folder
        with ExitStack() as on_error:
            self._store = StoreWriter(folder / DOCUMENTS)
            on_error.callback(self._store.discard)
            self._vectors = VectorWriter(folder)
            on_error.callback(self._vectors.discard)
            self._sentences = SentenceWriter(folder)
            on_error.callback(self._sentences.discard)
            self._terms = TermWriter(folder)
            on_error.callback(self._terms.discard)
            self._signatures = SignatureWriter(folder)
            on_error.callback(self._signatures.discard)
            self._lexical = InvertedIndexWriter(folder / LEXICAL, number)
            on_error.pop_all()

    @property
    def passages(self) -> int:
        """Number of passages so far."""
        return self._store.passages

    @property
    def dimension(self) -> int:
        """Dimension of the vectors that were added."""
        return self._vectors.dimension

    def add(self, documents: Sequence[ChunkedDocument], vectors: Iterable[Vectors]) -> list[tuple[int, int]]:
        """Adds documents with the vectors of all their passages, in as many parts as may be.

        Returns:
            The place and first row of each.
        """
        places = [self._store.add(each) for each in documents]
        for part in vectors:
            self._vectors.add(part.passages)
            self._sentences.add(part.sentences, part.counts)
        for chunked in documents:
            for place, passage in enumerate(chunked.passages):
                self._signatures.add(passage.text)
                self._terms.add(self._lexical.add(passage.in_context), first=place == 0)
        return places

    def seal(self, graph_passages: int) -> Segment:
        """Seals the segment, and opens it to check that its parts agree.

        Args:
            graph_passages: from how many passages on there is a graph.
        """
        self._store.close()
        self._lexical.seal()
        try:
            questions = self._sentences.sample(MEASURED_QUESTIONS, self.dimension)
            graph = self._vectors.seal(graph_passages, questions)
            self._sentences.seal()
            self._terms.seal()
            self._signatures.seal()
            segment = Segment(self.number, self.passages, self._lexical.terms, graph)
            OpenSegment.open(self._folder, segment, self.dimension).close()
        except RuntimeError as error:  # faiss knows no other
            raise WriteError(self._folder, error) from None
        except IndexDamagedError as error:  # the disk was full at the last bytes, without an error
            raise WriteError(self._folder, error.what) from None
        return segment

    def discard(self) -> None:
        """Closes the files of an abandoned segment."""
        self._store.discard()
        self._vectors.discard()
        self._sentences.discard()
        self._terms.discard()
        self._signatures.discard()
        self._lexical.discard()
