"""The on-disk format: immutable snapshots, one of them current.

INDEX/current                   one line: the folder name of the snapshot that answers
INDEX/snapshots/<id>-<build>/   manifest.json, documents.sqlite, segments/<name>/{vectors.faiss,sentences.npy,
                                sentence_starts.npy,lexical/}
INDEX/encoder/<digest>/         the query encoder (query_encoder.py)
INDEX/cache/                    vectors by encoder and text (cache.py)
INDEX/lock                      held by the process that writes

A snapshot is written beside the live one, synced and checked, then made current by one atomic rename.
"""

import contextlib
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from filelock import FileLock
from msgspec import Struct

from rag_qa.errors import IndexDamagedError, IndexMismatchError, IndexMissingError
from rag_qa.files import FileRecord, is_whole, named_path, record_file, sync, write_atomically
from rag_qa.settings import IndexSettings

__all__ = [
    "DOCUMENTS",
    "FORMAT",
    "LEXICAL",
    "VECTORS",
    "Counts",
    "EncoderRecord",
    "Manifest",
    "Segment",
    "Snapshot",
    "new_snapshot",
    "publish",
    "segment_folder",
    "writing",
]

FORMAT = 2
KEPT_SNAPSHOTS = 3
MANIFEST, DOCUMENTS, SEGMENTS = "manifest.json", "documents.sqlite", "segments"
VECTORS, LEXICAL = "vectors.faiss", "lexical"
FOLDER_NAME = re.compile(r"[0-9a-f]{16}-[0-9a-f]{8}")


class EncoderRecord(Struct, frozen=True):
    """The encoder that made the vectors."""

    name: str
    digest: str
    dimension: int
    window: int


class Counts(Struct, frozen=True):
    """How much there is; tokens are those of cl100k_base."""

    documents: int
    passages: int
    tokens: int


class Segment(Struct, frozen=True):
    """An immutable part of the search structures."""

    name: str
    passages: int


class Manifest(Struct, frozen=True, kw_only=True):
    """What a snapshot is made of; `files` holds every file but the manifest itself."""

    format: int = FORMAT
    id: str
    build: str
    created: str
    working_directory: str
    settings: IndexSettings
    encoder: EncoderRecord
    counts: Counts
    segments: tuple[Segment, ...]
    files: dict[str, FileRecord] = {}

    @property
    def source_folders(self) -> list[Path]:
        """Where sources with a relative path may lie: from where the index was built, or from here."""
        return [named_path(self.working_directory), Path()]

    @property
    def folder_name(self) -> str:
        """`<id>-<build>`."""
        return f"{self.id}-{self.build}"


class Snapshot(Struct, frozen=True):
    """An opened snapshot: where it lies and what it is made of."""

    index: Path
    folder: Path
    manifest: Manifest

    @classmethod
    def open_current(cls, index: Path) -> "Snapshot":
        """Opens the snapshot that answers.

        Raises:
            IndexMissingError: nothing was indexed there.
            IndexDamagedError: a file is missing or truncated.
            IndexMismatchError: it was written by another format version.
        """
        current = index / "current"
        if not current.is_file():
            raise IndexMissingError(
                f"There is no index in “{index}”: build it with `rag-qa index PATH --index {index}`."
            )
        name = current.read_text("utf-8", errors="replace").strip()
        if not FOLDER_NAME.fullmatch(name):
            raise IndexDamagedError(f"{current} names no snapshot: rebuild the index with `rag-qa index`.")
        return cls.open(index, index / "snapshots" / name)

    @classmethod
    def open(cls, index: Path, folder: Path) -> "Snapshot":
        """Opens one snapshot, checking its manifest and the size of every file; errors as `open_current`."""
        path = folder / MANIFEST
        try:
            data = path.read_bytes()
            version = msgspec.json.decode(data, type=dict[str, msgspec.Raw]).get("format", msgspec.Raw(b"0"))
            if bytes(version) != b"%d" % FORMAT:
                raise IndexMismatchError(
                    f"The index in “{index}” has format {bytes(version).decode()}, this version of rag_qa reads "
                    f"format {FORMAT}: rebuild it with `rag-qa index`."
                )
            manifest = msgspec.json.decode(data, type=Manifest)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            raise IndexDamagedError(f"{path} is missing or damaged: rebuild the index with `rag-qa index`.") from None
        for name, record in manifest.files.items():
            file = folder / name
            if not file.is_file() or file.stat().st_size != record.size:
                raise IndexDamagedError(f"{file} is missing or truncated: rebuild the index with `rag-qa index`.")
        return cls(index, folder, manifest)

    def is_whole(self) -> bool:
        """Whether every file is byte for byte what was written; reads them all."""
        return is_whole(self.folder, self.manifest.files)

    @property
    def documents(self) -> Path:
        """The file of documents and passages."""
        return self.folder / DOCUMENTS

    @property
    def encoder(self) -> Path:
        """The folder of the query encoder."""
        return self.index / "encoder" / self.manifest.encoder.digest

    @property
    def segment(self) -> Path:
        """The folder of the one segment."""
        (segment,) = self.manifest.segments
        return segment_folder(self.folder, segment)


def segment_folder(folder: Path, segment: Segment) -> Path:
    """Where a segment of the snapshot in `folder` lies."""
    return folder / SEGMENTS / segment.name


@contextmanager
def writing(index: Path) -> Iterator[None]:
    """Holds the index for the one process that writes; another one waits. The lock ends with its process."""
    index.mkdir(parents=True, exist_ok=True)
    with FileLock(index / "lock"):
        yield


@contextmanager
def new_snapshot(index: Path) -> Iterator[Path]:
    """An empty folder to write a snapshot to; removed again unless `publish` has moved it. Needs `writing`."""
    for left_over in (index / "snapshots").glob(".building-*"):  # by a run that was killed
        shutil.rmtree(left_over, ignore_errors=True)
    folder = index / "snapshots" / f".building-{secrets.token_hex(4)}"
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def publish(index: Path, folder: Path, manifest: Manifest) -> Snapshot:
    """Seals a written folder with its manifest, checks it, makes it current and removes the oldest snapshots."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith(".tantivy")]
    records = {path.relative_to(folder).as_posix(): record_file(path) for path in files}
    manifest = msgspec.structs.replace(manifest, files=records)
    (folder / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest)))
    for path in [*files, folder / MANIFEST, *(path for path in folder.rglob("*") if path.is_dir()), folder]:
        sync(path)
    final = index / "snapshots" / manifest.folder_name
    folder.rename(final)
    sync(final.parent)
    snapshot = Snapshot.open(index, final)
    write_atomically(index / "current", f"{manifest.folder_name}\n")
    _prune(index, keep=manifest.folder_name)
    return snapshot


def _prune(index: Path, keep: str) -> None:
    """Removes all but the newest snapshots; what cannot be opened may be of another version and stays."""
    found: list[tuple[str, Path]] = []
    for folder in (index / "snapshots").iterdir():
        if FOLDER_NAME.fullmatch(folder.name) and folder.name != keep:
            with contextlib.suppress(IndexDamagedError, IndexMismatchError):
                found.append((Snapshot.open(index, folder).manifest.created, folder))
    for _, folder in sorted(found, reverse=True)[KEPT_SNAPSHOTS - 1 :]:
        shutil.rmtree(folder, ignore_errors=True)
