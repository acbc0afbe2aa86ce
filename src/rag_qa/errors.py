"""All errors that the package raises on purpose, as one tree.

RagQaError
├── InputError               an argument or a file of the user cannot be used (exit 2, HTTP 400)
│   ├── QuestionError        the question, `k`, `max_tokens` or a filter
│   │   └── UnknownFieldError  a metadata field that no document has (HTTP 404)
│   ├── SettingsError        a setting's name or value
│   ├── GoldError            a gold file or public collection
│   ├── BatchError           a file of questions, or a file of answers that is to be resumed
│   ├── NotFoundError        an unknown document or snapshot, or a deleted file (HTTP 404)
│   ├── ConflictError        a conflict with the current state or with a running job (HTTP 409)
│   ├── TooLargeError        an uploaded document is larger than the limit (HTTP 413)
│   ├── UnreadableError      an uploaded document gives no text (HTTP 422)
│   └── NoRoomError          an uploaded document cannot be stored: a full or failing disk (HTTP 507)
├── ReadError                a file gave no text; indexing reports it and continues
├── WorkerError              the parser processes cannot be started (exit 2)
├── EncoderError             the encoder's model is missing, altered or incompatible (exit 2)
├── RerankerError            the cross-encoder is missing, damaged or incompatible (exit 2)
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
from collections.abc import Iterator
from contextlib import contextmanager
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
    "write_errors",
]

REPAIR = "go back to another snapshot with `rag-qa snapshots rollback`, or rebuild the index with `rag-qa index`"
MAKE_ROOM = "make room on the disk"
CHECK_DISK = "see that the disk is in order and can be written to"
DISK_FULL = {errno.ENOSPC, errno.EDQUOT}
DISK_FAILURES = {*DISK_FULL, errno.EIO, errno.EROFS, None}
"""Error numbers of a full or failing disk; None because numpy gives no number when it could not write everything."""
UNCHANGED = "the index is as it was"


def repair(index: object) -> str:
    """Returns the advice for a damaged index at this path, as a clause of a message."""
    given = f" --index {index}"
    return (
        f"go back to another snapshot with `rag-qa snapshots rollback{given}`, or rebuild the index with `rag-qa index "
        f"PATH{given}`"
    )


class RagQaError(Exception):
    """Base class of all errors of this package."""

    exit_code: ClassVar[int] = 2
    http_status: ClassVar[int] = 500


class InputError(RagQaError):
    """An argument or a file of the user cannot be used."""

    http_status = 400


class QuestionError(InputError):
    """The question, `k`, `max_tokens` or a filter cannot be used."""


class UnknownFieldError(QuestionError):
    """A filter names a metadata field that no document has."""

    http_status = 404


class SettingsError(InputError):
    """A setting has an unknown name or an unusable value."""


class GoldError(InputError):
    """A gold file or a public collection cannot be used."""


class BatchError(InputError):
    """A file of questions, or a file of answers that is to be resumed, cannot be used."""


class NotFoundError(InputError):
    """The named document, its file, or the named snapshot does not exist."""

    http_status = 404


class ConflictError(InputError):
    """The request conflicts with the current state or with a running job."""

    http_status = 409


class TooLargeError(InputError):
    """An uploaded document is larger than the limit."""

    http_status = 413


class UnreadableError(InputError):
    """An uploaded document gives no text."""

    http_status = 422


class NoRoomError(InputError):
    """An uploaded document cannot be stored."""

    http_status = 507


class ReadError(RagQaError):
    """A file gave no text; the message is the reason."""


class WorkerError(RagQaError):
    """The parser processes cannot be started."""


class EncoderError(RagQaError):
    """The encoder's model is missing, altered or incompatible."""


class RerankerError(RagQaError):
    """The cross-encoder is missing, damaged or incompatible."""


class WriteError(RagQaError):
    """The index or a file could not be written; the index is unchanged."""

    def __init__(self, what: object, cause: object, left: str = UNCHANGED) -> None:
        """Composes the message.

        Args:
            what: what could not be written: the subject of the sentence.
            cause: the reason, an exception or a clause.
            left: what is still there, as the last clause.
        """
        number = cause.errno if isinstance(cause, OSError) else errno.ENOSPC
        told = cause.strerror or cause if isinstance(cause, OSError) else cause
        remedy = MAKE_ROOM if number in DISK_FULL else CHECK_DISK
        super().__init__(f"{what} cannot be written ({told}): {remedy}, and try again; {left}.")


@contextmanager
def write_errors(
    what: object, *kinds: type[Exception], left: str = UNCHANGED, disk_only: bool = False
) -> Iterator[None]:
    """Raises exceptions of some kinds again as WriteError.

    Args:
        what: what is written in the block: the subject of the message.
        kinds: the exceptions that mean that it could not be written, such as OSError.
        left: what is still there, as the last clause of the message.
        disk_only: let an OSError pass whose number is none of DISK_FAILURES, as that of a missing file.

    Raises:
        WriteError: the block raised an exception of one of the kinds.
    """
    try:
        yield
    except kinds as error:
        if disk_only and isinstance(error, OSError) and error.errno not in DISK_FAILURES:
            raise
        raise WriteError(what, error, left) from None


class BusyError(RagQaError):
    """Another process writes the index, or the same answers."""


class KeysError(RagQaError):
    """The file of keys cannot be read or written."""


class SnapshotError(RagQaError):
    """The index cannot be used."""

    exit_code = 3
    http_status = 503


class IndexMissingError(SnapshotError):
    """The folder holds no index."""


class IndexDamagedError(SnapshotError):
    """A file of the index is missing, truncated or altered."""

    def __init__(self, what: str, advice: str = REPAIR) -> None:
        """Composes the message from what is damaged and the advice, both without a full stop."""
        super().__init__(f"{what}: {advice}.")
        self.what = what


class IndexMismatchError(SnapshotError):
    """The index was built with other settings or by another format version."""

    def __init__(self, message: str, found: int | None = None) -> None:
        """Keeps the message and, where the format version is the cause, the version that the index has."""
        super().__init__(message)
        self.found = found
