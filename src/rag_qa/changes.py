"""What an indexing run did: which files are new, changed, renamed or gone, and how much there was to encode."""

from collections import Counter
from collections.abc import Sequence

from msgspec import Struct

from rag_qa.types import Document, DocumentInfo, FailedFile

__all__ = ["FileCounts", "IndexReport", "PassageCounts", "changed_paths"]


class FileCounts(Struct, frozen=True, kw_only=True):
    """What became of the files and of the documents indexed before; each is in one count."""

    added: int
    changed: int
    renamed: int
    unchanged: int
    removed: int


class PassageCounts(Struct, frozen=True):
    """Passages in the snapshot: how many had something to encode, and how many had all their vectors already."""

    total: int
    encoded: int
    cached: int


class IndexReport(Struct, frozen=True, kw_only=True):
    """What indexing did; every file is in one of `files` or in `failed`."""

    snapshot: str
    files: FileCounts
    failed: list[FailedFile]
    documents: int
    passages: PassageCounts
    tokens: int
    seconds: float
    paths: dict[str, list[str]]
    """The documents behind `files`, by the same names."""


def changed_paths(
    before: Sequence[DocumentInfo], documents: Sequence[Document], failed: Sequence[FailedFile]
) -> dict[str, list[str]]:
    """Paths of added, changed, renamed (same bytes, another path), unchanged and removed documents."""
    old = {info.path: info.sha256 for info in before}
    new = {document.path: document.sha256 for document in documents}
    unreadable = {file.path for file in failed}
    gone = {path: sha256 for path, sha256 in old.items() if path not in new and path not in unreadable}
    left = Counter(gone.values())
    changes: dict[str, list[str]] = {"added": [], "changed": [], "renamed": [], "unchanged": [], "removed": []}
    for path, sha256 in new.items():
        if path in old:
            changes["unchanged" if old[path] == sha256 else "changed"].append(path)
        elif left[sha256]:
            left[sha256] -= 1
            changes["renamed"].append(path)
        else:
            changes["added"].append(path)
    for path, sha256 in gone.items():
        if left[sha256]:  # under no new path
            left[sha256] -= 1
            changes["removed"].append(path)
    return changes
