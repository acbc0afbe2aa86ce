"""The composition: a question goes through the stages and comes out as an answer."""

import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any, Self

import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from rag_qa.answering.citations import check_stretch, cite, cite_stretch, within_budget
from rag_qa.answering.confidence import FIELD, load_calibration
from rag_qa.answering.highlights import features, mark, scorer
from rag_qa.answering.references import Reference
from rag_qa.answering.verification import SourceState, Verification, locate_source, source_states, verify
from rag_qa.errors import IndexMismatchError, NotFoundError, QuestionError
from rag_qa.files import file_sha256
from rag_qa.filters import Filters
from rag_qa.index.local.manifest import Manifest
from rag_qa.index.local.metadata_index import Catalogue
from rag_qa.index.local.snapshot.document_table import Placed
from rag_qa.index.local.snapshot.layout import Snapshot, open_current
from rag_qa.index.local.snapshot.searcher import Corpus
from rag_qa.models.cross_encoder import CrossEncoderReranker
from rag_qa.models.onnx_encoder import OnnxEncoder
from rag_qa.models.protocols import QueryEncoder, Reranker
from rag_qa.retrieval.fusion import Candidate
from rag_qa.retrieval.query import check_question
from rag_qa.retrieval.retriever import Finder, Found, Sentences, Statements
from rag_qa.retrieval.search import Ranking
from rag_qa.settings import IndexSettings, Settings
from rag_qa.text.acronyms.lexicon import Acronym
from rag_qa.types import (
    Answer,
    Citation,
    Document,
    DocumentInfo,
    FailedFile,
    Passage,
    RankedPassage,
    Scores,
    Timings,
    document_id,
)

__all__ = ["Engine"]


