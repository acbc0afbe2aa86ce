"""The records that cross the seam between an index and all that asks it or fills it; in shapes as in protocol.py."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from rag_qa.files import named_path
from rag_qa.settings import IndexSettings
from rag_qa.types import Precision

__all__ = [
    "FORMAT",
    "Candidates",
    "Counts",
    "Difference",
    "EncoderRecord",
    "Entry",
    "Pruned",
    "SearchOptions",
    "SegmentDetails",
    "SnapshotDetails",
    "SnapshotInfo",
    "Vectors",
    "Verified",
]

FORMAT = 7
"""Version of all that is stored, and part of every snapshot's id."""


class Counts(Struct, frozen=True):
    """Sizes of a collection; tokens are those of cl100k_base."""

    documents: int
    passages: int
    tokens: int


class EncoderRecord(Struct, frozen=True):
    """The encoder that made the vectors."""

    name: str
    digest: str
    """Digest of the model and of the precision that it computed in."""
    model: str
    """Digest of the model alone."""
    precision: Precision
    dimension: int
    window: int


class SnapshotInfo(Struct, frozen=True, kw_only=True):
    """Facts about a snapshot that do not depend on the engine that keeps it."""

    id: str
    """Digest of documents, passages, encoder and settings."""
    name: str
    """Unique among the snapshots of an index: two builds of the same content have one id and two names."""
    created: str
    """Time of the build, ISO 8601."""
    counts: Counts
    encoder: EncoderRecord
    settings: IndexSettings
    working_directory: str
    """Folder in which the sources were named."""
    paths: tuple[str, ...] = ()
    """The paths that were indexed, as they were named; empty where they are not known."""
    approximate: bool = False
    """True if vectors are searched through a graph, which may miss some of the nearest."""

    @property
    def source_folders(self) -> list[Path]:
        """Folders in which sources with a relative path may lie: that of the build, and the current one."""
        return [named_path(self.working_directory), Path()]


class SearchOptions(Struct, frozen=True, kw_only=True):
    """Choice of the candidates that a search takes, and of the scores that it gives them."""

    depth: int
    """Rows that each search of each variant gives, at most."""
    dense: bool = True
    """True if the rows with the largest inner products become candidates."""
    bm25: bool = True
    """True if the rows with the highest BM25 scores become candidates."""
    sentences: bool = True
    """True if a passage has the inner product of its most similar sentence, where that exceeds its own."""
    exact: bool = False
    """True if every vector is compared, also where there is a graph."""
    without: tuple[int, ...] = ()
    """Rows that are no candidates."""


class Candidates(Struct, frozen=True, kw_only=True):
    """The union of what all searches found, with every score of every row; nothing is rounded."""

    rows: NDArray[np.int64]
    """Shape (n,), ascending, each once."""
    dense: NDArray[np.float32]
    """Inner products of shape (m, n), whichever search found the row."""
    bm25: NDArray[np.float64]
    """BM25 scores of shape (m, n); 0 for a row that is not among the variant's `depth` best."""
    coverage: NDArray[np.float64]
    """Shape (m, 2, n): the share of the variant's terms that the passage holds, and that it holds with its neighbours
    in the document."""
    dense_ms: float = 0.0
    """Milliseconds of the searches by vectors."""
    bm25_ms: float = 0.0
    """Milliseconds of the searches by terms."""

    @classmethod
    def none(cls, variants: int) -> "Candidates":
        """Candidates of a search that found nothing, for so many variants."""
        return cls(
            rows=np.zeros(0, np.int64),
            dense=np.zeros((variants, 0), np.float32),
            bm25=np.zeros((variants, 0)),
            coverage=np.zeros((variants, 2, 0)),
        )


class Vectors(Struct, frozen=True):
    """Unit vectors of consecutive passages in context, and of all their sentences in order."""

    passages: NDArray[np.float32]
    """Shape (n, d)."""
    sentences: NDArray[np.float16]
    """Shape (sentences of all passages together, d)."""
    counts: Sequence[int]
    """The number of sentences of each passage."""


class Entry(Struct, frozen=True, kw_only=True):
    """A snapshot in a list."""

    name: str
    current: bool
    sequence: int | None = None
    created: str | None = None
    counts: Counts | None = None
    segments: int | None = None
    bytes: int | None = None
    """Size of all its files, those that it shares with other snapshots among them."""
    problem: str | None = None
    """The reason why it cannot be read."""


class SegmentDetails(Struct, frozen=True, kw_only=True):
    """A part of a snapshot."""

    name: str
    passages: int
    recall: float | None = None
    """Measured recall@100 of its graph; None where every vector is compared."""
    effort: int | None = None
    """Candidates that a search of the graph holds (efSearch)."""


class SnapshotDetails(Struct, frozen=True, kw_only=True):
    """Details of a snapshot, for whoever looks after the index."""

    name: str
    sequence: int
    info: SnapshotInfo
    segments: tuple[SegmentDetails, ...]
    files: int
    bytes: int
    manifest: Struct
    """All that the engine wrote of the snapshot, to be shown as JSON."""


class Verified(Struct, frozen=True, kw_only=True):
    """The result of checking a snapshot byte for byte."""

    name: str
    files: int = 0
    damaged: list[str] = []
    """Paths of files that are missing or altered."""
    strangers: list[str] = []
    """Paths of files that do not belong to it; they do no harm."""
    problem: str | None = None
    """The reason why it could not be checked: another version wrote it."""

    @property
    def whole(self) -> bool:
        """Returns whether it can be answered from."""
        return not self.damaged and self.problem is None


class Difference(Struct, frozen=True, kw_only=True):
    """The documents that differ between two snapshots, as sorted paths."""

    before: str
    after: str
    settings: dict[str, list[str]]
    """Settings and encoder that differ, each with both values."""
    added: list[str]
    changed: list[str]
    """Documents with another text, other metadata or other passages."""
    removed: list[str]


class Pruned(Struct, frozen=True):
    """Names of the snapshots that were removed, and of those that are left."""

    removed: list[str]
    kept: list[str]
