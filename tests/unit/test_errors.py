"""The tree of errors, and what they say."""

import errno
import re

import pytest

from rag_qa import errors
from rag_qa.errors import IndexDamagedError, RagQaError, WriteError, write_errors

CLASSES = [found for name in errors.__all__ if isinstance(found := getattr(errors, name), type)]


def test_the_tree_in_the_docstring_is_the_one_there_is():
    told, above = {}, ["RagQaError"]
    for line in errors.__doc__.splitlines():
        if found := re.match(r"([│ ]*)[├└]── (\w+)", line):
            depth = len(found[1]) // 4
            del above[depth + 1 :]
            told[found[2]] = above[depth]
            above.append(found[2])
    assert told == {each.__name__: each.__base__.__name__ for each in CLASSES if each is not RagQaError}


def test_codes_are_those_of_the_docstring():
    for each in CLASSES:
        line = re.search(rf"{each.__name__} +\w.*", errors.__doc__)
        for code, told in ((each.exit_code, r"exit (\d)"), (each.http_status, r"HTTP (\d+)")):
            if line and (found := re.search(told, line[0])):
                assert int(found[1]) == code, each


@pytest.mark.parametrize(
    ("cause", "message"),
    [
        (OSError(errno.ENOSPC, "No space left"), "x cannot be written (No space left): make room on the disk, and try"),
        (
            OSError(errno.EIO, "Broken"),
            "x cannot be written (Broken): see that the disk is in order and can be written",
        ),
        (OSError("odd"), "x cannot be written (odd): see that the disk is in order"),
        ("it is closed", "x cannot be written (it is closed): make room on the disk"),
    ],
)
def test_what_could_not_be_written_says_why_and_what_to_do(cause, message):
    assert str(WriteError("x", cause)).startswith(message)
    assert str(WriteError("x", cause)).endswith("; the index is as it was.")
    assert str(WriteError("x", cause, "the old file stays")).endswith("; the old file stays.")


def test_only_the_named_kinds_mean_that_nothing_could_be_written():
    with pytest.raises(WriteError, match="x cannot be written"), write_errors("x", OSError):
        raise OSError(errno.ENOSPC, "No space left")
    with pytest.raises(KeyError), write_errors("x", OSError):
        raise KeyError
    with pytest.raises(FileNotFoundError), write_errors("x", OSError, disk_only=True):
        raise FileNotFoundError(errno.ENOENT, "missing")
    with pytest.raises(WriteError), write_errors("x", OSError, disk_only=True):
        raise OSError("numpy gives no number")


def test_damage_names_what_and_says_what_to_do():
    error = IndexDamagedError("rows.npy is missing", errors.repair("my index"))
    assert error.what == "rows.npy is missing"
    assert str(error) == (
        "rows.npy is missing: go back to another snapshot with `rag-qa snapshots rollback --index my index`, or "
        "rebuild the index with `rag-qa index PATH --index my index`."
    )
