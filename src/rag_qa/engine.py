"""The composition: a question goes through the stages and comes out as an answer."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from msgspec import structs

from rag_qa.answering.collection import CollectionView
from rag_qa.answering.compose import Found, Scoring, compose
from rag_qa.answering.confidence import FIELD, load_calibration
from rag_qa.answering.evidence import weigh
from rag_qa.answering.highlights import scorer
from rag_qa.answering.verification import SourceState, Verification, source_states, verify
from rag_qa.errors import IndexMismatchError, QuestionError
from rag_qa.filters import Filters
from rag_qa.index import open_index
from rag_qa.models.cross_encoder import CrossEncoderReranker
from rag_qa.models.onnx_encoder import OnnxEncoder
from rag_qa.retrieval.query import Query, check_question, read_query
from rag_qa.retrieval.rerank import rerank
from rag_qa.retrieval.retriever import retrieve
from rag_qa.retrieval.searcher import Searcher
from rag_qa.settings import IndexSettings, Settings
from rag_qa.types import Answer, Citation, Document, document_id

if TYPE_CHECKING:
    from rag_qa.index.protocol import SearchIndex
    from rag_qa.index.records import SnapshotInfo
    from rag_qa.models.protocols import QueryEncoder, Reranker

__all__ = ["Engine"]


class Engine:
    """Answers questions over one snapshot of an index; safe to share between threads."""

    def __init__(
        self, index: "SearchIndex", encoder: "QueryEncoder", settings: Settings, reranker: "Reranker | None" = None
    ) -> None:
        """Takes an opened index, which the engine closes.

        Args:
            index: the snapshot, of whatever engine.
            encoder: the encoder of its vectors.
            settings: how it is asked; those that it was built with are its own.
            reranker: scores the best passages again, where there is one.
        """
        self.index = index
        """The opened snapshot."""
        self.settings = structs.replace(settings, **structs.asdict(index.info.settings))
        """Settings that the snapshot was built with, and that it is asked with."""
        self.calibration, self.calibration_problem = load_calibration(
            index.folder, index.info.encoder.model, self.settings
        )
        """The calibration of confidence, or why there is none."""
        self.searcher = Searcher.from_index(index, encoder, self.settings, reranker)
        """All that questions are asked with."""
        self.collection = CollectionView(index)
        """The documents of the snapshot."""
        self._scoring = Scoring(self.calibration, scorer(self.settings.highlights), index.info.id)
        self._closes_index = True

    @classmethod
    def open(
        cls,
        index: str | Path,
        settings: Settings | None = None,
        encoder: "QueryEncoder | None" = None,
        reranker: "Reranker | None" = None,
    ) -> "Engine":
        """Opens the current snapshot of an index.

        Args:
            index: folder of the index.
            settings: how it is asked; those that it was built with have to agree.
            encoder: its encoder, where that is loaded already.
            reranker: the cross-encoder that the settings name, where that is loaded already.

        Raises:
            IndexMissingError, IndexDamagedError: there is no index, or it cannot be used.
            IndexMismatchError: it was built with other settings than the ones given, or by another format version.
            RerankerError: the cross-encoder that the settings name cannot be used.
        """
        wanted = settings or Settings()

        def opened(found: "SearchIndex") -> "Engine":
            _check_settings(found.info.settings, wanted)
            loaded = encoder or OnnxEncoder.open(found.encoder_folder)  # here, for pruning removes its folder too
            return cls(found, loaded, wanted, reranker or _reranker(wanted))

        return open_index(index, opened)

    def with_settings(self, **changes: Any) -> "Engine":  # noqa: ANN401
        """The same snapshot asked with other settings, as long as this engine is open; closing it closes nothing."""
        settings = structs.replace(self.settings, **changes)
        same = settings.reranker == self.settings.reranker
        reranker = self.searcher.reranker if same else _reranker(settings)
        other = Engine(self.index, self.searcher.encoder, settings, reranker)
        other._closes_index = False
        return other

    @property
    def info(self) -> "SnapshotInfo":
        """Facts about the snapshot."""
        return self.index.info

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
        self.check(question, k, max_tokens)  # the index checks filters where it uses them
        query = read_query(question, self.searcher)
        whole, *halves = (self._find(each, k, filters) for each in (query, *query.halves))
        answer = compose(whole, halves, k, max_tokens, self._scoring)
        total = round((time.perf_counter() - started) * 1000, 3)
        return structs.replace(answer, timings_ms=structs.replace(answer.timings_ms, total=total))

    def _find(self, query: Query, k: int, filters: Filters | None) -> Found:
        results = retrieve(query, filters, max(k, FIELD), self.searcher)
        if self.searcher.reranker is not None:
            results = rerank(query, results, self.searcher.reranker, self.searcher)
        return Found(query, results, weigh(query, results, k, self.index))

    def check(self, question: str, k: int = 5, max_tokens: int | None = None, filters: Filters | None = None) -> None:
        """Checks that a question can be asked, without asking it; arguments as of `ask`.

        Raises:
            QuestionError: the question, `k`, `max_tokens` or a filter cannot be used.
        """
        check_question(question, self.settings.max_question_characters)
        self.check_options(k, max_tokens, filters)

    def check_options(self, k: int = 5, max_tokens: int | None = None, filters: Filters | None = None) -> None:
        """Checks the options of any question; arguments and errors as of `check`."""
        most = self.settings.max_k
        if not 1 <= k <= most:
            raise QuestionError(f"k is {k}: it must be from 1 to {most}.")
        if max_tokens is not None and max_tokens < 1:
            raise QuestionError(f"max_tokens is {max_tokens}: it must be 1 or more.")
        if filters is not None and filters != Filters():
            self.index.check_filters(filters)

    def verify(self, answer: Answer) -> Verification:
        """Checks an answer's citations against the documents of this snapshot, which are found by their paths."""

        def find(citation: Citation) -> list[Document]:
            document = self.index.document(document_id(citation.document))
            return [document] if document is not None else []

        return verify(answer, find, same_snapshot=answer.snapshot == self.info.id)

    def source_states(self, answer: Answer) -> list[SourceState]:
        """The cited source files that are no longer what was indexed, in order of rank."""
        return source_states(answer, self.info.source_folders)

    def close(self) -> None:
        """Closes the files; nothing can be asked afterwards."""
        if self._closes_index:
            self.index.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _reranker(settings: Settings) -> "Reranker | None":
    return CrossEncoderReranker.open(settings.reranker) if settings.reranker else None


def _check_settings(built: IndexSettings, settings: Settings) -> None:
    """Raises IndexMismatchError where settings that were given are not those of the index."""
    for name in IndexSettings.__struct_fields__:
        there, wanted = getattr(built, name), getattr(settings, name)
        if name in settings.given and wanted not in {there, "auto"}:
            raise IndexMismatchError(
                f"The index was built with {name} {there}, the settings say {wanted}: rebuild it with "
                "`rag-qa index`, or drop the setting."
            )
