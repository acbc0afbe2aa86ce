"""Lists of the files under the indexed paths: those to be read, and the others with the reasons."""

import os
import re
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from msgspec import Struct

from rag_qa.errors import InputError
from rag_qa.files import MEGABYTE, shown_path
from rag_qa.types import FailedFile

__all__ = ["IGNORE_FILE", "SIDECAR", "SourceFile", "Sources", "check_paths", "find_sources", "refused"]

IGNORE_FILE = ".ragqaignore"
SIDECAR = ".meta.json"


class SourceFile(Struct, frozen=True):
    """A file to be read."""

    location: Path
    path: str
    """Path of its document, relative to the indexed folder."""
    source: str
    """Path as the user named it."""
    sidecar: Path | None = None
    """The file beside it with metadata."""


class Sources(Struct, frozen=True):
    """Every file under the paths, in exactly one of the lists; each is sorted by document path."""

    files: list[SourceFile]
    failed: list[FailedFile]
    ignored: list[str]
    """Paths that .ragqaignore leaves out, and these files themselves."""
    sidecars: list[str]
    paths: tuple[str, ...]
    """Paths that were searched, as they were named."""


def find_sources(paths: Sequence[Path], max_file_mb: int, leave_out: Path | None = None) -> Sources:
    """Searches folders, without following symbolic links to other folders.

    With one path, documents are named relative to it; with several, the name begins with the last part of each path.

    Args:
        paths: folders or files.
        max_file_mb: size of the largest file to read, in megabytes.
        leave_out: a folder whose content is not looked at (the index).

    Raises:
        InputError: a path does not exist, two paths end in the same name, or a .ragqaignore cannot be understood.
    """
    check_paths(paths)
    given = {path.resolve() for path in paths}
    paths = [path for path in paths if path.is_dir() or described(path.resolve()) not in given]  # `papers/*`, say
    names = [path.resolve().name if path.is_dir() else path.name for path in paths]
    if doubled := [name for name, count in Counter(names).items() if count > 1]:
        raise InputError(f"Two of the paths end in “{doubled[0]}”, so documents could not be told apart: rename one.")
    found = Sources([], [], [], [], tuple(shown_path(path) for path in paths))
    for path, name in zip(paths, names, strict=True):
        prefix = PurePosixPath(name) if len(paths) > 1 and path.is_dir() else PurePosixPath()
        root = _Root(path, prefix, leave_out.resolve() if leave_out else None, max_file_mb)
        root.sort_into(found)
    found.files.sort(key=lambda file: file.path)
    found.failed.sort(key=lambda file: file.path)
    found.ignored.sort()
    found.sidecars.sort()
    return found


def check_paths(paths: Iterable[Path]) -> None:
    """Checks that the paths exist.

    Raises:
        InputError: one is not.
    """
    if missing := next((path for path in paths if not path.exists()), None):
        raise InputError(f"There is no file or folder “{shown_path(missing)}”: check the path.")


def described(sidecar: Path) -> Path | None:
    """The file that a sidecar of this name describes, or None where it is no name of a sidecar."""
    name = sidecar.name.removesuffix(SIDECAR)
    return sidecar.with_name(name) if name not in {"", sidecar.name} else None


def refused(status: os.stat_result, max_file_mb: int) -> str | None:
    """Returns the reason not to open a file of this kind and size, or None; a pipe would block, a device never end."""
    if stat.S_ISDIR(status.st_mode):
        return "a symbolic link to a folder: index that folder itself"
    if not stat.S_ISREG(status.st_mode):
        return "not a regular file"
    if status.st_size == 0:
        return "no text: the file is empty"
    if status.st_size > max_file_mb * MEGABYTE:
        return f"larger than max_file_mb, {max_file_mb} MB: split it, or raise that setting"
    return None


