"""A cache of parsed CRLs, by content. Each process parses a large CRL once.

A CRL with a hundred thousand entries takes half a second to parse. A running server parses it in a thread (`prepare_file`,
`prepare`). Then the event loop reads the parsed CRL from the cache, and only checks that the file is unchanged.
"""

from __future__ import annotations

from collections import OrderedDict
from contextlib import contextmanager
from contextvars import ContextVar
from hashlib import sha256
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

from sipmesh.topology.document.named_files.read import UnusableFileError, read_file
from sipmesh.trust.revocation.crl import RevocationList
from sipmesh.trust.revocation.crl_decoding import UnusableListError, without_surroundings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LARGE = 256 << 10
"""Octets from which a CRL is parsed in a thread. A CRL of this size has 5,000 entries, and takes about 20 ms."""

KEPT = 64
"""Large CRLs, or their errors, in the cache."""

State = tuple[int, int, int]
K = TypeVar("K")
V = TypeVar("V")

_lock = Lock()
_by_digest: OrderedDict[bytes, RevocationList | str] = OrderedDict()
_by_file: OrderedDict[Path, tuple[State, bytes]] = OrderedDict()
_later: ContextVar[bool] = ContextVar("large lists are read later", default=False)


def read_content(content: bytes) -> RevocationList:
    """Parse a CRL, or give the cached CRL with the same *content*; raises `UnusableListError`."""
    return _read(content, sha256(content).digest()) if len(content) >= LARGE else RevocationList.load(content)


def octets_to_send(content: bytes) -> bytes:
    """Give the CRL in *content* for another server, and nothing that is around it; raises `UnusableListError`.

    What is no CRL never leaves this machine as one.
    """
    read_content(content)
    return without_surroundings(content)


def read_list(file: Path, largest: int) -> RevocationList:
    """Parse the CRL in *file*, or give the cached CRL if the file is unchanged.

    Raises `UnusableFileError` if the file cannot be read or has more octets than *largest*, and `UnusableListError`.
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


def is_file_read(file: Path) -> bool:
    """Tell whether *file* can be read without delay: it is small, missing, or in the cache and unchanged."""
    state = _state(file)
    if state is None or state[1] < LARGE:
        return True
    with _lock:
        known = _by_file.get(file)
        return known is not None and known[0] == state and known[1] in _by_digest


def prepare(content: bytes) -> None:
    """Parse a CRL into the cache, in a thread. The next `read_content` raises its error."""
    try:
        read_content(content)
    except UnusableListError:
        return


def prepare_file(file: Path, largest: int) -> None:
    """Parse the CRL in *file* into the cache, in a thread. The next `read_list` raises its error."""
    try:
        read_list(file, largest)
    except (UnusableFileError, UnusableListError):
        return


@contextmanager
def large_lists_later() -> Iterator[None]:
    """While the block runs, large CRLs that are not in the cache are left out and awaited. For running servers."""
    token = _later.set(True)
    try:
        yield
    finally:
        _later.reset(token)


def is_left_for_later(file: Path) -> bool:
    """Tell whether *file* must not be parsed now, because it is large and not in the cache."""
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


def _keep(cache: OrderedDict[K, V], key: K, value: V) -> None:
    with _lock:
        cache[key] = value
        cache.move_to_end(key)
        while len(cache) > KEPT:
            cache.popitem(last=False)


def _state(file: Path) -> State | None:
    try:
        found = file.stat()
    except (OSError, ValueError):
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
