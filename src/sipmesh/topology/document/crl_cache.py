"""Revocation lists that were read, kept by their content: a large list is read once in a process, whoever asks for it.

A list of a hundred thousand entries takes half a second to read. A running server has that done by a thread (`prepare_file`,
`prepare`), and its loop then takes the finished list: nothing but the file's state is looked at again.
"""

from __future__ import annotations

from collections import OrderedDict
from contextlib import contextmanager
from contextvars import ContextVar
from hashlib import sha256
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

from sipmesh.topology.document.files import UnusableFileError, read_file
from sipmesh.trust.revocation.crl import RevocationList, UnusableListError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LARGE = 256 << 10
"""Octets from which on a list is read by a thread; a smaller one has 5,000 entries, and is read in some 20 ms."""

KEPT = 64
"""Large lists that are kept beyond those in force, and what was wrong with those that could not be used."""

State = tuple[int, int, int]
K = TypeVar("K")
V = TypeVar("V")

_lock = Lock()
_by_digest: OrderedDict[bytes, RevocationList | str] = OrderedDict()
_by_file: OrderedDict[Path, tuple[State, bytes]] = OrderedDict()
_later: ContextVar[bool] = ContextVar("large lists are read later", default=False)


def read_content(content: bytes) -> RevocationList:
    """Read a list, or give the one that was read of the same *content*; raises `UnusableListError`."""
    return _read(content, sha256(content).digest()) if len(content) >= LARGE else RevocationList.load(content)


def read_list(file: Path, largest: int) -> RevocationList:
    """Read the list in *file*, or give the one that was read while the file looked the same.

    Raises `UnusableFileError` for more octets than *largest* and for a file that cannot be read, and `UnusableListError`.
    """
    before = _state(file)
    if before is not None and before[1] >= LARGE:
        if before[1] > largest:
            raise UnusableFileError(f"is larger than {largest} octets")
        with _lock:
            known = _by_file.get(file)
            found = _by_digest.get(known[1]) if known is not None and known[0] == before else None
        if found is not None:
            return _given(found)
    content = read_file(file, largest)
    if len(content) < LARGE:
        return RevocationList.load(content)
    digest = sha256(content).digest()
    try:
        return _read(content, digest)
    finally:
        if before is not None and _state(file) == before:
            _keep(_by_file, file, (before, digest))


def is_read(content: bytes) -> bool:
    """Whether reading *content* takes no time: it is small, or was read."""
    if len(content) < LARGE:
        return True
    with _lock:
        return sha256(content).digest() in _by_digest


def is_file_read(file: Path) -> bool:
    """Whether reading *file* takes no time: it is small or not there, or was read as it looks now."""
    state = _state(file)
    if state is None or state[1] < LARGE:
        return True
    with _lock:
        known = _by_file.get(file)
        return known is not None and known[0] == state and known[1] in _by_digest


def prepare(content: bytes) -> None:
    """Read a list ahead, in a thread; what is wrong with it is told to who reads it then."""
    try:
        read_content(content)
    except UnusableListError:
        return


def prepare_file(file: Path, largest: int) -> None:
    """The same for the list in *file*."""
    try:
        read_list(file, largest)
    except (UnusableFileError, UnusableListError):
        return


@contextmanager
def large_lists_later() -> Iterator[None]:
    """While a running server reads a document: large lists that were not read yet are left out, and awaited."""
    token = _later.set(True)
    try:
        yield
    finally:
        _later.reset(token)


def is_left_for_later(file: Path) -> bool:
    """Whether *file* is not to be read now."""
    return _later.get() and not is_file_read(file)


def _read(content: bytes, digest: bytes) -> RevocationList:
    with _lock:
        found = _by_digest.get(digest)
    if found is None:
        try:
            found = RevocationList.load(content)
        except UnusableListError as wrong:
            found = str(wrong)
        _keep(_by_digest, digest, found)
    return _given(found)


def _given(found: RevocationList | str) -> RevocationList:
    if isinstance(found, str):
        raise UnusableListError(found)
    return found


def _keep(held: OrderedDict[K, V], key: K, value: V) -> None:
    with _lock:
        held[key] = value
        held.move_to_end(key)
        while len(held) > KEPT:
            held.popitem(last=False)


def _state(file: Path) -> State | None:
    try:
        found = file.stat()
    except (OSError, ValueError):
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
