"""The snapshots of an index: listing, checking, comparing, going back, removing."""

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from msgspec import Struct, structs

from rag_qa.contents import Contents
from rag_qa.errors import IndexDamagedError, InputError, SnapshotError
from rag_qa.files import damaged
from rag_qa.manifest import MANIFEST, Counts, Manifest, read_manifest
from rag_qa.query_encoder import OnnxQueryEncoder
from rag_qa.snapshot import (
    Snapshot,
    SnapshotFolder,
    current_name,
    make_current,
    prune,
    remove,
    snapshot_folders,
    stored,
    writing,
)

__all__ = [
    "Difference",
    "Entry",
    "Pruned",
    "Verified",
    "advice",
    "diff",
    "entries",
    "find",
    "prune_snapshots",
    "roll_back",
    "verify_snapshot",
]

CURRENT, PREVIOUS = "current", "previous"


class Entry(Struct, frozen=True, kw_only=True):
    """A snapshot in a list."""

    name: str
    current: bool
    sequence: int | None = None
    created: str | None = None
    counts: Counts | None = None
    segments: int | None = None
    bytes: int | None = None
    """Of all its files, those that it shares with others among them."""
    problem: str | None = None
    """Why nothing more can be said of it."""


class Verified(Struct, frozen=True):
    """What checking a snapshot byte for byte has shown."""

    name: str
    files: int
    damaged: list[str]
    """Files that are missing or altered, as paths."""


class Difference(Struct, frozen=True, kw_only=True):
    """What became of the documents between two snapshots, as sorted paths."""

    before: str
    after: str
    settings: dict[str, list[str]]
    """Settings and encoder that differ, each with both values."""
    added: list[str]
    changed: list[str]
    """Documents of another text, other metadata, or cut otherwise."""
    removed: list[str]


class Pruned(Struct, frozen=True):
    """Names of snapshots."""

    removed: list[str]
    kept: list[str]


def entries(index: Path) -> list[Entry]:
    """All snapshots, newest first; those that cannot be read come last.

    Raises:
        IndexMissingError: nothing was indexed there.
    """
    current = _current(index)
    readable = [
        Entry(
            name=folder.name,
            current=folder.name == current,
            sequence=manifest.sequence,
            created=manifest.created,
            counts=manifest.counts,
            segments=len(manifest.segments),
            bytes=sum(record.size for record in manifest.files.values()),
        )
        for folder, manifest in stored(index)
    ]
    names = {entry.name for entry in readable}
    others = [
        Entry(name=folder.name, current=folder.name == current, problem=_problem(folder))
        for folder in sorted(snapshot_folders(index))
        if folder.name not in names
    ]
    return [*readable, *others]


def find(index: Path, named: str) -> Path:
    """The folder of a snapshot: `current`, `previous`, or the beginning of its name.

    Raises:
        InputError: there is none, or more than one.
        IndexMissingError, IndexDamagedError: there is no current snapshot to start from.
    """
    if named == CURRENT:
        return index / "snapshots" / current_name(index)
    if named == PREVIOUS:
        return _previous(index)
    found = [folder for folder in snapshot_folders(index) if named and folder.name.startswith(named)]
    if len(found) == 1:
        return found[0]
    if not found:
        _current(index)
        raise InputError(f"There is no snapshot “{named[:80]}”: `rag-qa snapshots list` names those there are.")
    names = ", ".join(sorted(folder.name for folder in found))
    raise InputError(f"“{named[:80]}” may be any of {names}: write more of the name.")


def verify_snapshot(index: Path, folder: Path) -> Verified:
    """Reads every file of a snapshot, and of the query encoder that it needs, and compares it with what was written."""
    try:
        manifest = read_manifest(folder)
    except IndexDamagedError:
        return Verified(folder.name, 1, [str(folder / MANIFEST)])
    wrong = [str(folder / name) for name in damaged(folder, manifest.files)]
    listed = {folder / MANIFEST, *(folder / name for name in manifest.files)}
    wrong += [f"{path} (not of this snapshot)" for path in folder.rglob("*") if path.is_file() and path not in listed]
    encoder = index / "encoder" / manifest.encoder.digest
    wrong += [str(encoder / name) for name in OnnxQueryEncoder.damage(encoder)]
    return Verified(folder.name, len(listed), sorted(wrong))


