"""The managed folder: files that administrators upload and remove, under names that cannot lead out of it.

A file is written beside the folder's documents under a name that indexing leaves out, read once by the readers with
their limits, and takes its place in one rename, so that a run of indexing meets the old file or the new one.
"""

import hashlib
import re
import secrets
import shutil
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from msgspec import Struct, structs

from rag_qa.errors import InputError, NoRoomError, NotFoundError, ReadError, TooLargeError, UnreadableError
from rag_qa.files import MEGABYTE, sync
from rag_qa.ingest.parsers.metadata import sidecar_fields
from rag_qa.ingest.parsers.pool import ParserPool
from rag_qa.ingest.sources import IGNORE_FILE, SIDECAR, SourceFile
from rag_qa.settings import Settings

__all__ = ["ManagedFile", "ManagedFolder", "Upload"]

STAGING = ".uploads"
LONGEST_PART = 200  # bytes of a name, of which file systems take 255
LONGEST_NAME = 1000
DEEPEST = 20
FORBIDDEN = re.compile(r'[<>:"|?*\\\ufffd]')  # what some file systems do not take, and bytes that were no text


class ManagedFile(Struct, frozen=True, kw_only=True):
    """A file of the managed folder."""

    path: str
    """Path relative to the folder, with slashes."""
    size: int
    """Size in bytes."""
    sha256: str | None = None
    """Digest of an upload; None for a file that is listed."""


class Upload:
    """A file on its way in."""

    def __init__(self, folder: "ManagedFolder", path: PurePosixPath, temporary: Path) -> None:
        self._folder = folder
        self._path = path
        self._temporary = temporary
        self._file = temporary.open("xb")
        self._digest = hashlib.sha256()
        self._size = 0

    def write(self, data: bytes) -> None:
        """Writes the next bytes.

        Raises:
            TooLargeError, NoRoomError: they are too many, or the disk takes no more.
        """
        self._size += len(data)
        self._folder.check_size(self._size)
        self._digest.update(data)
        with _on_disk():
            self._file.write(data)

    def finish(self) -> tuple[ManagedFile, bool]:
        """Reads the file once, and lets it take its place; returns it, and whether there was none before.

        Raises:
            UnreadableError, NoRoomError: no reader gets a text from it, or the disk takes no more.
            InputError: there is a folder of this name, or a file where a folder is named.
        """
        with _on_disk():
            self._file.close()
            sync(self._temporary)
        self._folder.check_readable(self._temporary, self._path)
        target = self._folder.place(self._path)
        new = not target.exists()
        with _on_disk():
            target.parent.mkdir(parents=True, exist_ok=True)
            self._temporary.replace(target)
            sync(target.parent)
        return ManagedFile(path=str(self._path), size=self._size, sha256=self._digest.hexdigest()), new

    def discard(self) -> None:
        """Removes what has not taken its place."""
        with suppress(OSError):  # what a full disk did not take
            self._file.close()
        shutil.rmtree(self._temporary.parent, ignore_errors=True)


