"""Lexical search: BM25 over terms, which are stemmed English words, in all segments at once.

BM25 is tantivy's (k1 = 1.2, b = 0.75). The query is built from terms, so text that a person typed is never parsed as
query syntax; a repeated term counts as often as it stands there.

Each segment has a small index of its own; they are opened as one, so that the statistics behind the scores are those of
all passages. Deleted passages do not count: tombstones.py.
"""

import json
import math
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import tantivy
from tantivy import Occur, Query, SchemaBuilder

from rag_qa.errors import IndexDamagedError, WriteError, write_errors
from rag_qa.text.analysis import question_terms, stems

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["BM25_BOUND", "Deleted", "InvertedIndex", "InvertedIndexWriter"]

K1 = 1.2  # tantivy's
BM25_BOUND = K1 + 1
"""The largest BM25 score that a term can give a passage, divided by its idf."""
TEXT, ROW = "text", "row"
META = "meta.json"
WRITER_BYTES = 64_000_000
ROW_BITS = 32
"""A passage is known by the number of its segment and, in the lower bits, its row there."""


class Deleted(Protocol):
    """Statistics of deleted passages."""

    @property
    def passages(self) -> int:
        """Number of deleted passages."""

    @property
    def frequencies(self) -> Mapping[str, int]:
        """Number of deleted passages that hold each stem."""


class InvertedIndexWriter:
    """Writes the index of a segment; every method raises WriteError where it cannot."""

    def __init__(self, folder: Path, segment: int = 0) -> None:
        """Begins an index in an empty folder.

        Args:
            folder: where to.
            segment: the number of the segment.
        """
        self._folder = folder
        self._first = segment << ROW_BITS
        self._rows = 0
        self.terms = 0
        """The lengths of all texts so far, as BM25 counts them."""
        schema = SchemaBuilder()
        schema.add_text_field(TEXT, tokenizer_name="en_stem", index_option="freq")
        schema.add_integer_field(ROW, fast=True)
        with self._written():
            index = tantivy.Index(schema.build(), path=str(folder))
            self._writer: tantivy.IndexWriter | None = index.writer(WRITER_BYTES, num_threads=1)

    def add(self, text: str) -> list[str]:
        """Adds the text of the next row; returns its terms, as `analyze` does."""
        document = tantivy.Document()
        document.add_text(TEXT, text)
        document.add_integer(ROW, self._first + self._rows)
        with self._written():
            self._opened().add_document(document)
        found = stems(text)
        self._rows += 1
        self.terms += len(found)
        return question_terms(found)

    def seal(self) -> None:
        """Seals the index."""
        with self._written():
            writer = self._opened()
            writer.commit()
            writer.wait_merging_threads()
        self.discard()
        for path in self._folder.iterdir():
            if path.name.startswith("."):  # locks, and a list that only a writer needs
                path.unlink()

    def discard(self) -> None:
        """Closes the files."""
        self._writer = None

    def _written(self) -> AbstractContextManager[None]:
        """Raises WriteError where tantivy cannot write."""
        return write_errors(self._folder, ValueError, OSError)

    def _opened(self) -> tantivy.IndexWriter:
        if self._writer is None:
            raise WriteError(self._folder, "it is closed")
        return self._writer