class Engine:
    """Answers questions over one snapshot of an index; safe to share between threads."""

    def __init__(
        self, corpus: Corpus, encoder: QueryEncoder, settings: Settings, reranker: Reranker | None = None
    ) -> None:
        self._corpus = corpus
        self._encoder = encoder
        self._settings = settings
        self.reranker = reranker
        """What looks at the best passages again, if anything does."""
        self.calibration, self.calibration_problem = load_calibration(
            corpus.snapshot.index, corpus.manifest.encoder.model, self.settings
        )
        """What confidence is computed by, or why there is none."""
        self.finder = Finder(corpus, encoder, settings, reranker)
        """What finds and ranks."""
        self._lock = Lock()
        self._known: Catalogue | None = None

    @classmethod
    def open(
        cls,
        index: str | Path,
        settings: Settings | None = None,
        encoder: QueryEncoder | None = None,
        reranker: Reranker | None = None,
    ) -> "Engine":
        """Opens the current snapshot of an index.

        Args:
            index: folder of the index.
            settings: how it is asked; what it was built with has to agree.
            encoder: its encoder, where that is loaded already.
            reranker: the cross-encoder that the settings name, where that is loaded already.

        Raises:
            IndexMissingError, IndexDamagedError: there is no index, or it cannot be used.
            IndexMismatchError: it was built with other settings than the ones given, or by another format version.
            RerankerError: the cross-encoder that the settings name cannot be used.
        """
        settings = settings or Settings()

        def opened(snapshot: Snapshot) -> "Engine":
            _check_settings(snapshot.manifest, settings)
            loaded = encoder or OnnxEncoder.open(snapshot.encoder)
            looks_again = reranker or _reranker(settings)
            return cls(Corpus.open(snapshot), loaded, settings, looks_again)

        return open_current(Path(index), opened)

    def with_settings(self, **changes: Any) -> "Engine":  # noqa: ANN401
        """The same snapshot asked with other settings; it is open as long as this engine is, and closed with it."""
        settings = structs.replace(self._settings, **changes)
        reranker = self.reranker if settings.reranker == self._settings.reranker else _reranker(settings)
        return Engine(self._corpus, self._encoder, settings, reranker)

    @property
    def encoder(self) -> QueryEncoder:
        """What encodes questions."""
        return self._encoder

    @property
    def settings(self) -> Settings:
        """What the snapshot was built with, and how it is asked."""
        return structs.replace(self._settings, **structs.asdict(self.manifest.settings))

    @property
    def manifest(self) -> Manifest:
        """What the snapshot is made of."""
        return self._corpus.manifest

    @property
    def snapshot(self) -> Snapshot:
        """Where the snapshot lies."""
        return self._corpus.snapshot

    def check(self, question: str, k: int = 5, max_tokens: int | None = None, filters: Filters | None = None) -> None:
        """Sees that a question can be asked, without asking it; arguments as of `ask`.

        Raises:
            QuestionError: the question, `k`, `max_tokens` or a filter cannot be used.
        """
        check_question(question, self._settings.max_question_characters)
        self.check_options(k, max_tokens, filters)

    def check_options(self, k: int = 5, max_tokens: int | None = None, filters: Filters | None = None) -> None:
        """The same of what any question may be asked with."""
        most = self._settings.max_k
        if not 1 <= k <= most:
            raise QuestionError(f"k is {k}: it must be from 1 to {most}.")
        if max_tokens is not None and max_tokens < 1:
            raise QuestionError(f"max_tokens is {max_tokens}: it must be 1 or more.")
        if filters is not None and filters != Filters():
            self._catalogue().check(filters)

    def ask(self, question: str, k: int = 5, max_tokens: int | None = None, filters: Filters | None = None) -> Answer:
        """Answers a question with its `k` best passages.

        Args:
            question: in words; at most `max_question_characters` of the settings.
            k: from 1 to `max_k` of the settings.
            max_tokens: a budget for the passages' cl100k_base tokens together; a passage that does not fit
                is left out, and the others keep their rank numbers. Confidence is that of all of them.
            filters: which documents to look in; where they leave out all, the answer has no passages.

        Raises:
            QuestionError: the question, `k`, `max_tokens` or a filter cannot be used, or no passage fits.
            IndexDamagedError: a passage is not what was written.
        """
        started = time.perf_counter()
        self.check(question, k, max_tokens)  # filters are checked where they are used
        statements = self.finder.statements(question, max(k, FIELD), self._allowed(filters))
        best = self.finder.reranked(question, statements.found)[:k]
        tokens = [found.passage.tokens for found in best]
        chosen = within_budget(tokens, max_tokens)
        if best and not chosen:
            raise QuestionError(
                f"No passage fits into max_tokens {max_tokens}: the shortest of the first {k} has {min(tokens)} tokens."
            )
        confidence = self._confidence(statements)
        shown = [best[position] for position in chosen]
        known = self.finder.sentences(statements.read, shown)
        passages = [
            self._ranked(position + 1, found, sentences, statements)
            for position, found, sentences in zip(chosen, shown, known, strict=True)
        ]
        return Answer(
            question=question,
            snapshot=self.manifest.id,
            answered=bool(passages) and self._is_enough(confidence),
            confidence=confidence,
            passages=passages,
            expansions=statements.read.expansions,
            timings_ms=Timings(
                encode=round(statements.read.encode_ms, 3),
                dense=round(statements.dense_ms, 3),
                lexical=round(statements.lexical_ms, 3),
                total=round((time.perf_counter() - started) * 1000, 3),
            ),
        )

    def _confidence(self, statements: Statements) -> float | None:
        if self.calibration is None:
            return None
        return self.calibration.confidence(self.finder.signs(statements)) if statements.found else 0.0

    def _is_enough(self, confidence: float | None) -> bool:
        """Whether a question counts as answered; without a calibration it does."""
        return confidence is None or self.calibration is None or confidence >= self.calibration.threshold

    def _ranked(self, rank: int, found: Found, sentences: Sentences, statements: Statements) -> RankedPassage:
        reading = statements.reading(found)
        return RankedPassage(
            rank=rank,
            score=found.candidate.score,
            scores=Scores(found.candidate.dense, found.candidate.lexical, found.reranked),
            text=found.passage.text,
            tokens=found.passage.tokens,
            highlights=mark(
                found.passage,
                features(reading.text, sentences.texts, sentences.shared, sentences.nearness),
                scorer(self._settings.highlights),
            ),
            citation=cite(found.document, found.passage),
            also_in=[cite(document, passage) for document, passage in found.also_in],
        )

    def rank(self, question: str, k: int = 1, filters: Filters | None = None) -> Ranking:
        """All candidates for a question, best first, without their texts; `k` at least where there are so many."""
        return self.finder.rank(question, max(k, self._settings.depth), self._allowed(filters))[1]

    def find(self, candidates: Sequence[Candidate]) -> list[Found]:
        """The passages and documents of candidates, in their order."""
        return self.finder.find(candidates)

    def documents(self, offset: int = 0, limit: int | None = None) -> list[tuple[DocumentInfo, int]]:
        """The documents by path, from the `offset`-th on, each with its number of passages."""
        return self._corpus.documents(offset, limit)

    def failed(self) -> list[FailedFile]:
        """The files that gave no document, by path."""
        return [FailedFile(file.path, file.reason) for file in self._corpus.files() if file.reason is not None]

    def info(self, document_id: str) -> tuple[DocumentInfo, int]:
        """A document without its text, and its number of passages.

        Raises:
            NotFoundError: no document has this id.
        """
        placed = self._placed(document_id)
        return self._corpus.info(placed), placed.passages

    def document(self, document_id: str) -> Document:
        """A document with its text; errors as `info`."""
        return self._corpus.document(self._placed(document_id))

    def reference(self, document_id: str, start: int, end: int) -> Reference:
        """A stretch of a document as a reference.

        Raises:
            NotFoundError: no document has this id, or the document no such stretch.
        """
        document = self.document(document_id)
        check_stretch(document, start, end)
        if start == end:
            raise NotFoundError(f"start and end are both {start}: a reference quotes at least one character.")
        return Reference(
            quote=document.text[start:end],
            citation=cite_stretch(document, start, end),
            snapshot=self.manifest.id,
            metadata=document.metadata,
        )

    def source_file(self, info: DocumentInfo) -> Path:
        """The file of a document, where it is still what was indexed.

        Raises:
            NotFoundError: it is gone, or has other bytes now.
        """
        path = locate_source(info.source, self.manifest.source_folders)
        with suppress(OSError):  # one that cannot be read is as good as gone
            if path is not None and file_sha256(path) == info.sha256:
                return path
        raise NotFoundError(f"The file of “{info.path}” is not there any more as it was indexed: read its text.")

    def facets(self) -> dict[str, list[tuple[str, int]]]:
        """The formats and languages of the documents, each with how many have it, the most frequent first."""
        return self._catalogue().facets

    def passages(self, document_id: str) -> list[Passage]:
        """The passages of a document in order; errors as `info`."""
        return self._corpus.passages_of(self._placed(document_id))

    def rows(self, document_id: str) -> list[int]:
        """The row numbers of a document's passages, in order; errors as `info`."""
        return self._corpus.rows_of(self._placed(document_id))

    @property
    def acronyms(self) -> Sequence[Acronym]:
        """The acronyms of the collection with their long forms, by acronym."""
        return self._corpus.acronyms

    def close(self) -> None:
        """Closes the files; nothing can be asked afterwards."""
        self._corpus.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def verify(self, answer: Answer) -> Verification:
        """Checks an answer's citations against the documents of this snapshot, which are found by their paths."""

        def find(citation: Citation) -> list[Document]:
            placed = self._corpus.placed(document_id(citation.document))
            return [self._corpus.document(placed)] if placed is not None else []

        return verify(answer, find, same_snapshot=answer.snapshot == self.manifest.id)

    def source_states(self, answer: Answer) -> list[SourceState]:
        """The cited source files that are no longer what was indexed, in order of rank."""
        return source_states(answer, self.manifest.source_folders)

    def _allowed(self, filters: Filters | None) -> NDArray[np.bool_] | None:
        """For each row whether it may be found; None where all may."""
        return self._catalogue().allowed(filters) if filters is not None and filters != Filters() else None

    def _catalogue(self) -> Catalogue:
        """Made when the first filter is used: it reads the descriptions of all documents."""
        with self._lock:
            if self._known is None:
                self._known = Catalogue(self._corpus.documents())
            return self._known

    def _placed(self, document_id: str) -> Placed:
        placed = self._corpus.placed(document_id)
        if placed is None:
            raise NotFoundError(f"No document has the id “{document_id[:80]}”.")
        return placed


def _reranker(settings: Settings) -> Reranker | None:
    return CrossEncoderReranker.open(settings.reranker) if settings.reranker else None


def _check_settings(manifest: Manifest, settings: Settings) -> None:
    """Settings that were given must be those of the index; what was not given is as the index has it."""
    for name in IndexSettings.__struct_fields__:
        built, wanted = getattr(manifest.settings, name), getattr(settings, name)
        if name in settings.given and wanted not in {built, "auto"}:
            raise IndexMismatchError(
                f"The index was built with {name} {built}, the settings say {wanted}: rebuild it with "
                "`rag-qa index`, or drop the setting."
            )
