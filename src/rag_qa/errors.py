"""The errors a caller may meet, one tree.

RagQaError
├── InputError               what was given cannot be used (exit 2, HTTP 400)
│   ├── QuestionError        the question, `k`, `max_tokens` or a filter
│   │   └── UnknownFieldError  a metadata field that no document has (HTTP 404)
│   ├── SettingsError        a setting's name or value
│   ├── GoldError            a gold file or public collection
│   ├── BatchError           a file of questions, or one of answers that is to be gone on with
│   ├── NotFoundError        an unknown document or snapshot, a file that is gone (HTTP 404)
│   ├── ConflictError        it does not go with what is there, or what runs already (HTTP 409)
│   ├── TooLargeError        a document that is uploaded is larger than what is read (HTTP 413)
│   ├── UnreadableError      a document that is uploaded gives no text (HTTP 422)
│   └── NoRoomError          a document that is uploaded cannot be kept: a full or failing disk (HTTP 507)
├── ReadError                one file gave no text; indexing reports it and goes on
├── WorkerError              the processes that read files cannot be started (exit 2)
├── EncoderError             the encoder's model is missing, altered or does not fit (exit 2)
├── RerankerError            the cross-encoder is missing, damaged or does not fit (exit 2)
├── WriteError               the index or a file could not be written: no room, a failing disk (exit 2)
├── BusyError                another process writes the index, or the same answers (exit 2)
├── KeysError                the file of keys cannot be read or written (exit 2)
└── SnapshotError            the index cannot be used (exit 3, HTTP 503)
    ├── IndexMissingError    nothing was indexed there
    ├── IndexDamagedError    a file of the index is missing, truncated or altered
    └── IndexMismatchError   built with other settings or by another format version

Every message is one sentence that says what is wrong and, where something can be done, what to do.
"""

import errno
from typing import ClassVar

__all__ = [
    "DISK_FAILURES",
    "BatchError",
    "BusyError",
    "ConflictError",
    "EncoderError",
    "GoldError",
    "IndexDamagedError",
    "IndexMismatchError",
    "IndexMissingError",
    "InputError",
    "KeysError",
    "NoRoomError",
    "NotFoundError",
    "QuestionError",
    "RagQaError",
    "ReadError",
    "RerankerError",
    "SettingsError",
    "SnapshotError",
    "TooLargeError",
    "UnknownFieldError",
    "UnreadableError",
    "WorkerError",
    "WriteError",
    "repair",
]

REPAIR = "go back to another snapshot with `rag-qa snapshots rollback`, or rebuild the index with `rag-qa index`"
MAKE_ROOM = "make room on the disk"
CHECK_DISK = "see that the disk is in order and can be written to"
DISK_FULL = {errno.ENOSPC, errno.EDQUOT}
DISK_FAILURES = {*DISK_FULL, errno.EIO, errno.EROFS, None}
"""Numbers of errors that speak of the disk; numpy gives none where it could not write all."""


def repair(index: object) -> str:
    """What to do where something in an index is damaged."""
    given = f" --index {index}"
    return (
        f"go back to another snapshot with `rag-qa snapshots rollback{given}`, or rebuild the index with `rag-qa index "
        f"PATH{given}`"
    )


class RagQaError(Exception):
    """Base of all errors of this package."""

    exit_code: ClassVar[int] = 2
    http_status: ClassVar[int] = 500


class InputError(RagQaError):
    """What was given cannot be used."""

    http_status = 400


class QuestionError(InputError):
    """The question, `k` or `max_tokens` cannot be used."""


class UnknownFieldError(QuestionError):
    """No document has the metadata field that a filter names."""

    http_status = 404


class SettingsError(InputError):
    """A setting has an unknown name or an unusable value."""


class GoldError(InputError):
    """A gold file or a public collection cannot be used."""


class BatchError(InputError):
    """A file of questions, or one of answers that is to be gone on with, cannot be used."""


class NotFoundError(InputError):
    """What was named is not there: a document, its file, a snapshot."""

    http_status = 404


class ConflictError(InputError):
    """What was asked for does not go with what is there, or with what runs already."""

    http_status = 409


class TooLargeError(InputError):
    """A document that is uploaded is larger than what is read."""

    http_status = 413


class UnreadableError(InputError):
    """A document that is uploaded gives no text."""

    http_status = 422


class NoRoomError(InputError):
    """A document that is uploaded cannot be kept."""

    http_status = 507


class ReadError(RagQaError):
    """A file gave no text; the message is the reason."""


class WorkerError(RagQaError):
    """The processes that read files cannot be started."""


class EncoderError(RagQaError):
    """The encoder's model is missing, altered or does not fit."""


class RerankerError(RagQaError):
    """The cross-encoder is missing, damaged or does not fit."""


class WriteError(RagQaError):
    """The index could not be written, and is as it was; or a file could not."""

    def __init__(self, what: object, cause: object, left: str = "the index is as it was") -> None:
        """Tells what could not be written, why, and what is left."""
        number = cause.errno if isinstance(cause, OSError) else errno.ENOSPC
        told = cause.strerror or cause if isinstance(cause, OSError) else cause
        remedy = MAKE_ROOM if number in DISK_FULL else CHECK_DISK
        super().__init__(f"{what} cannot be written ({told}): {remedy}, and try again; {left}.")


class BusyError(RagQaError):
    """Another process writes the index, or the same answers."""


class KeysError(RagQaError):
    """The file of keys cannot be read or written."""


class SnapshotError(RagQaError):
    """The index cannot be used."""

    exit_code = 3
    http_status = 503


class IndexMissingError(SnapshotError):
    """Nothing was indexed there."""


class IndexDamagedError(SnapshotError):
    """A file of the index is missing, truncated or altered."""

    def __init__(self, what: str, advice: str = REPAIR) -> None:
        """Tells what is damaged, without a full stop, and what to do."""
        super().__init__(f"{what}: {advice}.")
        self.what = what


class IndexMismatchError(SnapshotError):
    """The index was built with other settings or by another format version."""

    def __init__(self, message: str, found: int | None = None) -> None:
        """Takes the message, and the format version that was found where it is that."""
        super().__init__(message)
        self.found = found
