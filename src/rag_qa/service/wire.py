"""Types of requests and responses that differ from the engine's own."""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from rag_qa.answering.citations import check_span, cite_span
from rag_qa.answering.confidence import Calibration
from rag_qa.engine import Engine
from rag_qa.filters import Filters
from rag_qa.index.records import Counts, EncoderRecord
from rag_qa.schemas import shown
from rag_qa.types import Answer, Citation, DocumentInfo, FailedFile, Heading

__all__ = [
    "MOST_LISTED",
    "MOST_SKIPPED",
    "MOST_TO_VERIFY",
    "AskRequest",
    "Batch",
    "BatchRequest",
    "BatchResult",
    "CalibrationView",
    "DocumentDetail",
    "DocumentEntry",
    "DocumentPage",
    "DocumentStretch",
    "Health",
    "JobEvent",
    "ListRequest",
    "ReadRequest",
    "Rollback",
    "RolledBack",
    "SnapshotView",
    "VerifyRequest",
]

MOST_LISTED = 1000
MOST_SKIPPED = 2**53 - 1  # the largest whole number that JSON is sure to hold
MOST_TO_VERIFY = 4_000_000  # bytes of an answer, which is longer than a question

Question = Annotated[
    str,
    shown(
        "In words; at most 2,000 characters unless configured otherwise.",
        minLength=1,
        maxLength=2000,
        format="question",
    ),
]
K = Annotated[int, shown("How many passages, from 1 to 100 unless configured otherwise.", minimum=1, maximum=100)]
MaxTokens = Annotated[
    int | None,
    shown("Budget for the passages' cl100k_base tokens together; those that do not fit are left out.", minimum=1),
]


class AskRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """A question."""

    question: Question
    k: K = 5
    max_tokens: MaxTokens = None
    filters: Filters | None = None


class BatchRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Several questions."""

    questions: Annotated[
        list[AskRequest], Meta(min_length=1), shown("At most 100 questions unless configured otherwise.", maxItems=100)
    ]


class BatchResult(Struct, frozen=True, kw_only=True):
    """The result of a question of a batch: its answer, or a problem."""

    answer: Answer | None = None
    problem: str | None = None


class Batch(Struct, frozen=True):
    """The results of a batch, in the order of its questions."""

    snapshot: str
    """The id of the snapshot that all answers are of."""
    results: list[BatchResult]


class ReadRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """A stretch of a document, in Unicode code points; a citation's `id`, `start` and `end` are its quote."""

    id: Annotated[str, Meta(description="A document's id: the `id` of a citation, or of a document that is listed.")]
    start: Annotated[int, Meta(description="The first character, counted from 0.")] = 0
    end: Annotated[
        int | None, Meta(description="The character after the last one; by default as much as is given at once.")
    ] = None


class VerifyRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """An answer whose citations are to be checked."""

    answer: Annotated[Answer, Meta(description="An answer, unchanged as it was given.")]


class ListRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """A stretch of the list of documents."""

    offset: Annotated[int, Meta(ge=0, le=MOST_SKIPPED, description="How many documents to skip.")] = 0
    limit: Annotated[int, Meta(ge=1, le=MOST_LISTED, description="How many documents to list, at most.")] = 50


class DocumentEntry(Struct, frozen=True, kw_only=True):
    """A document as it is listed."""

    id: str
    document: str
    title: str
    source: str
    sha256: str
    characters: int
    pages: int
    passages: int
    metadata: dict[str, Any]

    @classmethod
    def from_info(cls, info: DocumentInfo, passages: int) -> "DocumentEntry":
        """The entry of a document with so many passages."""
        return cls(**_entry_fields(info, passages))


class DocumentDetail(DocumentEntry, frozen=True, kw_only=True):
    """A document with its structure; offsets are code points of its text."""

    snapshot: str
    """The id of the snapshot that this is of."""
    reader: str
    record: int | None
    page_unit: str
    page_starts: tuple[int, ...]
    headings: tuple[Heading, ...]

    @classmethod
    def from_info_of(cls, snapshot: str, info: DocumentInfo, passages: int) -> "DocumentDetail":
        """The detail of a document with so many passages."""
        return cls(
            **_entry_fields(info, passages),
            snapshot=snapshot,
            reader=info.parser,
            record=info.record,
            page_unit=info.page_unit,
            page_starts=info.pages,
            headings=info.headings,
        )


