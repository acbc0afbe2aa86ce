"""The report of an indexing run: files that are new, changed, renamed or removed, and passages that were encoded."""

from collections import Counter
from collections.abc import Sequence

from msgspec import Struct

from rag_qa.types import FailedFile, IndexedFile

__all__ = ["FileCounts", "IndexReport", "PassageCounts", "changed_paths"]


class FileCounts(Struct, frozen=True, kw_only=True):
    """Counts of the files, and of those indexed before; each file is in one count."""

    added: int
    changed: int
    renamed: int
    unchanged: int
    removed: int
    ignored: int = 0
    """Files that a .ragqaignore leaves out."""
    sidecars: int = 0
    """Files that were read as the metadata of the file beside them."""


class PassageCounts(Struct, frozen=True):
    """Passages in the snapshot: how many had something to encode, and how many had all their vectors already."""

    total: int
    encoded: int
    cached: int


class IndexReport(Struct, frozen=True, kw_only=True):
    """The result of a run; every file is in one of `files` or in `failed`."""

    snapshot: str
    files: FileCounts
    failed: list[FailedFile]
    failed_records: list[FailedFile]
    """Records of feeds, and sidecars, that could not be used; the rest of their files was."""
    documents: int
    passages: PassageCounts
    tokens: int
    seconds: float
    rebuilt: str | None
    """The reason why all was read anew, although there was an index."""
    paths: dict[str, list[str]]
    """The files behind `files`, by the same names."""


def changed_paths(before: Sequence[IndexedFile], now: Sequence[IndexedFile]) -> dict[str, list[str]]:
    """Paths of added, changed, renamed (same bytes, another path), unchanged and removed files.

    Only files that gave a document count as indexed; one that no longer does is in none of the lists.
    """
    old = {file.path: (file.sha256, file.sidecar_sha256) for file in before if file.reason is None}
    new = {file.path: (file.sha256, file.sidecar_sha256) for file in now if file.reason is None}
    there = {file.path for file in now}
    missing = {path: digests for path, digests in old.items() if path not in there}
    left = Counter(sha256 for sha256, _ in missing.values())
    changes: dict[str, list[str]] = {"added": [], "changed": [], "renamed": [], "unchanged": [], "removed": []}
    for path, digests in new.items():
        if path in old:
            changes["unchanged" if old[path] == digests else "changed"].append(path)
        elif left[digests[0]]:
            left[digests[0]] -= 1
            changes["renamed"].append(path)
        else:
            changes["added"].append(path)
    for path, (sha256, _) in missing.items():
        if left[sha256]:  # under no new path
            left[sha256] -= 1
            changes["removed"].append(path)
    return changes
