"""MinHash signatures of passages, by row: they show which candidates may be duplicates without reading their texts."""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rag_qa.errors import IndexDamagedError
from rag_qa.text.duplicates import LENGTH, signature

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["SignatureWriter", "open_signatures"]

FILE = "signatures.u32"
NUMBER = np.dtype("<u4")


def open_signatures(folder: Path, passages: int) -> "NDArray[np.uint32]":
    """The signatures of a segment, of shape (passages, 64), mapped into memory.

    Raises:
        IndexDamagedError: they cannot be read, or do not belong to so many passages.
    """
    path = folder / FILE
    try:
        signatures = np.memmap(path, dtype=NUMBER, mode="r")
    except (OSError, ValueError):
        raise IndexDamagedError(f"{path} cannot be read") from None
    if signatures.size != passages * LENGTH:
        raise IndexDamagedError(f"{path} does not belong to the {passages} passages of its segment")
    return signatures.reshape(-1, LENGTH)


class SignatureWriter:
    """Writes the signatures of a segment's passages in order."""

    def __init__(self, folder: Path) -> None:
        self._file = (folder / FILE).open("wb")

    def add(self, text: str) -> None:
        """Adds the signature of the next passage."""
        self._file.write(signature(text).astype(NUMBER).tobytes())

    def seal(self) -> None:
        """Seals the file."""
        self._file.close()

    def discard(self) -> None:
        """Closes the file of an abandoned segment."""
        with suppress(OSError):  # what could not be written is not missed
            self._file.close()
