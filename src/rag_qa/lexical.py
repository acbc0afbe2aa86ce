"""Lexical search: BM25 over stemmed English words. The only file that imports tantivy.

BM25 is tantivy's (k1 = 1.2, b = 0.75). The query is built from terms, so text that a person typed is
never parsed as query syntax; a repeated term counts as often as it stands there.
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import tantivy
from tantivy import Filter, Occur, Query, SchemaBuilder, TextAnalyzer, TextAnalyzerBuilder, Tokenizer

from rag_qa.errors import IndexDamagedError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["LexicalIndex", "analyze"]

TEXT, ROW = "text", "row"
WRITER_BYTES = 256_000_000
# English function words and what questions are put with: they say nothing about the answer.
STOPWORDS = frozenset(
    [
        "a",
        "about",
        "after",
        "all",
        "also",
        "am",
        "an",
        "and",
        "any",
        "are",
        "as",
        "at",
        "be",
        "been",
        "before",
        "being",
        "between",
        "both",
        "but",
        "by",
        "can",
        "could",
        "did",
        "do",
        "does",
        "doing",
        "done",
        "during",
        "each",
        "for",
        "from",
        "had",
        "has",
        "have",
        "having",
        "he",
        "her",
        "here",
        "hers",
        "him",
        "his",
        "how",
        "i",
        "if",
        "in",
        "into",
        "is",
        "it",
        "its",
        "itself",
        "me",
        "might",
        "more",
        "most",
        "must",
        "my",
        "no",
        "nor",
        "not",
        "of",
        "off",
        "on",
        "only",
        "or",
        "other",
        "our",
        "ours",
        "out",
        "over",
        "own",
        "same",
        "shall",
        "she",
        "should",
        "so",
        "some",
        "such",
        "than",
        "that",
        "the",
        "their",
        "theirs",
        "them",
        "themselves",
        "then",
        "there",
        "these",
        "they",
        "this",
        "those",
        "through",
        "to",
        "too",
        "under",
        "up",
        "upon",
        "very",
        "was",
        "we",
        "were",
        "what",
        "when",
        "where",
        "which",
        "while",
        "who",
        "whom",
        "whose",
        "why",
        "will",
        "with",
        "would",
        "you",
        "your",
    ]
)


def _text_analyzer() -> TextAnalyzer:
    """The analysis that tantivy calls en_stem: words, lower case, Porter stems."""
    builder = TextAnalyzerBuilder(Tokenizer.simple())
    return builder.filter(Filter.remove_long(40)).filter(Filter.lowercase()).filter(Filter.stemmer("english")).build()


_ANALYZER = _text_analyzer()
_STOP_STEMS = frozenset(stem for word in STOPWORDS for stem in _ANALYZER.analyze(word))


def analyze(text: str) -> list[str]:
    """The stems of a text, without stopwords and single characters, repeated as they stand there."""
    return [stem for stem in _ANALYZER.analyze(text) if len(stem) > 1 and stem not in _STOP_STEMS]


@contextmanager
def _damage_in(folder: Path) -> Iterator[None]:
    """A damaged file makes tantivy raise ValueError or OSError, or panic, which is no Exception."""
    try:
        yield
    except BaseException as error:
        if isinstance(error, ValueError | OSError) or type(error).__name__ == "PanicException":
            raise IndexDamagedError(
                f"The words in {folder} cannot be read ({error}): rebuild with `rag-qa index`."
            ) from None
        raise


class LexicalIndex:
    """Words by row number; safe to share between threads."""

    def __init__(self, folder: Path, index: tantivy.Index) -> None:
        self._folder = folder
        self._index = index
        self._searcher = index.searcher()

    @staticmethod
    def build(folder: Path, texts: Sequence[str]) -> None:
        """Writes the index of `texts` to an empty folder, row i being text i."""
        schema = SchemaBuilder()
        schema.add_text_field(TEXT, tokenizer_name="en_stem", index_option="freq")
        schema.add_integer_field(ROW, fast=True)
        index = tantivy.Index(schema.build(), path=str(folder))
        writer = index.writer(WRITER_BYTES, num_threads=1)  # one thread keeps rows in order
        for row, text in enumerate(texts):
            document = tantivy.Document()
            document.add_text(TEXT, text)
            document.add_integer(ROW, row)
            writer.add_document(document)
        writer.commit()
        writer.wait_merging_threads()

    @classmethod
    def open(cls, folder: Path, passages: int) -> "LexicalIndex":
        """Opens what `build` wrote; nothing is written to the folder, which may be read-only.

        Raises:
            IndexDamagedError: it cannot be read, or holds not as many texts as there are passages.
        """
        # tantivy makes lock files where it opens an index: it gets a folder of links, which it needs only now.
        with _damage_in(folder), TemporaryDirectory(prefix="rag-qa-", ignore_cleanup_errors=True) as links:
            for file in folder.iterdir():
                if not file.name.startswith(".tantivy"):
                    (Path(links) / file.name).symlink_to(file.resolve())
            index = tantivy.Index.open(links)
            index.config_reader(reload_policy="manual")
            opened = cls(folder, index)
        if opened._searcher.num_docs != passages:
            raise IndexDamagedError(
                f"{folder} holds not the {passages} texts that belong to the passages: rebuild with `rag-qa index`."
            )
        return opened

    def search(self, question: str, depth: int, allowed: "NDArray[np.bool_] | None" = None) -> dict[int, float]:
        """The `depth` rows with the largest BM25 score, best first, equal ones by row.

        Args:
            question: in words.
            depth: how many rows.
            allowed: for each row whether it may be found; the scores are the same as without.
        """
        terms = Counter(analyze(question))
        if not terms:
            return {}
        query = Query.boolean_query(
            [(Occur.Should, Query.boost_query(self._term(term), count)) for term, count in terms.items()]
        )
        total = self._searcher.num_docs
        # Twice the depth, so that a tie at the cut is decided by row and not by tantivy's order.
        limit = 2 * depth if allowed is None else 2 * depth * math.ceil(total / max(1, int(allowed.sum())))
        found = self._hits(query, min(limit, total))
        if allowed is not None:
            if len(found) >= limit and sum(bool(allowed[row]) for row, _ in found) < 2 * depth:
                found = self._hits(query, total)
            found = [hit for hit in found if allowed[hit[0]]]
        return dict(sorted(found, key=lambda hit: (-hit[1], hit[0]))[:depth])

    def _hits(self, query: Query, limit: int) -> list[tuple[int, float]]:
        """Rows with their scores, best first."""
        with _damage_in(self._folder):
            hits = self._searcher.search(query, limit=limit, count=False).hits
            rows = self._searcher.fast_field_values(ROW, [address for _, address in hits])
        return [(int(row), float(score)) for row, (score, _) in zip(rows, hits, strict=True) if row is not None]

    def rarity(self, question: str) -> dict[str, float]:
        """Each term of the question with its inverse document frequency as in BM25 (Robertson and Zaragoza 2009)."""
        total = self._searcher.num_docs
        with _damage_in(self._folder):
            frequencies = {term: self._searcher.doc_freq(TEXT, term) for term in set(analyze(question))}
        return {term: math.log(1 + (total - n + 0.5) / (n + 0.5)) for term, n in frequencies.items()}

    def _term(self, term: str) -> Query:
        return Query.term_query(self._index.schema, TEXT, term, index_option="freq")
