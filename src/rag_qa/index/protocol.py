"""The seam between an index and all that asks it or fills it: what an engine must do, method by method.

A row is the number of a passage in one snapshot: documents are ordered by the path of their file, then by their record,
and their passages are counted through by offset, from 0. Rows are equal on every engine, break all ties, and mean
nothing in another snapshot. In shapes, m is the number of variants of a query, n of rows, d of dimensions.

What is searched is the text of a passage in its context (`Passage.in_context`). BM25 counts its `text.analysis.stems`,
whose number is its length; coverage looks for terms among its `text.analysis.analyze`. What a filter means, and which
one is refused, is said by `filters.matcher`, whose fields are `title` and those that the metadata of a document has.

`tests/index_contract.py` holds the promises that can be checked; an engine that keeps them can be asked.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rag_qa.filters import Filters
from rag_qa.index.records import (
    Candidates,
    Counts,
    Difference,
    Entry,
    Pruned,
    SearchOptions,
    SnapshotDetails,
    SnapshotInfo,
    Vectors,
    Verified,
)
from rag_qa.text.acronyms.lexicon import Acronym
from rag_qa.types import ChunkedDocument, Document, DocumentInfo, IndexedFile, Passage

__all__ = ["IndexWriter", "SearchIndex", "SnapshotHistory"]


class SearchIndex(Protocol):
    """One opened snapshot, safe to share between threads.

    It answers as it was opened, whatever is committed, rolled back or pruned meanwhile. Any method raises
    IndexDamagedError rather than give what was not written.
    """

    @property
    def info(self) -> SnapshotInfo:
        """The snapshot's facts."""

    @property
    def folder(self) -> Path:
        """A local folder for what belongs to the index and is not searched: calibration, last evaluation, cache."""

    @property
    def encoder_folder(self) -> Path:
        """A local folder with the exported encoder, for `OnnxEncoder.open`: `folder`/encoder/<digest of the encoder>.

        A run that fills the index has written it there, into `IndexWriter.folder`.
        """

    @property
    def acronyms(self) -> Sequence[Acronym]:
        """The acronyms of the collection, as `text.acronyms.lexicon.resolve` makes them of all documents' mentions."""

    @property
    def bm25_bound(self) -> float:
        """The largest BM25 score that a term can give a passage, divided by the term's idf."""

    def idf(self, terms: Collection[str]) -> dict[str, float]:
        """The inverse document frequency of each term, known or not, as BM25 counts it among the passages left.

        BM25 is that of Robertson and Zaragoza (2009) with k1 = 1.2 and b = 0.75. Lengths above 40 terms are rounded
        down as tantivy does: by steps of 2, then of 4 and so on, eight of each.
        """

    def search(
        self,
        vectors: NDArray[np.float32],
        terms: Sequence[Mapping[str, int]],
        shares: Sequence[Mapping[str, float]],
        options: SearchOptions,
        filters: Filters | None = None,
    ) -> Candidates:
        """Finds candidates by vectors and by terms, and scores them all by both.

        Filters and `options.without` change which rows are found, never a score: `depth` rows are found where so many
        pass. Equal scores at the cut are decided by row. An engine that misses rows where a graph is searched says so
        by `info.approximate`.

        Args:
            vectors: of the variants, of unit length, of shape (m, d).
            terms: of each variant, with how often each stands there, in order of appearance.
            shares: of each variant, the weights of terms for coverage, together at most 1.
            options: depth, and which searches are done.
            filters: which documents are looked in; None for all.

        Raises:
            UnknownFieldError: a filter names a metadata field that no document has.
            QuestionError: a filter cannot be understood.
        """

    def signatures(self, rows: Sequence[int]) -> NDArray[np.uint32]:
        """The MinHash signatures of the texts of n rows, by `text.duplicates.signature`, of shape (n, 64)."""

    def passages(self, rows: Sequence[int]) -> list[tuple[DocumentInfo, Passage]]:
        """The passages of rows with their documents, in the order of `rows`."""

    def sentence_scores(self, vectors: NDArray[np.float32], rows: Sequence[int]) -> list[NDArray[np.float32]]:
        """Inner products of m vectors with the sentences of n rows: n arrays of shape (m, sentences)."""

    def passage_vectors(self, rows: Sequence[int]) -> NDArray[np.float32]:
        """The vectors of n rows, of shape (n, d)."""

    def check_filters(self, filters: Filters) -> None:
        """Raises what `search` would raise for these filters, without searching."""

    def facets(self) -> dict[str, list[tuple[str, int]]]:
        """The values of `format` and `language`, each with its number of documents, by falling number, then by name."""

    def files(self) -> list[IndexedFile]:
        """All files by path, those that gave no document among them."""

    def documents(self, offset: int = 0, limit: int | None = None) -> list[tuple[DocumentInfo, int]]:
        """The documents in the order of rows, from the `offset`-th on, each with its number of passages."""

    def document_info(self, document_id: str) -> tuple[DocumentInfo, range] | None:
        """A document without its text, and its rows; None where no document has this id."""

    def document(self, document_id: str) -> Document | None:
        """A document with its text; None where no document has this id."""

    def close(self) -> None:
        """Releases the files; nothing can be asked afterwards."""


