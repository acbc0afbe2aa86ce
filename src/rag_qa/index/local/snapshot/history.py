"""Lists, checks, compares and removes the snapshots of an index, and rolls back to one."""

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from msgspec import structs

from rag_qa.errors import ConflictError, IndexDamagedError, IndexMismatchError, NotFoundError, SnapshotError
from rag_qa.files import damaged
from rag_qa.index.local.manifest import MANIFEST, Manifest, read_manifest
from rag_qa.index.local.snapshot.commit import make_current, prune, remove, writing
from rag_qa.index.local.snapshot.document_table import DocumentTable
from rag_qa.index.local.snapshot.layout import Snapshot, current_name, snapshot_folders, stored
from rag_qa.index.records import (
    FORMAT,
    Difference,
    Entry,
    Pruned,
    SegmentDetails,
    SnapshotDetails,
    SnapshotInfo,
    Verified,
)
from rag_qa.models.onnx_encoder import OnnxEncoder

__all__ = ["LocalHistory"]

CURRENT, PREVIOUS = "current", "previous"


class LocalHistory:
    """The snapshots in a folder of this machine; the local engine's `SnapshotHistory`, which describes each method."""

    def __init__(self, index: Path) -> None:
        self._index = index

    def current(self) -> str:
        """The name of the snapshot that answers."""
        return current_name(self._index)

    def info(self) -> SnapshotInfo:
        """Facts about the snapshot that answers, after the checks that opening makes."""
        snapshot = Snapshot.open_current(self._index)
        return snapshot.manifest.info(snapshot.name)

    def entries(self) -> list[Entry]:
        """All snapshots, newest first; those that cannot be read come last."""
        current = self._current()
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
            for folder, manifest in stored(self._index)
        ]
        names = {entry.name for entry in readable}
        others = [
            Entry(name=folder.name, current=folder.name == current, problem=_problem(folder))
            for folder in sorted(snapshot_folders(self._index))
            if folder.name not in names
        ]
        return [*readable, *others]

    def resolve(self, named: str) -> str:
        """The name of a snapshot from `current`, `previous` or the beginning of its name."""
        if named == CURRENT:
            return current_name(self._index)
        if named == PREVIOUS:
            return self._previous().name
        found = [folder.name for folder in snapshot_folders(self._index) if named and folder.name.startswith(named)]
        if len(found) == 1:
            return found[0]
        if not found:
            self._current()
            raise NotFoundError(
                f"There is no snapshot “{named[:80]}”: `rag-qa snapshots list --index {self._index}` names those there "
                "are."
            )
        raise ConflictError(f"“{named[:80]}” may be any of {', '.join(sorted(found))}: write more of the name.")

    def details(self, name: str) -> SnapshotDetails:
        """The contents of a snapshot's manifest."""
        manifest = read_manifest(self._folder(name))
        return SnapshotDetails(
            name=name,
            sequence=manifest.sequence,
            info=manifest.info(name),
            segments=tuple(
                SegmentDetails(
                    name=segment.name,
                    passages=segment.passages,
                    recall=segment.graph.recall if segment.graph else None,
                    effort=segment.graph.effort if segment.graph else None,
                )
                for segment in manifest.segments
            ),
            files=len(manifest.files),
            bytes=sum(record.size for record in manifest.files.values()),
            manifest=manifest,
        )

    def verify(self, name: str) -> Verified:
        """Reads every file of a snapshot and of its encoder, and compares it with what was written."""
        folder = self._folder(name)
        try:
            manifest = read_manifest(folder)
        except IndexDamagedError:
            return Verified(name=name, files=1, damaged=[str(folder / MANIFEST)])
        except IndexMismatchError as error:
            return Verified(name=name, problem=_of_another_version(error))
        encoder = self._index / "encoder" / manifest.encoder.digest
        wrong = [folder / path for path in damaged(folder, manifest.files)]
        wrong += [encoder / path for path in OnnxEncoder.damage(encoder)]
        listed = {folder / MANIFEST, *(folder / path for path in manifest.files)}
        strangers = [path for path in folder.rglob("*") if path.is_file() and path not in listed]
        return Verified(
            name=name,
            files=len(listed),
            damaged=sorted(map(str, wrong)),
            strangers=sorted(map(str, strangers)),
        )

    def advice(self, verified: Sequence[Verified]) -> str:
        """Advice about snapshots that are not whole: go back to the newest whole one, or rebuild."""
        seen = {each.name: each for each in verified}
        current = self._current()
        if current in seen and seen[current].whole:
            return "the snapshot that answers is whole; `rag-qa snapshots prune` can remove older ones"
        rebuild = f"rebuild the index with `rag-qa index PATH --index {self._index}`"
        for folder, _ in stored(self._index):
            if (seen.get(folder.name) or self.verify(folder.name)).whole:
                return f"go back with `rag-qa snapshots rollback {folder.name} --index {self._index}`, or {rebuild}"
        return f"no other snapshot is whole; {rebuild}"

    def diff(self, before: str, after: str) -> Difference:
        """Compares the documents of two snapshots."""
        snapshots = [Snapshot.open(self._index, self._folder(name)) for name in (before, after)]
        old, new = (_digests(snapshot) for snapshot in snapshots)
        return Difference(
            before=before,
            after=after,
            settings=_differing(*(snapshot.manifest for snapshot in snapshots)),
            added=sorted(new.keys() - old.keys()),
            changed=sorted(path for path in new.keys() & old.keys() if new[path] != old[path]),
            removed=sorted(old.keys() - new.keys()),
        )

    def roll_back(self, named: str | None = None) -> tuple[str, str | None]:
        """Makes another snapshot current, which is checked byte for byte before."""
        before = self._current()
        folder = self._folder(self.resolve(named)) if named else self._previous()
        read_manifest(folder)
        verified = self.verify(folder.name)
        if verified.damaged:
            raise IndexDamagedError(
                f"{verified.damaged[0]} is damaged, so nothing was changed", self.advice([verified])
            )
        make_current(Snapshot.open(self._index, folder))
        return folder.name, before

    def prune(self, keep: int, on_wait: Callable[[], None] | None = None) -> Pruned:
        """Removes all but `keep` snapshots, and those of older formats or with a damaged manifest."""
        Snapshot.open_current(self._index)
        with writing(self._index, on_wait=on_wait):
            removed = prune(self._index, keep)
            for folder in list(snapshot_folders(self._index)):
                if _is_lost(folder):
                    remove(folder)
                    removed.append(folder.name)
            return Pruned(removed, sorted(folder.name for folder in snapshot_folders(self._index)))

    def _folder(self, name: str) -> Path:
        return self._index / "snapshots" / name

    def _current(self) -> str | None:
        """The name in `current`, or None where it is missing or names no snapshot.

        Raises:
            IndexMissingError: nothing was indexed there.
        """
        try:
            return current_name(self._index)
        except IndexDamagedError:
            return None

    def _previous(self) -> Path:
        """The newest snapshot that is older than the current one; the newest one where that cannot be read."""
        current = self._current()
        there = stored(self._index)
        sequence = next((manifest.sequence for folder, manifest in there if folder.name == current), None)
        older = [folder for folder, manifest in there if sequence is None or manifest.sequence < sequence]
        if not older:
            raise ConflictError(
                "There is no earlier snapshot to go back to: rebuild the index with `rag-qa index PATH --index "
                f"{self._index}`."
            )
        return older[0]


def _problem(folder: Path) -> str:
    """Returns the reason why a snapshot cannot be read; empty where it can."""
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
    """Returns whether neither this version nor a later one can read a snapshot."""
    try:
        read_manifest(folder)
    except IndexDamagedError:
        return True
    except IndexMismatchError as error:
        return error.found is not None and error.found < FORMAT
    return False


def _digests(snapshot: Snapshot) -> dict[str, bytes]:
    """The digest of every document of a snapshot, by path."""
    with closing(DocumentTable(snapshot.contents)) as table:
        return {location.path: location.digest for location in table.each()}


def _differing(before: Manifest, after: Manifest) -> dict[str, list[str]]:
    """Settings and encoders of two snapshots, where they differ."""
    old, new = (
        structs.asdict(each.settings) | {"encoder": f"{each.encoder.name} {each.encoder.digest}"}
        for each in (before, after)
    )
    return {name: [str(old[name]), str(new[name])] for name in old if old[name] != new[name]}
