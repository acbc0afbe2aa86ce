"""A look into a collection: its documents, their files, and spans of their text as references."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from rag_qa.answering.citations import check_span, cite_span
from rag_qa.answering.references import Reference
from rag_qa.answering.verification import locate_source
from rag_qa.errors import NotFoundError
from rag_qa.files import file_sha256
from rag_qa.text.acronyms.lexicon import Acronym
from rag_qa.types import Document, DocumentInfo, FailedFile, Passage

if TYPE_CHECKING:
    from rag_qa.index.protocol import SearchIndex

__all__ = ["CollectionView"]


class CollectionView:
    """Reads the documents of one snapshot; safe to share between threads."""

    def __init__(self, index: "SearchIndex") -> None:
        self._index = index

    def documents(self, offset: int = 0, limit: int | None = None) -> list[tuple[DocumentInfo, int]]:
        """The documents by path, from the `offset`-th on, each with its number of passages."""
        return self._index.documents(offset, limit)

    def failed(self) -> list[FailedFile]:
        """The files that gave no document, by path."""
        return [FailedFile(file.path, file.reason) for file in self._index.files() if file.reason is not None]

    def info(self, document_id: str) -> tuple[DocumentInfo, int]:
        """A document without its text, and its number of passages.

        Raises:
            NotFoundError: no document has this id.
        """
        info, rows = self._found(document_id)
        return info, len(rows)

    def document(self, document_id: str) -> Document:
        """A document with its text; errors as `info`."""
        document = self._index.document(document_id)
        if document is None:
            raise _unknown(document_id)
        return document

    def passages(self, document_id: str) -> list[Passage]:
        """The passages of a document in order; errors as `info`."""
        return [passage for _, passage in self._index.passages(self.rows(document_id))]

    def rows(self, document_id: str) -> range:
        """The rows of a document's passages; errors as `info`."""
        return self._found(document_id)[1]

    def reference(self, document_id: str, start: int, end: int) -> Reference:
        """A span of a document as a reference.

        Raises:
            NotFoundError: no document has this id, or the document no such span.
        """
        document = self.document(document_id)
        check_span(document, start, end)
        if start == end:
            raise NotFoundError(f"start and end are both {start}: a reference quotes at least one character.")
        return Reference(
            quote=document.text[start:end],
            citation=cite_span(document, start, end),
            snapshot=self._index.info.id,
            metadata=document.metadata,
        )

    def source_file(self, info: DocumentInfo) -> Path:
        """The file of a document, where it is still what was indexed.

        Raises:
            NotFoundError: it is not there, or has other bytes now.
        """
        path = locate_source(info.source, self._index.info.source_folders)
        with suppress(OSError):  # a file that cannot be read is as good as none
            if path is not None and file_sha256(path) == info.sha256:
                return path
        raise NotFoundError(f"The file of “{info.path}” is not there any more as it was indexed: read its text.")

    def facets(self) -> dict[str, list[tuple[str, int]]]:
        """The formats and languages of the documents, each with the number of documents, the most frequent first."""
        return self._index.facets()

    @property
    def acronyms(self) -> Sequence[Acronym]:
        """The acronyms of the collection with their long forms, by acronym."""
        return self._index.acronyms

    def _found(self, document_id: str) -> tuple[DocumentInfo, range]:
        found = self._index.document_info(document_id)
        if found is None:
            raise _unknown(document_id)
        return found


def _unknown(document_id: str) -> NotFoundError:
    return NotFoundError(f"No document has the id “{document_id[:80]}”.")
