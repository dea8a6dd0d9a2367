"""The files of one authority's revocation lists: read with the document, and again one by one as they change.

A list that cannot be used is a *fault*: a server that runs goes on, and the judge refuses with ``revocation-unknown`` whom
the list would have vouched for (R12). A list that is fetched lies in a file as well; before it has come for the first time,
and where nobody fetches it, it is *awaited*: that is no fault of the document, and refuses all the same.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sipmesh.topology.document.crl_cache import is_left_for_later, read_list
from sipmesh.topology.document.files import UnusableFileError
from sipmesh.topology.document.yaml_tree import dotted
from sipmesh.trust.revocation.crl import RevocationList, RevocationLists, UnusableListError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from pathlib import Path

    from cryptography import x509

    from sipmesh.errors import Problem
    from sipmesh.topology.document.yaml_tree import Loc

LARGEST_LIST = 64 << 20
"""Octets: over a million revoked serials. What a document allows an authority is mostly less (`AuthorityEntry.list_limit`)."""

FETCHED = "state/fetched"
"""The folder of what is fetched; all of it may be deleted, and is fetched again."""


@dataclass(frozen=True, slots=True)
class ListFile:
    """One file, by the *name* that the document has for it; *fault* is what is told of it, but for the reason.

    *largest* is how many octets it may have.
    """

    loc: Loc
    name: str
    file: Path
    fault: Problem
    fetched: bool = False
    largest: int = LARGEST_LIST

    @property
    def is_awaited(self) -> bool:
        """Whether it is fetched, and has not come yet."""
        return self.fetched and not self.file.exists()


def fetched_file(folder: Path, url: str) -> Path:
    """Where a list lies that is fetched from *url*, below the organisation's *folder*."""
    return folder / FETCHED / f"{hashlib.sha256(url.encode()).hexdigest()[:32]}.crl"


class ListFiles:
    """What the list files of one authority held when each was read last.

    *issuers* are the CAs that are known to stand under the authority, each of which needs a list; *lack* is what is told of
    one that has none, but for the reason. It is None where no list is needed.
    """

    __slots__ = ("_carried", "_faults", "_found", "_issuers", "_lack", "_later", "files")

    def __init__(self, files: Sequence[ListFile], issuers: Sequence[x509.Certificate], lack: Problem | None) -> None:
        self.files = tuple(files)
        self._issuers, self._lack = tuple(issuers), lack
        self._found: dict[Loc, RevocationList] = {}
        self._faults: dict[Loc, Problem] = {}
        self._carried: tuple[RevocationList, ...] = ()
        self._later: set[Loc] = set()
        self.read([one.file for one in files])

    def __repr__(self) -> str:
        return f"<ListFiles {', '.join(one.name for one in self.files)}: {len(self._found)} usable>"

    @property
    def issuers(self) -> tuple[x509.Certificate, ...]:
        """The CAs that are known to stand under the authority, its anchors among them."""
        return self._issuers

    def read(self, changed: Collection[Path]) -> None:
        """Read those of *changed* that are ours."""
        for one in self.files:
            if one.file in changed:
                before = self._found.pop(one.loc, None)
                self._faults.pop(one.loc, None)
                self._later.discard(one.loc)
                if one.is_awaited:
                    continue
                if is_left_for_later(one.file):
                    self._later.add(one.loc)
                    continue
                try:
                    self._found[one.loc] = _read_list(one, self._issuers, before)
                except (UnusableFileError, UnusableListError) as wrong:
                    self._faults[one.loc] = replace(one.fault, reason=f"{one.name}: {wrong}")
                    if before is not None and isinstance(wrong, OlderListError):
                        self._found[one.loc] = before

    @property
    def lists(self) -> tuple[tuple[Loc, RevocationList], ...]:
        """Every usable list with its place in the document, in the document's order."""
        return tuple((one.loc, self._found[one.loc]) for one in self.files if one.loc in self._found)

    def found_in(self, file: Path) -> RevocationList | None:
        """Give the list in *file*, if that is ours and its list can be used."""
        return next((self._found[one.loc] for one in self.files if one.file == file and one.loc in self._found), None)

    @property
    def faults(self) -> tuple[Problem, ...]:
        """What cannot be used, and what is missing."""
        return (*(self._faults[one.loc] for one in self.files if one.loc in self._faults), *self._lacking())

    def _lacking(self) -> Iterator[Problem]:
        """Every anchor and every CA below it issues something in the chain, so that each needs a list.

        Whose lists those are that have still to come is not known.
        """
        if self._lack is None or self.awaited:
            return
        have = {
            found.issuer_der for found in self._found.values() if found.base is None
        }  # a delta alone speaks for nobody
        for issuer in self._issuers:
            if issuer.subject.public_bytes() not in have:
                yield replace(self._lack, reason=f"no usable revocation list of {issuer.subject.rfc4514_string()}")

    @property
    def awaited(self) -> tuple[ListFile, ...]:
        """The lists that are fetched and have not come yet, and those that a thread is still to read."""
        known = {*self._found, *self._faults}
        return tuple(one for one in self.files if (one.fetched or one.loc in self._later) and one.loc not in known)

    @property
    def left_for_later(self) -> tuple[ListFile, ...]:
        """The large lists that were not read with the document (`sipmesh.topology.document.crl_cache`)."""
        return tuple(one for one in self.files if one.loc in self._later)

    def carry(self, lists: Iterable[RevocationList]) -> None:
        """Let *lists* of before speak on for those CAs of which no list has come yet, while some are awaited.

        So a list that is named by another place from now on cuts nobody off until it has come from there.
        """
        self._carried = tuple(lists)

    def held(self) -> RevocationLists:
        """Give the lists as the judge wants them."""
        have = {found.issuer_der for found in self._found.values()}
        carried = [one for one in self._carried if one.issuer_der not in have] if self.awaited else []
        told = tuple(f"{fault.field}: {fault.reason}" for fault in self.faults)
        told += tuple(f"{dotted(one.loc)}: {_why_awaited(one)}" for one in self.awaited)
        return RevocationLists([*(found for _, found in self.lists), *carried], told)


class OlderListError(UnusableListError):
    """A list that is older than the one that was read of the same file before."""


def _why_awaited(one: ListFile) -> str:
    return f"not fetched yet from {one.name}" if one.is_awaited else f"{one.name} is large; sipmesh is still reading it"


def _read_list(one: ListFile, issuers: Sequence[x509.Certificate], before: RevocationList | None) -> RevocationList:
    """Read a list; where a CA that we know bears the name of its issuer, that CA must have signed it.

    A list of the same CA and scope that is older than the one *before* does not take its place: whoever can write to the file
    puts no revocation out of force by that.
    """
    found = read_list(one.file, one.largest)
    if found.is_forged(issuers):
        raise UnusableListError(f"is not signed by {found.issuer.rfc4514_string()}, its issuer by name")
    if before is not None and found.is_older_than(before):
        raise OlderListError(f"revocation list {found.number} is older than list {before.number}, which stays in force")
    return found
