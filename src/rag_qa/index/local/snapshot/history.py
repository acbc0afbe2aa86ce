"""The snapshots of an index: listing, checking, comparing, going back, removing."""

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from msgspec import Struct, structs

from rag_qa.errors import ConflictError, IndexDamagedError, IndexMismatchError, NotFoundError, SnapshotError
from rag_qa.files import damaged
from rag_qa.index.local.manifest import FORMAT, MANIFEST, Manifest, read_manifest
from rag_qa.index.local.snapshot.commit import make_current, prune, remove, writing
from rag_qa.index.local.snapshot.document_table import Contents
from rag_qa.index.local.snapshot.layout import Snapshot, current_name, snapshot_folders, stored
from rag_qa.models.onnx_encoder import OnnxEncoder
from rag_qa.types import Counts

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


class Verified(Struct, frozen=True, kw_only=True):
    """What checking a snapshot byte for byte has shown."""

    name: str
    files: int = 0
    damaged: list[str] = []
    """Files that are missing or altered, as paths."""
    strangers: list[str] = []
    """Files that do not belong to it; they do no harm."""
    problem: str | None = None
    """Why it could not be checked: it is of another version."""

    @property
    def whole(self) -> bool:
        """Whether it can be answered from."""
        return not self.damaged and self.problem is None


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
        NotFoundError: there is none.
        ConflictError: there is more than one.
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
        raise NotFoundError(
            f"There is no snapshot “{named[:80]}”: `rag-qa snapshots list --index {index}` names those there are."
        )
    names = ", ".join(sorted(folder.name for folder in found))
    raise ConflictError(f"“{named[:80]}” may be any of {names}: write more of the name.")


def verify_snapshot(index: Path, folder: Path) -> Verified:
    """Reads every file of a snapshot, and of the encoder that it needs, and compares it with what was written."""
    try:
        manifest = read_manifest(folder)
    except IndexDamagedError:
        return Verified(name=folder.name, files=1, damaged=[str(folder / MANIFEST)])
    except IndexMismatchError as error:
        return Verified(name=folder.name, problem=_of_another_version(error))
    encoder = index / "encoder" / manifest.encoder.digest
    wrong = [folder / name for name in damaged(folder, manifest.files)]
    wrong += [encoder / name for name in OnnxEncoder.damage(encoder)]
    listed = {folder / MANIFEST, *(folder / name for name in manifest.files)}
    strangers = [path for path in folder.rglob("*") if path.is_file() and path not in listed]
    return Verified(
        name=folder.name,
        files=len(listed),
        damaged=sorted(map(str, wrong)),
        strangers=sorted(map(str, strangers)),
    )


def advice(index: Path, verified: Sequence[Verified]) -> str:
    """What to do about snapshots that are not whole: go back to the newest whole one, or rebuild."""
    seen = {each.name: each for each in verified}
    current = _current(index)
    if current in seen and seen[current].whole:
        return "the snapshot that answers is whole; `rag-qa snapshots prune` can remove older ones"
    rebuild = f"rebuild the index with `rag-qa index PATH --index {index}`"
    for folder, _ in stored(index):
        if (seen.get(folder.name) or verify_snapshot(index, folder)).whole:
            return f"go back with `rag-qa snapshots rollback {folder.name} --index {index}`, or {rebuild}"
    return f"no other snapshot is whole; {rebuild}"


def roll_back(index: Path, named: str | None = None) -> tuple[Snapshot, str | None]:
    """Makes another snapshot current, which is checked byte for byte before.

    Args:
        index: folder of the index.
        named: as `find`; by default the next older one, or the newest where there is no current one.

    Returns:
        The snapshot that answers now, and the name of the one that did.

    Raises:
        IndexDamagedError: the snapshot is damaged; the current one stays.
        IndexMismatchError: it is of another version.
        NotFoundError, ConflictError: there is no such snapshot, or more than one.
    """
    before = _current(index)
    folder = find(index, named) if named else _previous(index)
    read_manifest(folder)
    verified = verify_snapshot(index, folder)
    if verified.damaged:
        raise IndexDamagedError(f"{verified.damaged[0]} is damaged, so nothing was changed", advice(index, [verified]))
    snapshot = Snapshot.open(index, folder)
    make_current(snapshot)
    return snapshot, before


def prune_snapshots(index: Path, keep: int, on_wait: Callable[[], None] | None = None) -> Pruned:
    """Leaves `keep` snapshots, the current one and the newest others, and removes those that nobody can read any more.

    Those are snapshots of older formats, and with a damaged manifest.

    Args:
        index: folder of the index.
        keep: how many.
        on_wait: called before waiting for another process that writes.

    Raises:
        IndexDamagedError: the current one is damaged; then all stay.
    """
    Snapshot.open_current(index)
    with writing(index, on_wait=on_wait):
        removed = prune(index, keep)
        for folder in list(snapshot_folders(index)):
            if _is_lost(folder):
                remove(folder)
                removed.append(folder.name)
        return Pruned(removed, sorted(folder.name for folder in snapshot_folders(index)))


def diff(index: Path, before: Path, after: Path) -> Difference:
    """Compares the documents of two snapshots, given by their folders.

    Raises:
        IndexDamagedError, IndexMismatchError: one of them cannot be read.
    """
    snapshots = [Snapshot.open(index, folder) for folder in (before, after)]
    old, new = (_digests(snapshot) for snapshot in snapshots)
    return Difference(
        before=before.name,
        after=after.name,
        settings=_differing(*(snapshot.manifest for snapshot in snapshots)),
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
        raise ConflictError(
            f"There is no earlier snapshot to go back to: rebuild the index with `rag-qa index PATH --index {index}`."
        )
    return older[0]


def _problem(folder: Path) -> str:
    """Why nothing can be said of a snapshot."""
    try:
        read_manifest(folder)
    except IndexMismatchError as error:
        return _of_another_version(error)
    except SnapshotError as error:
        return str(error)
    return ""


def _of_another_version(error: IndexMismatchError) -> str:
    return f"format {error.found}, this version of rag_qa reads format {FORMAT}"


def _is_lost(folder: Path) -> bool:
    """Whether neither this version nor a later one can read a snapshot."""
    try:
        read_manifest(folder)
    except IndexDamagedError:
        return True
    except IndexMismatchError as error:
        return error.found is not None and error.found < FORMAT
    return False


def _digests(snapshot: Snapshot) -> dict[str, bytes]:
    """The digest of every document of a snapshot, by path."""
    with closing(Contents(snapshot.contents)) as contents:
        return {placed.path: placed.digest for placed in contents.each()}


def _differing(before: Manifest, after: Manifest) -> dict[str, list[str]]:
    """What the snapshots were built with, where it differs."""
    old, new = (
        structs.asdict(each.settings) | {"encoder": f"{each.encoder.name} {each.encoder.digest}"}
        for each in (before, after)
    )
    return {name: [str(old[name]), str(new[name])] for name in old if old[name] != new[name]}
