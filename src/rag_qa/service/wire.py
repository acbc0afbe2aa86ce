"""Types of requests and responses that differ from the engine's own."""

from typing import Annotated, Any

from msgspec import Meta, Struct

from rag_qa.confidence import Calibration
from rag_qa.engine import Engine
from rag_qa.filters import Filters
from rag_qa.manifest import Counts, EncoderRecord
from rag_qa.types import Answer, DocumentInfo, FailedFile, Heading

__all__ = [
    "AskRequest",
    "Batch",
    "BatchRequest",
    "BatchResult",
    "CalibrationView",
    "DocumentDetail",
    "DocumentEntry",
    "DocumentPage",
    "Health",
    "Rollback",
    "RolledBack",
    "SnapshotView",
]

Question = Annotated[str, Meta(description="In words; at most 2,000 characters unless configured otherwise.")]
K = Annotated[int, Meta(description="How many passages, from 1 to 100 unless configured otherwise.")]
MaxTokens = Annotated[
    int | None,
    Meta(description="Budget for the passages' cl100k_base tokens together; those that do not fit are left out."),
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
        list[AskRequest], Meta(min_length=1, description="At most 100 questions unless configured otherwise.")
    ]


class BatchResult(Struct, frozen=True, kw_only=True):
    """What became of a question of a batch: its answer, or what is wrong with it."""

    answer: Answer | None = None
    problem: str | None = None


class Batch(Struct, frozen=True):
    """The results of a batch, in the order of its questions."""

    snapshot: str
    """The id of the snapshot that all answers are of."""
    results: list[BatchResult]


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
    def of(cls, info: DocumentInfo, passages: int) -> "DocumentEntry":
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
    def of_snapshot(cls, snapshot: str, info: DocumentInfo, passages: int) -> "DocumentDetail":
        """The detail of a document with so many passages."""
        return cls(
            **_entry_fields(info, passages),
            snapshot=snapshot,
            reader=info.reader,
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


class CalibrationView(Struct, frozen=True):
    """What confidence was fitted on."""

    source: str
    questions: int
    threshold: float
    """The confidence from which on a question counts as answered."""

    @classmethod
    def of(cls, calibration: Calibration) -> "CalibrationView":
        """What of a calibration concerns a client."""
        return cls(calibration.source, calibration.questions, calibration.threshold)


class SnapshotView(Struct, frozen=True, kw_only=True):
    """The snapshot that answers."""

    id: str
    created: str
    encoder: EncoderRecord
    counts: Counts
    failed: tuple[FailedFile, ...]
    calibration: CalibrationView | None
    """What confidence is computed by; null where it is null."""
    calibration_problem: str | None
    """Why there is no confidence."""

    @classmethod
    def of(cls, engine: Engine) -> "SnapshotView":
        """What concerns a client of an engine and its snapshot."""
        manifest, calibration = engine.manifest, engine.calibration
        return cls(
            id=manifest.id,
            created=manifest.created,
            encoder=manifest.encoder,
            counts=manifest.counts,
            failed=tuple(engine.failed()),
            calibration=CalibrationView.of(calibration) if calibration else None,
            calibration_problem=engine.calibration_problem,
        )


class Rollback(Struct, frozen=True, forbid_unknown_fields=True):
    """Which snapshot is to answer."""

    snapshot: Annotated[str, Meta(description="`previous`, or the beginning of a snapshot's name.")] = "previous"


class RolledBack(Struct, frozen=True):
    """Names of snapshots."""

    current: str
    """The one that answers now."""
    before: str | None
    """The one that answered."""


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