class DocumentPage(Struct, frozen=True, kw_only=True):
    """A stretch of the list of documents, sorted by path."""

    snapshot: str
    """The id of the snapshot that this is of: pages of different ones do not fit together."""
    total: int
    offset: int
    documents: list[DocumentEntry]

    @classmethod
    def from_engine(cls, engine: Engine, offset: int, limit: int) -> "DocumentPage":
        """Lists `limit` documents of an engine, from the `offset`-th on."""
        shown = [
            DocumentEntry.from_info(info, passages) for info, passages in engine.collection.documents(offset, limit)
        ]
        total = engine.info.counts.documents
        return cls(snapshot=engine.info.id, total=total, offset=offset, documents=shown)


class DocumentStretch(Struct, frozen=True, kw_only=True):
    """A stretch of a document's text, word for word, with the citation of exactly this stretch."""

    snapshot: str
    """The id of the snapshot that this is of."""
    text: str
    citation: Annotated[Citation, Meta(description="Page, line and section are those of `start`.")]
    characters: Annotated[int, Meta(description="Length of the whole document.")]
    cut: Annotated[bool, Meta(description="Whether there is more of what was wanted: read on from the citation's end.")]

    @classmethod
    def from_engine(
        cls, engine: Engine, document_id: str, start: int, end: int | None, longest: int
    ) -> "DocumentStretch":
        """The stretch from `start` to `end`, by default the document's, or as much of it as may be given.

        Raises:
            NotFoundError: no document has this id.
            InputError: the document has no such stretch.
        """
        document = engine.collection.document(document_id)
        wanted = len(document.text) if end is None else end
        check_span(document, start, wanted)
        stop = min(wanted, start + longest)
        return cls(
            snapshot=engine.info.id,
            text=document.text[start:stop],
            citation=cite_span(document, start, stop),
            characters=len(document.text),
            cut=stop < wanted,
        )


class CalibrationView(Struct, frozen=True):
    """The calibration of confidence."""

    source: str
    questions: int
    threshold: float
    """The confidence from which on a question counts as answered."""

    @classmethod
    def from_calibration(cls, calibration: Calibration) -> "CalibrationView":
        """The part of a calibration that concerns a client."""
        return cls(calibration.source, calibration.questions, calibration.threshold)


class SnapshotView(Struct, frozen=True, kw_only=True):
    """The snapshot that answers."""

    id: str
    created: str
    encoder: EncoderRecord
    counts: Counts
    failed: tuple[FailedFile, ...]
    calibration: CalibrationView | None
    """The calibration of confidence; null where there is none."""
    calibration_problem: str | None
    """The reason why there is no confidence."""

    @classmethod
    def from_engine(cls, engine: Engine) -> "SnapshotView":
        """The part of an engine and its snapshot that concerns a client."""
        info, calibration = engine.info, engine.calibration
        return cls(
            id=info.id,
            created=info.created,
            encoder=info.encoder,
            counts=info.counts,
            failed=tuple(engine.collection.failed()),
            calibration=CalibrationView.from_calibration(calibration) if calibration else None,
            calibration_problem=engine.calibration_problem,
        )


class Rollback(Struct, frozen=True, forbid_unknown_fields=True):
    """The snapshot that is to answer."""

    snapshot: Annotated[str, Meta(description="`previous`, or the beginning of a snapshot's name.")] = "previous"


class RolledBack(Struct, frozen=True):
    """Names of snapshots."""

    current: str
    """The one that answers now."""
    before: str | None
    """The one that answered."""


class JobEvent(Struct, frozen=True):
    """A server-sent event of a job."""

    event: Literal["running", "done", "failed"]
    """The state of the job."""
    data: str
    """The job, as JSON."""


class Health(Struct, frozen=True):
    """`ok`."""

    status: str


def _entry_fields(info: DocumentInfo, passages: int) -> dict[str, Any]:
    return {
        "id": info.id,
        "document": info.path,
        "title": info.title,
        "source": info.source,
        "sha256": info.sha256,
        "characters": info.characters,
        "pages": len(info.pages),
        "passages": passages,
        "metadata": info.metadata,
    }