class _Root:
    """One of the paths."""

    def __init__(self, path: Path, prefix: PurePosixPath, leave_out: Path | None, max_file_mb: int) -> None:
        self.path = path
        self.folder = path if path.is_dir() else path.parent
        self.prefix = prefix
        self.leave_out = leave_out
        self.max_file_mb = max_file_mb
        self.inside = path.resolve() if path.is_dir() else path.resolve().parent
        self._ignores: dict[Path, _IgnoreFile] = {}

    def sort_into(self, found: Sources) -> None:
        for folder, files in self._folders(found):
            names = set(files)
            for name in files:
                location = folder / name
                document = self._document(location)
                whose = described(location)
                if name == IGNORE_FILE or self._is_ignored(location):
                    found.ignored.append(document)
                elif reason := self._refused(location):
                    found.failed.append(FailedFile(document, reason))
                elif whose and whose.name in names and not self._is_ignored(whose):
                    found.sidecars.append(document)
                else:
                    beside = folder / f"{name}{SIDECAR}"
                    used = beside.name in names and not self._is_ignored(beside) and not self._refused(beside)
                    source = shown_path(PurePosixPath(location.as_posix()))
                    found.files.append(SourceFile(location, document, source, beside if used else None))

    def _folders(self, found: Sources) -> Iterator[tuple[Path, list[str]]]:
        """Folders with the names of their files, links to folders among them."""
        if self.folder != self.path:
            sidecar = self.path.with_name(f"{self.path.name}{SIDECAR}")
            yield self.folder, [self.path.name, *([sidecar.name] if sidecar.exists() else [])]
            return
        unlistable: list[OSError] = []
        for folder, subfolders, files in os.walk(self.path, onerror=unlistable.append):
            here = Path(folder)
            links = [name for name in subfolders if (here / name).is_symlink()]
            subfolders[:] = [
                name for name in subfolders if name not in links and (here / name).resolve() != self.leave_out
            ]
            if IGNORE_FILE in files:
                self._ignores[here] = _IgnoreFile(here / IGNORE_FILE)
            yield here, sorted(files + links)
        for error in unlistable:
            folder_path = Path(error.filename)
            if not self._is_ignored(folder_path):
                reason = f"the folder cannot be read: {error.strerror}"
                found.failed.append(FailedFile(self._document(folder_path), reason))

    def _document(self, location: Path) -> str:
        return shown_path(self.prefix / location.relative_to(self.folder).as_posix())

    def _is_ignored(self, location: Path) -> bool:
        """Returns whether a .ragqaignore in a folder above leaves it out; the lower folder decides, as in git."""
        if not self._ignores:
            return False
        relative = location.relative_to(self.path)
        for depth in range(1, len(relative.parts) + 1):  # a folder that is left out takes all in it with it
            part = self.path.joinpath(*relative.parts[:depth])
            ignored = False
            for above in reversed(part.parents):
                if above in self._ignores:
                    name = part.relative_to(above).as_posix()
                    decided = self._ignores[above].decision(name, is_folder=depth < len(relative.parts))
                    ignored = ignored if decided is None else decided
            if ignored:
                return True
        return False

    def _refused(self, location: Path) -> str | None:
        """Returns the reason not to open a file, or None."""
        try:
            status = location.stat()
            resolved = location.resolve() if location.is_symlink() and location != self.path else None
        except OSError as error:
            return f"cannot be read: {error.strerror}"
        if resolved and not resolved.is_relative_to(self.inside) and not stat.S_ISDIR(status.st_mode):
            return "a symbolic link out of the folder: copy the file into it, or index the other folder too"
        return refused(status, self.max_file_mb)


class _IgnoreFile:
    """The patterns of a .ragqaignore, for the folder it lies in."""

    def __init__(self, path: Path) -> None:
        """Reads the file.

        Raises:
            InputError: it cannot be understood.
        """
        from pathspec import GitIgnoreSpec, PathSpec
        from pathspec.patterns.gitignore import GitIgnorePatternError

        try:
            lines = path.read_text("utf-8-sig").splitlines()
            # A folder is decided by the last pattern that matches it, so that `*`, `!*/` lets all folders in;
            # GitIgnoreSpec gives patterns that name a folder less weight than those that name a file in it.
            self._folders = PathSpec.from_lines("gitignore", lines)
            self._files = GitIgnoreSpec.from_lines(lines)
        except (OSError, GitIgnorePatternError, ValueError, re.error) as error:
            raise InputError(f"{shown_path(path)} cannot be understood ({error}): write it as a .gitignore.") from None

    def decision(self, name: str, *, is_folder: bool) -> bool | None:
        """Returns whether a name, relative to the folder, is left out, or None where no pattern speaks of it."""
        return self._folders.check_file(f"{name}/").include if is_folder else self._files.check_file(name).include