def advice(index: Path, verified: Sequence[Verified]) -> str:
    """What to do about damaged snapshots: go back to the newest whole one, or rebuild."""
    seen = {each.name: each for each in verified}
    for folder, _ in stored(index):
        if not (seen.get(folder.name) or verify_snapshot(index, folder)).damaged:
            return f"go back with `rag-qa snapshots rollback {folder.name}`, or rebuild the index with `rag-qa index`"
    return "no other snapshot is whole; rebuild the index with `rag-qa index`"


def roll_back(index: Path, named: str | None = None) -> tuple[Snapshot, str | None]:
    """Makes another snapshot current, which is checked byte for byte before.

    Args:
        index: folder of the index.
        named: as `find`; by default the one before the current one, or the newest where there is no current one.

    Returns:
        The snapshot that answers now, and the name of the one that did.

    Raises:
        IndexDamagedError: the snapshot is damaged; the current one stays.
        InputError: there is no such snapshot.
    """
    before = _current(index)
    folder = find(index, named) if named else _previous(index)
    verified = verify_snapshot(index, folder)
    if verified.damaged:
        raise IndexDamagedError(f"{verified.damaged[0]} is damaged, so nothing was changed", advice(index, [verified]))
    snapshot = Snapshot.open(index, folder)
    make_current(snapshot)
    return snapshot, before


def prune_snapshots(index: Path, keep: int, on_wait: Callable[[], None] | None = None) -> Pruned:
    """Removes all but the newest `keep` snapshots and the current one, and those whose manifest is damaged.

    Args:
        index: folder of the index.
        keep: how many.
        on_wait: called before waiting for another process that writes.
    """
    current_name(index)
    with writing(index, on_wait=on_wait):
        removed = prune(index, keep)
        for folder in list(snapshot_folders(index)):
            if folder.name != current_name(index) and _is_damaged(folder):
                remove(folder)
                removed.append(folder.name)
        return Pruned(removed, sorted(folder.name for folder in snapshot_folders(index)))


def diff(before: Path, after: Path) -> Difference:
    """Compares the documents of two snapshots, given by their folders."""
    manifests = [read_manifest(folder) for folder in (before, after)]
    old, new = (_digests(folder) for folder in (before, after))
    return Difference(
        before=before.name,
        after=after.name,
        settings=_differing(*manifests),
        added=sorted(new.keys() - old.keys()),
        changed=sorted(path for path in new.keys() & old.keys() if new[path] != old[path]),
        removed=sorted(old.keys() - new.keys()),
    )


def _current(index: Path) -> str | None:
    """The name in `current`, or None where it is missing or names no snapshot.

    Raises:
        IndexMissingError: nothing was indexed there.
    """
    try:
        return current_name(index)
    except IndexDamagedError:
        return None


def _previous(index: Path) -> Path:
    """The newest snapshot that is older than the current one; the newest one where that cannot be read."""
    current = _current(index)
    there = stored(index)
    sequence = next((manifest.sequence for folder, manifest in there if folder.name == current), None)
    older = [folder for folder, manifest in there if sequence is None or manifest.sequence < sequence]
    if not older:
        raise InputError("There is no earlier snapshot to go back to: `rag-qa snapshots list` names those there are.")
    return older[0]


def _problem(folder: Path) -> str:
    try:
        read_manifest(folder)
    except SnapshotError as error:
        return str(error)
    return ""


def _is_damaged(folder: Path) -> bool:
    try:
        read_manifest(folder)
    except IndexDamagedError:
        return True
    except SnapshotError:  # of another version: it is somebody's
        return False
    return False


def _digests(folder: Path) -> dict[str, bytes]:
    """The digest of every document of a snapshot, by path."""
    with closing(Contents(SnapshotFolder(folder).contents)) as contents:
        return {placed.path: placed.digest for placed in contents.each()}


def _differing(before: Manifest, after: Manifest) -> dict[str, list[str]]:
    """What the snapshots were built with, where it differs."""
    old, new = (
        structs.asdict(each.settings) | {"encoder": f"{each.encoder.name} {each.encoder.digest}"}
        for each in (before, after)
    )
    return {name: [str(old[name]), str(new[name])] for name in old if old[name] != new[name]}
