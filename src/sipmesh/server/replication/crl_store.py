"""The CRL files of one machine: other servers get them, and CRLs from other servers are written to them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from sipmesh.distribution.items import Item, ItemKind
from sipmesh.errors import RemoteError
from sipmesh.pki import files
from sipmesh.pki.file_error import file_errors
from sipmesh.pki.ledger.ledger import FENCED
from sipmesh.server.process.file_stamps import Stamp, stamp
from sipmesh.topology.document.file_kind import OUR_CRL
from sipmesh.topology.document.named_files.crl_cache import octets_to_send, read_content
from sipmesh.topology.document.named_files.read import UnusableFileError, read_file
from sipmesh.trust.formatting import tell_time
from sipmesh.trust.revocation.crl import RevocationList
from sipmesh.trust.revocation.crl_decoding import UnusableListError
from sipmesh.trust.revocation.freshness import SKEW

if TYPE_CHECKING:
    from sipmesh.topology.document.load import Loaded

LARGEST_GIVEN = 4_900_000
"""Octets: a server accepts at most a body of 5 MB from another server."""


class NotBegunError(RemoteError):
    """A good CRL that begins at *begins*, some minutes ahead of our clock: until then the valid one stays.

    A server that has received it can store it again then: by a CRL that has not begun, no certificate is accepted.
    """

    def __init__(self, name: str, begins: datetime, at: datetime) -> None:
        super().__init__(f"CRL {name} rejected: {_ahead(begins, at)}", rule="rule R12", status=488)
        self.begins = begins


def too_large(loaded: Loaded) -> list[tuple[str, int]]:
    """Return the CRL files of *loaded* that no server gets from here, with their octets."""
    sizes = ((name, stamp(loaded.folder / name)) for name in loaded.list_names)
    return [(name, found[1]) for name, found in sizes if found is not None and found[1] > LARGEST_GIVEN]


class CrlStore:
    """The CRL files below *folder*, by their names in the topology; a file is read again when it has changed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: dict[str, tuple[Stamp, Item]] = {}

    def items(self, loaded: Loaded) -> Iterable[Item]:
        """Return every CRL that *loaded* names and that is on this machine. A file that is no CRL is left out."""
        for name in loaded.list_names:
            item = self._item(name)
            if item is not None:
                yield item

    def _item(self, name: str) -> Item | None:
        file = self._folder / name
        now = stamp(file)
        stored = self._seen.get(name)
        if stored is not None and stored[0] == now:
            return stored[1]
        try:
            content = octets_to_send(read_file(file, LARGEST_GIVEN))
        except (UnusableFileError, UnusableListError):
            return None
        item = Item(ItemKind.LIST, content, name)
        self._seen[name] = (now, item)
        return item

    def put(self, item: Item, loaded: Loaded, at: datetime) -> bool:
        """Write a received CRL to its file; return False if the file has the same CRL, or a newer one.

        Raises `RemoteError` for a CRL that no server could use: it must not replace a valid CRL. Raises `NotBegunError` for a CRL
        that can be used later.
        """
        if not is_portable(item.name):
            raise _refused(item.name, "its path leads out of the folder")
        file = self._folder / item.name
        stored = self._item(item.name)
        if stored is not None and stored.digest == item.digest:
            return False
        new = _usable(item, loaded, at)
        if stored is not None and not _replaces(new, read_content(stored.body), item.name, loaded, at):
            return False
        if stored is None and file.exists() and not OUR_CRL.has(PurePosixPath(item.name)):
            raise _refused(item.name, "the file there is no CRL")
        with file_errors(file):
            files.make_readable_folder(file.parent)
        files.write(file, octets_to_send(item.body))
        return True


def is_portable(name: str) -> bool:
    """Return whether a file of that name is below the folder, on any machine."""
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts


