"""Small parts of a snapshot, each read whole; every function raises IndexDamagedError where it cannot be read."""

from collections.abc import Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from rag_qa.errors import IndexDamagedError
from rag_qa.index.local.manifest import Segment
from rag_qa.index.local.segment.inverted import InvertedIndex
from rag_qa.index.local.segment.segment import lexical_folder
from rag_qa.index.local.segment.tombstones import Tombstones
from rag_qa.index.local.snapshot.layout import Snapshot
from rag_qa.schemas import msgpack_decoder
from rag_qa.text.acronyms.lexicon import Acronym

__all__ = ["open_inverted", "read_acronyms", "read_rows", "read_tombstones"]

_ACRONYMS = msgpack_decoder(tuple[Acronym, ...])
_TOMBSTONES = msgpack_decoder(dict[str, Tombstones])


def read_tombstones(snapshot: Snapshot) -> dict[str, Tombstones]:
    """Statistics of BM25 that deleted passages still add, by the name of their segment."""
    if not snapshot.tombstones.is_file():
        return {}
    try:
        return _TOMBSTONES.decode(snapshot.tombstones.read_bytes())
    except msgspec.DecodeError:
        raise IndexDamagedError(f"{snapshot.tombstones} cannot be read") from None


def read_acronyms(snapshot: Snapshot) -> tuple[Acronym, ...]:
    """The acronyms of the collection with their long forms, by acronym."""
    try:
        return _ACRONYMS.decode(snapshot.acronyms.read_bytes())
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        raise IndexDamagedError(f"{snapshot.acronyms} cannot be read") from None


def read_rows(snapshot: Snapshot, segment: Segment) -> NDArray[np.int64]:
    """The row of each passage of a segment among all passages, -1 for a deleted one."""
    path = snapshot.rows(segment.name)
    try:
        rows: NDArray[np.int64] = np.load(path)
    except (OSError, ValueError, EOFError):
        raise IndexDamagedError(f"{path} cannot be read") from None
    if rows.shape != (segment.passages,):
        raise IndexDamagedError(f"{path} does not belong to the {segment.passages} passages of its segment")
    return rows


def open_inverted(snapshot: Snapshot, rows: Mapping[int, NDArray[np.int64]]) -> InvertedIndex:
    """Opens the terms of all segments as one index, without the deleted passages' share in the statistics."""
    folders = {segment.number: lexical_folder(snapshot.segment(segment.name)) for segment in snapshot.manifest.segments}
    deleted = Tombstones.sum(read_tombstones(snapshot).values())
    if deleted.passages != sum(int(np.count_nonzero(there < 0)) for there in rows.values()):
        raise IndexDamagedError(f"{snapshot.tombstones} does not belong to the passages that are gone")
    return InvertedIndex.open(folders, rows, deleted, snapshot.ballast if snapshot.ballast.is_dir() else None)
