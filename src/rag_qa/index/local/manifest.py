"""The manifest of a snapshot: manifest.json.

The name of a snapshot's folder is <id>-<build>. <id> is the digest of what was indexed; <build> is the beginning of the
digest of manifest.json, so that the name vouches for the manifest, and the manifest for all other files.
"""

import errno
import hashlib
from pathlib import Path

import msgspec
from msgspec import Struct, field

from rag_qa.errors import IndexDamagedError, IndexMismatchError, repair
from rag_qa.files import FileRecord
from rag_qa.index.records import FORMAT, Counts, EncoderRecord, SnapshotInfo
from rag_qa.schemas import json_decoder
from rag_qa.settings import IndexSettings

__all__ = ["FORMAT", "MANIFEST", "Graph", "Manifest", "Segment", "read_manifest", "segment_name", "write_manifest"]

MISSING = {errno.ENOENT, errno.ENOTDIR, errno.EIO}
"""Numbers of errors that speak of the file; others, such as of permissions, are no damage."""
MANIFEST = "manifest.json"


class Graph(Struct, frozen=True):
    """Parameters and measured recall of the graph over a segment's vectors."""

    links: int
    effort: int
    """Candidates that a search holds: efSearch."""
    recall: float
    """recall@100 against exact search, mean over sentences of the segment as questions, when it was built."""


class Segment(Struct, frozen=True):
    """An immutable part of the collection."""

    number: int
    passages: int
    """Number of passages, deleted ones included."""
    terms: int = field(name="words")
    """Sum of their lengths, as BM25 counts them."""
    graph: Graph | None = None

    @property
    def name(self) -> str:
        """Name of its folder."""
        return segment_name(self.number)


def segment_name(number: int) -> str:
    """Name of the folder of a segment."""
    return f"{number:06}"


class Manifest(Struct, frozen=True, kw_only=True):
    """Contents of a snapshot; `files` has every file but the manifest itself."""

    format: int = FORMAT
    id: str
    sequence: int
    """Later snapshots have larger numbers, whatever the clock says."""
    created: str
    working_directory: str
    paths: tuple[str, ...] = ()
    """Paths that were indexed, as they were named in the working directory; empty where they are not known."""
    settings: IndexSettings
    encoder: EncoderRecord
    counts: Counts
    segments: tuple[Segment, ...]
    files: dict[str, FileRecord] = {}

    def info(self, name: str) -> SnapshotInfo:
        """The facts that do not depend on how a snapshot is kept.

        Args:
            name: the name of its folder, in which the digest of this manifest stands.
        """
        return SnapshotInfo(
            id=self.id,
            name=name,
            created=self.created,
            counts=self.counts,
            encoder=self.encoder,
            settings=self.settings,
            working_directory=self.working_directory,
            paths=self.paths,
            approximate=any(segment.graph for segment in self.segments),
        )


class _Version(Struct, frozen=True):
    """All that is known of a manifest of another version."""

    format: int


_VERSIONS = json_decoder(_Version)
_MANIFESTS = json_decoder(Manifest)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a snapshot; only its own bytes are checked.

    Raises:
        IndexDamagedError: it is missing or altered.
        IndexMismatchError: it was written by another format version.
    """
    path = folder / MANIFEST
    try:
        data = path.read_bytes()
        version = _VERSIONS.decode(data).format
        if version != FORMAT:
            raise IndexMismatchError(
                f"The snapshot {folder} has format {version}, this version of rag_qa reads format {FORMAT}: use the "
                f"version that wrote it, or rebuild the index with `rag-qa index PATH --index {folder.parent.parent}`.",
                found=version,
            )
        manifest = _MANIFESTS.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise IndexDamagedError(f"{path} is damaged", repair(folder.parent.parent)) from None
    except OSError as error:
        if error.errno not in MISSING:
            raise
        raise IndexDamagedError(f"{path} is missing or cannot be read", repair(folder.parent.parent)) from None
    if folder.name != _folder_name(manifest.id, data):
        raise IndexDamagedError(f"{path} is not what was written", repair(folder.parent.parent))
    return manifest


def write_manifest(folder: Path, manifest: Manifest) -> str:
    """Writes the manifest into a snapshot's folder; returns the name that the folder must have."""
    data = msgspec.json.format(msgspec.json.encode(manifest))
    (folder / MANIFEST).write_bytes(data)
    return _folder_name(manifest.id, data)


def _folder_name(identity: str, manifest: bytes) -> str:
    return f"{identity}-{hashlib.sha256(manifest).hexdigest()[:8]}"