class InvertedIndex:
    """Terms of all segments by row number; safe to share between threads."""

    def __init__(
        self, index: tantivy.Index, rows: "Mapping[int, NDArray[np.int64]]", deleted: Deleted | None, where: str
    ) -> None:
        self._where = where
        self._index = index
        self._searcher = index.searcher()
        self._rows = rows
        self._deleted = deleted
        self._live = sum(map(len, rows.values())) - (deleted.passages if deleted else 0)

    @classmethod
    def open(
        cls,
        folders: Mapping[int, Path],
        rows: "Mapping[int, NDArray[np.int64]]",
        deleted: Deleted | None = None,
        ballast: Path | None = None,
    ) -> "InvertedIndex":
        """Opens what `InvertedIndexWriter` wrote; nothing is written to the folders, which may be read-only.

        Args:
            folders: that of each segment, by its number.
            rows: for each segment the row number of each of its passages, -1 for a deleted one.
            deleted: the statistics of the deleted ones.
            ballast: an index that sets the mean length right; required where passages are deleted.

        Raises:
            IndexDamagedError: a folder cannot be read, or holds not as many texts as there are passages.
        """
        where = os.path.commonpath(folders.values())
        # tantivy makes lock files where it opens an index: it gets a folder of links, which it needs only now.
        with TemporaryDirectory(prefix="rag-qa-", ignore_cleanup_errors=True) as links:
            with _damage_in(where):
                metas = {number: _meta(folder) for number, folder in folders.items()}
                for number, meta in metas.items():
                    if sum(part["max_doc"] for part in meta["segments"]) != len(rows[number]):
                        raise IndexDamagedError(f"{folders[number]} holds not the {len(rows[number])} texts it should")
                every = [*metas.values(), *([_meta(ballast)] if ballast else [])]
                merged = {**every[0], "segments": [part for meta in every for part in meta["segments"]]}
            for folder in [*folders.values(), *([ballast] if ballast else [])]:
                _link(folder, Path(links))
            (Path(links) / META).write_text(json.dumps(merged), "utf-8")
            with _damage_in(where):
                index = tantivy.Index.open(links)
                index.config_reader(reload_policy="manual")
                return cls(index, rows, deleted, where)

    def search(
        self, terms: Mapping[str, int], depth: int, allowed: "NDArray[np.bool_] | None" = None
    ) -> dict[int, float]:
        """The `depth` rows with the largest BM25 score, best first, equal ones by row.

        Args:
            terms: of the question, with how often each stands there.
            depth: how many rows.
            allowed: for each row whether it may be found; the scores are the same as without.
        """
        if not terms:
            return {}
        query = Query.boolean_query(
            [(Occur.Should, self._term(term, count * self._correction(term))) for term, count in terms.items()]
        )
        total = self._searcher.num_docs
        findable = self._live if allowed is None else int(allowed.sum())
        # Twice the depth, so that a tie at the cut is decided by row and not by tantivy's order.
        limit = 2 * depth if findable == total else 2 * depth * math.ceil(total / max(1, findable))
        hits = self._hits(query, min(limit, total))
        found = self._findable(hits, allowed)
        if len(hits) >= limit and len(found) < 2 * depth:
            found = self._findable(self._hits(query, total), allowed)
        return dict(sorted(found, key=lambda hit: (-hit[1], hit[0]))[:depth])

    def idf(self, terms: Collection[str]) -> dict[str, float]:
        """The inverse document frequency of each term, as in BM25 (Robertson and Zaragoza 2009)."""
        return {term: _idf(self._live, self._frequency(term)) for term in terms}

    def _hits(self, query: Query, limit: int) -> list[tuple[int, float]]:
        """Rows with their scores, best first; -1 for deleted passages."""
        with _damage_in(self._where):
            hits = self._searcher.search(query, limit=limit, count=False).hits
            keys = self._searcher.fast_field_values(ROW, [address for _, address in hits])
        segments, inner = np.divmod(np.array([key or 0 for key in keys], dtype=np.int64), 1 << ROW_BITS)
        rows = np.empty_like(inner)
        for number in np.unique(segments):
            here, there = segments == number, self._rows.get(int(number), ())
            if inner[here].max() >= len(there):
                raise IndexDamagedError(f"The words in {self._where} name a passage that there is not")
            rows[here] = there[inner[here]]
        return list(zip(rows.tolist(), [float(score) for score, _ in hits], strict=True))

    @staticmethod
    def _findable(hits: Sequence[tuple[int, float]], allowed: "NDArray[np.bool_] | None") -> list[tuple[int, float]]:
        return [(row, score) for row, score in hits if row >= 0 and (allowed is None or allowed[row])]

    def _frequency(self, term: str, *, deleted: bool = False) -> int:
        """Number of passages that hold a term; with `deleted`, deleted ones included."""
        with _damage_in(self._where):
            every = self._searcher.doc_freq(TEXT, term)
        return every if deleted or not self._deleted else max(0, every - self._deleted.frequencies.get(term, 0))

    def _correction(self, term: str) -> float:
        """Factor that turns a term's idf in tantivy's statistics into its idf among the passages left."""
        if not self._deleted or not self._deleted.passages:
            return 1.0
        by_tantivy = _idf(self._searcher.num_docs, self._frequency(term, deleted=True))
        return _idf(self._live, self._frequency(term)) / by_tantivy

    def _term(self, term: str, weight: float) -> Query:
        return Query.boost_query(Query.term_query(self._index.schema, TEXT, term, index_option="freq"), weight)


def _idf(passages: int, frequency: int) -> float:
    return math.log(1 + (passages - frequency + 0.5) / (frequency + 0.5))


def _meta(folder: Path) -> dict[str, Any]:
    """The list of an index's files."""
    meta: dict[str, Any] = json.loads((folder / META).read_bytes())
    return meta


def _link(folder: Path, links: Path) -> None:
    """Links the files of an index into another folder."""
    for file in folder.iterdir():
        if file.name != META and not file.name.startswith("."):
            (links / file.name).symlink_to(file.resolve())


@contextmanager
def _damage_in(where: str) -> Iterator[None]:
    """A damaged file makes tantivy raise ValueError or OSError, or panic, which is no Exception."""
    try:
        yield
    except BaseException as error:
        if (
            isinstance(error, ValueError | LookupError | TypeError | OSError)
            or type(error).__name__ == "PanicException"
        ):
            raise IndexDamagedError(f"The words in {where} cannot be read ({error})") from None
        raise
