"""The on-disk format: immutable snapshots, one of them current. What writes them is in commit.py.

INDEX/current                   one line: the folder name of the snapshot that answers
INDEX/snapshots/<id>-<build>/   manifest.json, contents.sqlite (document_table.py), rows/<segment>.npy,
                                acronyms.msgpack (text/acronyms/lexicon.py), segments/<segment>/ (segment/segment.py);
                                where passages are deleted: tombstones.msgpack, ballast/
INDEX/encoder/<digest>/         the encoder, exported (models/onnx_encoder.py)
INDEX/calibration.json          a confidence of the index's own (answering/confidence.py)
INDEX/cache/                    vectors by encoder and text (indexer/vector_cache.py)
INDEX/ablation/                 indexes of variants (evaluation/compare/ablation.py)
INDEX/lock                      held by the process that writes snapshots
INDEX/current.lock              held for a moment, while another snapshot is made current and old ones are removed

A snapshot is written beside the live one, synced and checked, then made current by one atomic rename. Segments that two
snapshots share are hard links.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from rag_qa.errors import IndexDamagedError, IndexMissingError, SnapshotError, repair
from rag_qa.files import is_whole
from rag_qa.index.local.manifest import Manifest, read_manifest

__all__ = [
    "Snapshot",
    "SnapshotFolder",
    "current_name",
    "open_current",
    "snapshot_folders",
    "stored",
]

CONTENTS, SEGMENTS, ROWS = "contents.sqlite", "segments", "rows"
TOMBSTONES, BALLAST, ACRONYMS = "tombstones.msgpack", "ballast", "acronyms.msgpack"
FOLDER_NAME = re.compile(r"[0-9a-f]{16}-[0-9a-f]{8}")
CHECKED_BYTES = 16_000_000
"""Files up to this size are digested on every open: some milliseconds."""
ALWAYS_CHECKED = ("graph.faiss", ".npy")
"""Graphs are followed blindly by native code, where a wrong number could end the process; arrays say what is whose."""

Opened = TypeVar("Opened")


class SnapshotFolder(Struct, frozen=True):
    """Paths of the parts of a snapshot."""

    folder: Path

    @property
    def contents(self) -> Path:
        """File of the table of files and documents."""
        return self.folder / CONTENTS

    @property
    def tombstones(self) -> Path:
        """Statistics of deleted passages, by segment."""
        return self.folder / TOMBSTONES

    @property
    def ballast(self) -> Path:
        """Index of the terms that cancel those of deleted passages."""
        return self.folder / BALLAST

    @property
    def acronyms(self) -> Path:
        """The acronyms of the collection with their long forms."""
        return self.folder / ACRONYMS

    def segment(self, name: str) -> Path:
        """The folder of a segment."""
        return self.folder / SEGMENTS / name

    @property
    def row_folder(self) -> Path:
        """Folder of the rows of segments."""
        return self.folder / ROWS

    def rows(self, name: str) -> Path:
        """File of the row of each passage of a segment among all passages, -1 for deleted ones."""
        return self.row_folder / f"{name}.npy"


class Snapshot(SnapshotFolder, frozen=True):
    """An opened snapshot: its folder and its manifest."""

    index: Path
    manifest: Manifest

    @classmethod
    def open_current(cls, index: Path) -> "Snapshot":
        """Opens the snapshot that answers; errors as `current_name` and `open`."""
        return open_current(index, lambda snapshot: snapshot)

    @classmethod
    def open(cls, index: Path, folder: Path) -> "Snapshot":
        """Opens one snapshot, checking its manifest, the size of every file and the bytes of those that steer reading.

        Raises:
            IndexDamagedError: a file is missing, truncated or altered.
            IndexMismatchError: it was written by another format version.
        """
        manifest = read_manifest(folder)
        for name, record in manifest.files.items():
            file = folder / name
            if not is_whole(file, record, by_size=True):
                raise IndexDamagedError(f"{file} is missing or truncated", repair(index))
            if (record.size <= CHECKED_BYTES or name.endswith(ALWAYS_CHECKED)) and not is_whole(file, record):
                raise IndexDamagedError(f"{file} is not what was written", repair(index))
        return cls(folder, index, manifest)

    @property
    def name(self) -> str:
        """Name of its folder."""
        return self.folder.name

    @property
    def encoder(self) -> Path:
        """The folder of the exported encoder."""
        return self.index / "encoder" / self.manifest.encoder.digest


def current_name(index: Path) -> str:
    """The folder name of the snapshot that answers.

    Raises:
        IndexMissingError: nothing was indexed there.
        IndexDamagedError: `current` is missing or names no snapshot.
    """
    current = index / "current"
    if not current.is_file():
        if any(snapshot_folders(index)):
            raise IndexDamagedError(f"{current} is missing", repair(index))
        raise IndexMissingError(f"There is no index in “{index}”: build it with `rag-qa index PATH --index {index}`.")
    name = current.read_text("utf-8", errors="replace").strip()
    if not FOLDER_NAME.fullmatch(name):
        raise IndexDamagedError(f"{current} names no snapshot", repair(index))
    return name


def open_current(index: Path, opening: Callable[[Snapshot], Opened]) -> Opened:
    """Opens the current snapshot and passes it to a function that opens more of it.

    Should another one become current meanwhile, and this one be removed, that one is opened.
    """
    while True:
        name = current_name(index)
        try:
            return opening(Snapshot.open(index, index / "snapshots" / name))
        except IndexDamagedError:
            if current_name(index) == name:
                raise


def snapshot_folders(index: Path) -> Iterator[Path]:
    """The folder of every snapshot, whole or not."""
    with suppress(OSError):
        for folder in (index / "snapshots").iterdir():
            if FOLDER_NAME.fullmatch(folder.name):
                yield folder


def stored(index: Path) -> list[tuple[Path, Manifest]]:
    """The snapshots whose manifest can be read, newest first; their files are not checked."""
    found: list[tuple[Path, Manifest]] = []
    for folder in snapshot_folders(index):
        with suppress(SnapshotError):
            found.append((folder, read_manifest(folder)))
    return sorted(found, key=lambda each: each[1].sequence, reverse=True)