class IndexWriter(Protocol):
    """One new snapshot, whole or not at all, on top of the current one.

    It holds the lock of the index, but for a dry run, which only counts. One thread calls it. Whatever ends it before
    `commit` has returned leaves the index as it was.
    """

    @property
    def previous(self) -> SearchIndex | None:
        """The current snapshot, every byte of it checked; None where there is none that can be built on."""

    @property
    def rebuilt(self) -> str | None:
        """Reason why the existing index cannot be built on; None where it can be, or where there is none."""

    @property
    def folder(self) -> Path:
        """The same as `SearchIndex.folder`, also without a snapshot: for the exported encoder and the cache."""

    def add(self, documents: Sequence[ChunkedDocument], vectors: Iterable[Vectors]) -> None:
        """Writes new documents with the vectors of all their passages in order, in as many parts as may be.

        A dry run gets no vectors.

        Raises:
            InputError: two documents have the same path.
            WriteError: the disk takes no more.
        """

    def keep(self, files: Collection[str]) -> None:
        """Takes over the documents of files of `previous`, by path, as they are; errors as `add`."""

    def rename(self, file: str, renamed: Callable[[Document], Document]) -> None:
        """Takes over the documents of a file of `previous` under other names, with their vectors; errors as `add`."""

    def counts(self) -> Counts:
        """Documents, passages and tokens that were added, kept or renamed so far."""

    def digests(self) -> Iterator[bytes]:
        """`ChunkedDocument.digest` of all these documents in the order of rows: what the snapshot's id is made of."""

    def commit(self, files: Sequence[IndexedFile], info: SnapshotInfo, keep: int) -> SnapshotInfo:
        """Merges, seals, syncs and checks the snapshot, makes it current and removes the oldest ones.

        Args:
            files: all files by path, those that gave no document among them.
            info: the facts; the engine fills in `name`, which begins with the id, `approximate` and the dimension of
                the vectors.
            keep: how many snapshots there are afterwards, at most.

        Raises:
            WriteError: the disk takes no more; the index is as it was.
            ConflictError: an engine that others change meanwhile cannot make it current.
        """

    def discard(self) -> None:
        """Drops what was written; does nothing after `commit`."""


class SnapshotHistory(Protocol):
    """The snapshots of an index by their names.

    An engine that keeps one snapshot only raises ConflictError where another is asked for.
    """

    def current(self) -> str:
        """The name of the snapshot that answers; cheap, for it is polled.

        Raises:
            IndexMissingError: nothing was indexed.
            IndexDamagedError: no name can be read.
        """

    def info(self) -> SnapshotInfo:
        """Facts about the snapshot that answers, after the checks that opening makes; errors as opening."""

    def entries(self) -> list[Entry]:
        """All snapshots, newest first, those that cannot be read last.

        Raises:
            IndexMissingError: nothing was indexed.
        """

    def resolve(self, named: str) -> str:
        """The name of a snapshot from `current`, `previous` or the beginning of its name.

        Raises:
            NotFoundError: no name begins so.
            ConflictError: several do, or `previous` is asked for and there is no earlier one.
            IndexMissingError, IndexDamagedError: there is no current snapshot to start from.
        """

    def details(self, name: str) -> SnapshotDetails:
        """Details of a snapshot, for whoever looks after the index.

        Raises:
            IndexDamagedError, IndexMismatchError: it cannot be read, or another version wrote it.
        """

    def verify(self, name: str) -> Verified:
        """Reads every file of a snapshot and of its encoder, and compares it with what was written."""

    def advice(self, verified: Sequence[Verified]) -> str:
        """Advice about snapshots that are not whole, as a part of a sentence."""

    def diff(self, before: str, after: str) -> Difference:
        """Compares the documents of two snapshots.

        Raises:
            IndexDamagedError, IndexMismatchError: one of them cannot be read.
        """

    def roll_back(self, named: str | None = None) -> tuple[str, str | None]:
        """Checks another snapshot byte for byte and makes it current.

        Args:
            named: as for `resolve`; by default the next older one, or the newest where there is no current one.

        Returns:
            The name of the snapshot that answers now, and of the one that did.

        Raises:
            IndexDamagedError: the snapshot is damaged; the current one stays.
            IndexMismatchError: another version wrote it.
            NotFoundError, ConflictError: as `resolve`; ConflictError also by default where there is no other one.
        """

    def prune(self, keep: int, on_wait: Callable[[], None] | None = None) -> Pruned:
        """Removes all but `keep` snapshots, the current one and the newest others, and those that nobody can read.

        Args:
            keep: how many snapshots stay.
            on_wait: called before waiting for another writer.

        Raises:
            IndexDamagedError: the current snapshot is damaged; then all stay.
        """
