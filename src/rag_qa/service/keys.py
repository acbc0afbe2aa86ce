"""API keys: a file of their digests, and the look-up of the one that a request carries.

A key is `ragqa_ID_SECRET`: the id names it in lists and logs, the secret is 256 random bits, so that its SHA-256 tells
nothing of it and needs no salt or slow digest. The key itself is shown once, when it is made, and kept nowhere.
"""

import hashlib
import hmac
import logging
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Literal

import msgspec
from filelock import FileLock
from msgspec import Struct, structs

from rag_qa.errors import InputError, KeysError, NotFoundError
from rag_qa.files import write_atomically
from rag_qa.schemas import json_decoder

__all__ = ["NO_KEY", "Caller", "Key", "Keys", "Scope", "create_key", "read_keys", "revoke_key"]

Scope = Literal["ask", "admin"]
PREFIX = "ragqa"
NOBODY = hashlib.sha256(b"").hexdigest()
"""Digest that a key of an unknown id is compared with."""
LONGEST_NAME = 80
LOGGER = logging.getLogger("rag_qa.service")


class Key(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The stored part of a key."""

    id: str
    name: str
    """Owner or purpose of the key."""
    scopes: tuple[Scope, ...]
    created: str
    revoked: str | None = None
    sha256: str

    def may(self, scope: Scope) -> bool:
        """Returns whether the key opens what a scope stands for; an administrator may also ask."""
        return scope in self.scopes or "admin" in self.scopes


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    keys: tuple[Key, ...]


_FILES = json_decoder(_File)


def read_keys(path: Path) -> tuple[Key, ...]:
    """All keys, those that were revoked among them, in the order in which they were made; none where there is no file.

    Raises:
        KeysError: the file is not one of keys, or cannot be read.
    """
    try:
        return _FILES.decode(path.read_bytes()).keys
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise KeysError(f"The keys in {path} cannot be read ({error.strerror}): see to its owner and rights.") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise KeysError(f"{path} is no file of keys: restore it, or move it away and make new keys.") from None


def create_key(path: Path, name: str, scopes: Sequence[Scope]) -> tuple[Key, str]:
    """Makes a key.

    Args:
        path: the file of keys, made if it is missing, for its owner alone.
        name: whose it is, or what it is for.
        scopes: what it opens.

    Returns:
        What is kept of it, and the key itself, which is kept nowhere.

    Raises:
        InputError: the name is empty, too long, not printable, or that of another key that is not revoked.
        KeysError: the file is not one of keys.
    """
    if not name.strip() or len(name) > LONGEST_NAME or not name.isprintable():
        raise InputError(f"A key needs a name of 1 to {LONGEST_NAME} printable characters that tells whose it is.")
    with _alone(path):
        keys = read_keys(path)
        if any(key.name == name and not key.revoked for key in keys):
            raise InputError(f"There is a key “{name}” already: revoke it, or choose another name.")
        key_id = secrets.token_hex(4)
        while key_id in {key.id for key in keys}:
            key_id = secrets.token_hex(4)
        whole = f"{PREFIX}_{key_id}_{secrets.token_urlsafe(32)}"
        made = Key(id=key_id, name=name, scopes=tuple(scopes), created=_now(), sha256=_digest(whole))
        _write(path, (*keys, made))
    return made, whole


def revoke_key(path: Path, named: str) -> Key:
    """Revokes a key, which a running service notices at once.

    Args:
        path: the file of keys.
        named: its id, or its name.

    Returns:
        The key as it is kept.

    Raises:
        NotFoundError: there is no such key that is not revoked already.
        KeysError: the file is not one of keys.
    """
    unknown = NotFoundError(f"There is no key “{named[:LONGEST_NAME]}” to revoke: `rag-qa keys list` names them.")
    if not path.exists():
        raise unknown
    with _alone(path):
        keys = read_keys(path)
        valid = [key for key in keys if not key.revoked]
        found = next((key for by in ("id", "name") for key in valid if getattr(key, by) == named), None)
        if found is None:
            raise unknown
        revoked = structs.replace(found, revoked=_now())
        _write(path, [revoked if key is found else key for key in keys])
    return revoked


class Keys:
    """The keys of a running service, read again whenever their file has changed; safe to share between threads."""

    def __init__(self, path: Path) -> None:
        """Reads the keys; errors as `read_keys`."""
        self._path = path
        self._lock = Lock()
        self._seen: tuple[int, int, int] | None = self._moment()
        self._by_id = {key.id: key for key in read_keys(path)}

    def find(self, text: str) -> Key | None:
        """The key of which `text` is all, unless it was revoked; compared in constant time."""
        prefix, _, rest = text.partition("_")
        known = self.named(rest.partition("_")[0]) if prefix == PREFIX else None
        same = hmac.compare_digest(_digest(text), known.sha256 if known else NOBODY)
        return known if same else None

    def named(self, key_id: str) -> Key | None:
        """The key of this id, unless it was revoked."""
        key = self._current().get(key_id)
        return key if key and not key.revoked else None

    def _current(self) -> dict[str, Key]:
        """The keys as their file has them now; none where it cannot be read, so that nobody is let in by mistake."""
        with self._lock:
            if (moment := self._moment()) != self._seen:
                try:
                    self._by_id = {key.id: key for key in read_keys(self._path)}
                    self._seen = moment
                except KeysError as error:  # read again with the next request
                    LOGGER.error("no key is valid: %s", error)
                    self._by_id, self._seen = {}, None
            return self._by_id

    def _moment(self) -> tuple[int, int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns, status.st_size


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Holds the file of keys for one change; makes it, for its owner alone, if it is missing."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{path.name}.lock")):
            if not path.exists():
                path.touch(mode=0o600)
                _write(path, ())
            yield
    except OSError as error:
        raise KeysError(f"The keys in {path} cannot be changed ({error.strerror or error}).") from None


def _write(path: Path, keys: Sequence[Key]) -> None:
    write_atomically(path, msgspec.json.format(msgspec.json.encode(_File(tuple(keys))), indent=1).decode() + "\n")


def _digest(whole: str) -> str:
    return hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


NO_KEY = "A key is needed: send it as “Authorization: Bearer KEY”, or sign in at /sign-in; an administrator makes one."


class Caller(Struct, frozen=True):
    """The sender of a request."""

    key: Key | None = None
    free: bool = False
    """True if no key is needed."""
    signed_in: bool = False
    """True if the key came by the cookie of the pages."""
    problem: str = NO_KEY
    """The reason why there is no key."""

    def may(self, scope: Scope) -> bool:
        """Returns whether the caller may do what a scope stands for."""
        return self.free or (self.key is not None and self.key.may(scope))