def _usable(item: Item, loaded: Loaded, at: datetime) -> RevocationList:
    """Read a received CRL; raises `RemoteError` if no server could use it."""
    try:
        new = read_content(item.body)
    except UnusableListError as wrong:
        raise _refused(item.name, str(wrong)) from None
    if at >= new.next_update:
        raise _refused(item.name, "its nextUpdate has passed")
    if new.this_update > at + SKEW:
        raise _refused(item.name, _ahead(new.this_update, at))
    known = [issuer for issuer in loaded.issuers_known if issuer.subject.public_bytes() == new.issuer_der]
    if new.is_forged(known):
        raise _refused(item.name, f"it is not signed by {new.issuer.rfc4514_string()}, its issuer by name")
    return new


def _replaces(new: RevocationList, old: RevocationList, name: str, loaded: Loaded, at: datetime) -> bool:
    """Return whether *new* replaces *old* in the file *name*; raises `RemoteError` if it must not."""
    if old.issuer_der != new.issuer_der and not _may_replace(old, new, name, loaded, at):
        raise _refused(name, f"its issuer is {new.issuer.rfc4514_string()}, and not {old.issuer.rfc4514_string()}")
    if name in loaded.topology.authority.crls and _is_overtaken(new, old):
        raise _refused(name, f"number {new.number} is of a management server that was overtaken")
    if not _is_valid(old, at) or _is_refuted(old, name, loaded):
        return True
    if _is_newer(new, old) and new.this_update > at:
        raise NotBegunError(name, new.this_update, at)
    return _is_newer(new, old)


def _is_valid(crl: RevocationList, at: datetime) -> bool:
    return crl.this_update <= at < crl.next_update


def _may_replace(old: RevocationList, new: RevocationList, name: str, loaded: Loaded, at: datetime) -> bool:
    """Return whether a CRL of another CA may replace *old*, in the file *name*.

    *old* must have expired, and no known CA has signed it. *new* must be of a known CA of the same authority, and no other file
    of that authority has a CRL of that CA. Without a CRL of a CA, all its certificates are refused, and only that CA can sign
    the next one. An attacker who passes CRLs on has those of all our CAs, and can make one of any name, with a nextUpdate of any
    year. A new CA needs a file of its own.
    """
    if _is_valid(old, at) or old.is_confirmed(loaded.issuers_known):
        return False
    of_file = [files for files in loaded.list_files if any(entry.name == name for entry in files.files)]
    beside = [crl for files in of_file for entry, crl in files.by_file() if entry.name != name]
    is_confirmed = new.is_confirmed(issuer for files in of_file for issuer in files.issuers)
    return is_confirmed and all(crl.issuer_der != new.issuer_der for crl in beside)


def _is_overtaken(new: RevocationList, old: RevocationList) -> bool:
    """Return whether a CRL of our own CA has a lower fencing number than *old*, in the first digits of its number.

    Its time does not count: the clock of that management server may be ahead.
    """
    return new.issuer_der == old.issuer_der and new.number // FENCED < old.number // FENCED


def _is_refuted(stored: RevocationList, name: str, loaded: Loaded) -> bool:
    """Return whether a handshake has brought the CA of a *stored* CRL, and that CA has not signed it.

    A CRL of an unknown CA is accepted, so that the CRL of a partner is here before its first link. An attacker who passes
    CRLs on may have made one with that name and a later time; it must not keep out the CRL of the CA.
    """
    read = (crl for files in loaded.list_files for entry, crl in files.by_file() if entry.name == name)
    return any(crl.is_refuted and _same(crl, stored) for crl in read)


def _same(one: RevocationList, other: RevocationList) -> bool:
    marks = [(crl.issuer_der, crl.number, crl.this_update, crl.next_update) for crl in (one, other)]
    return marks[0] == marks[1]


def _is_newer(new: RevocationList, old: RevocationList) -> bool:
    """Return whether *new*, of the same issuer, is not older than *old*."""
    return (new.this_update, new.number) >= (old.this_update, old.number)


def _ahead(begins: datetime, at: datetime) -> str:
    return f"its thisUpdate is {tell_time(begins)}, and the clock here says {tell_time(at)}"


def _refused(name: str, why: str) -> RemoteError:
    return RemoteError(f"CRL {name} rejected: {why}", rule="rule R12", status=488)
