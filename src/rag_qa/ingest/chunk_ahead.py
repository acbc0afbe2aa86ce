"""Chunks documents, and mines their acronyms, while others are parsed."""

import os
from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing

from rag_qa.errors import SettingsError
from rag_qa.ingest.chunker import Chunker
from rag_qa.models.sentence_transformer import SentenceEncoder
from rag_qa.settings import IndexSettings
from rag_qa.text.acronyms.mentions import find_mentions
from rag_qa.types import ChunkedDocument, Document

__all__ = ["chunk_ahead", "make_chunker"]

CHARACTERS_AHEAD = 4_000_000
"""Characters of the documents that are chunked before they are asked for."""


def chunk_ahead(documents: Generator[Document], chunker: Chunker) -> Generator[ChunkedDocument]:
    """Yields documents with their passages, in order; chunks some in parallel, since chunking releases the GIL."""

    def chunk(document: Document) -> ChunkedDocument:
        return ChunkedDocument(document, tuple(chunker.chunk(document)), find_mentions(document.text))

    waiting: deque[Future[ChunkedDocument]] = deque()
    with closing(documents), ThreadPoolExecutor(os.cpu_count(), "chunking") as pool:
        try:
            ahead = 0
            for document in documents:
                waiting.append(pool.submit(chunk, document))
                ahead += document.characters
                while waiting and (ahead > CHARACTERS_AHEAD or waiting[0].done()):
                    stored = waiting.popleft().result()
                    ahead -= stored.document.characters
                    yield stored
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def make_chunker(encoder: SentenceEncoder, settings: IndexSettings) -> Chunker:
    """Makes the chunker of documents for an encoder.

    Raises:
        SettingsError: the passages would be longer than what the encoder reads, or be mostly overlap.
    """
    if settings.passage_tokens > encoder.room:
        raise SettingsError(
            f"passage_tokens is {settings.passage_tokens}, but {encoder.name} reads {encoder.room} tokens of a text: "
            "set it to that or less."
        )
    if settings.overlap_tokens > settings.passage_tokens / 2:
        raise SettingsError(
            f"overlap_tokens is {settings.overlap_tokens}, more than half of passage_tokens "
            f"({settings.passage_tokens}): set it to that or less."
        )
    return Chunker(encoder.tokenizer, encoder.room, settings)