class ManagedFolder:
    """The folder."""

    def __init__(self, settings: Settings) -> None:
        """Takes the settings that name the folder and the limits of parsing.

        Raises:
            NotFoundError: there is none.
        """
        self._settings = settings
        self._root = Path(settings.managed_folder).resolve()
        if not settings.managed_folder or not self._root.is_dir():
            raise NotFoundError("No folder is managed here: the setting managed_folder names one.")

    @property
    def root(self) -> Path:
        """Path of the folder."""
        return self._root

    def files(self) -> list[ManagedFile]:
        """All files in it but those that are hidden, by path."""
        found = []
        for path in self._root.rglob("*"):
            relative = path.relative_to(self._root)
            if path.is_file() and not path.is_symlink() and not any(part.startswith(".") for part in relative.parts):
                found.append(ManagedFile(path=relative.as_posix(), size=path.stat().st_size))
        return sorted(found, key=lambda file: file.path)

    def check_size(self, size: int) -> None:
        """Refuses more bytes than the readers take.

        Raises:
            TooLargeError: there are more.
        """
        most = self._settings.max_file_mb
        if size > most * MEGABYTE:
            raise TooLargeError(f"The document is larger than max_file_mb, {most} MB: split it.")

    def upload(self, named: str) -> Upload:
        """Begins to take a file; `discard` has to be called in the end.

        Args:
            named: its path in the folder, with slashes.

        Raises:
            InputError: the name cannot be that of a file here.
            NoRoomError: the disk takes no more.
        """
        path = _checked(named)
        self.place(path)
        staging = self._root / STAGING / secrets.token_hex(8)
        with _on_disk():
            try:
                staging.mkdir(parents=True)
                (self._root / STAGING / IGNORE_FILE).write_text("*\n")
                return Upload(self, path, staging / f"file{path.suffix}")
            except OSError:
                shutil.rmtree(staging, ignore_errors=True)
                raise

    def sweep(self) -> None:
        """Removes what was on its way when a service was killed."""
        for left in (self._root / STAGING).glob("*/"):
            shutil.rmtree(left, ignore_errors=True)

    def remove(self, named: str) -> None:
        """Removes a file, and folders that become empty by it.

        Raises:
            InputError: the name cannot be that of a file here.
            NotFoundError: there is no such file.
        """
        target = self.place(_checked(named))
        if not target.is_file():
            raise NotFoundError(f"The managed folder has no file “{named[:80]}”.")
        with _on_disk():
            target.unlink()
            sync(target.parent)
            for folder in target.parents:
                if folder == self._root or any(folder.iterdir()):
                    break
                folder.rmdir()

    def place(self, path: PurePosixPath) -> Path:
        """Path of a file of this name, existing or not.

        Raises:
            InputError: there is a folder of this name, a file where a folder is named, or a symbolic link.
        """
        target = self._root / path
        for folder in (target, *target.parents):
            if folder == self._root:
                break
            if folder.is_symlink() or (folder.is_dir() if folder == target else folder.is_file()):
                raise InputError(f"“{path}” cannot be a file here: “{folder.name}” is something else already.")
        return target

    def check_readable(self, file: Path, path: PurePosixPath) -> None:
        """Reads a file as indexing would.

        Raises:
            UnreadableError: no text could be had from it.
        """
        if path.name.endswith(SIDECAR):
            try:
                sidecar_fields(file.read_bytes())
            except ReadError as error:
                raise UnreadableError(f"“{path}”: {error}.") from None
            return
        with ParserPool(structs.replace(self._settings, readers=1)) as pool:
            _, read = next(pool.read([SourceFile(file, str(path), str(path))]))
        if not read.documents:
            raise UnreadableError(f"“{path}”: {read.reason}.")


def _checked(named: str) -> PurePosixPath:
    """A name as a path within the folder.

    Raises:
        InputError: it leads out of it, is hidden, or no name that every file system takes.
    """
    named = unicodedata.normalize("NFC", named)
    parts = named.split("/")
    if len(parts) > DEEPEST:
        raise InputError(f"The name has {len(parts)} parts: at most {DEEPEST} folders lie in one another.")
    for part in parts:
        if not part or part.startswith(".") or part != part.strip() or not part.isprintable() or FORBIDDEN.search(part):
            raise InputError(
                f"“{named[:80]}” is no name for a document: it must be made of printable parts between slashes, none "
                'of which is empty, begins with a dot, or has one of <>:"|?*\\ in it.'
            )
        if len(part.encode("utf-8", "surrogatepass")) > LONGEST_PART:
            raise InputError(f"A part of the name has more than {LONGEST_PART} bytes: shorten it.")
    if len(named.encode("utf-8", "surrogatepass")) > LONGEST_NAME:
        raise InputError(f"The name has more than {LONGEST_NAME} bytes: shorten it.")
    return PurePosixPath(*parts)


@contextmanager
def _on_disk() -> Iterator[None]:
    """Raises NoRoomError, which names no path of this machine, where the disk refuses to write."""
    try:
        yield
    except OSError as error:
        raise NoRoomError(f"The managed folder cannot be changed ({error.strerror or error}).") from None
