"""The CRL files of one authority. They are read with the document, and again when a file changes.

A CRL that cannot be used is a *fault*. A running server continues, and the judge refuses the certificates that need this CRL
with ``revocation-unknown`` (R12). A CRL that servers fetch is in a file too. Before it is fetched the first time, it is
*awaited*: the document has no fault, but certificates that need it are refused too.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from sipmesh.topology.document.named_files.crl_cache import is_left_for_later, read_list
from sipmesh.topology.document.named_files.read import UnusableFileError
from sipmesh.topology.document.yaml_tree import dotted
from sipmesh.trust.revocation.crl import RevocationList
from sipmesh.trust.revocation.crl_decoding import UnusableListError
from sipmesh.trust.revocation.crl_set import RevocationLists

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from pathlib import Path

    from cryptography import x509

    from sipmesh.errors import Problem
    from sipmesh.topology.document.named_files.crl_points import CrlPoints
    from sipmesh.topology.document.yaml_tree import Loc
    from sipmesh.trust.revocation.crl_point import CrlPoint

LARGEST_LIST = 64 << 20
"""Octets; enough for over a million serial numbers. Most authorities have a lower limit (`AuthorityEntry.list_limit`)."""

NOT_SIGNED_BY: Final = "is not signed by "
"""So begins the fault of a CRL that a CA of the name of its issuer has not signed."""

FETCHED = "state/fetched"
"""The folder of fetched files. All of them may be deleted, and are fetched again."""


@dataclass(frozen=True, slots=True)
class ListFile:
    """One file. *name* is its name in the document. *fault* is the problem of a bad file, without its reason.

    *largest* is its maximum size in octets. *point* is the distribution point that names it, if the document does not.
    """

    loc: Loc
    name: str
    file: Path
    fault: Problem
    fetched: bool = False
    largest: int = LARGEST_LIST
    point: CrlPoint | None = None

    @property
    def is_awaited(self) -> bool:
        """Whether it is fetched from a URL, and was not fetched yet."""
        return self.fetched and not self.file.exists()


def fetched_file(folder: Path, url: str) -> Path:
    """Give the file of a CRL that is fetched from *url*. *folder* is that of the organisation."""
    return folder / FETCHED / f"{hashlib.sha256(url.encode()).hexdigest()[:32]}.crl"


class ListFiles:
    """The CRLs of one authority, as each file was read last.

    *issuers* are the known CAs of the authority. Each of them needs a CRL. *lack* is the problem of a CA without a CRL, except
    for its reason; None if no CRL is required. *points* are the CRLs that its certificates name, if the topology allows some.
    """

    __slots__ = ("_carried", "_faults", "_found", "_issuers", "_lack", "_later", "_named", "files", "points")

    def __init__(
        self,
        files: Sequence[ListFile],
        issuers: Sequence[x509.Certificate],
        lack: Problem | None,
        points: CrlPoints | None = None,
    ) -> None:
        self._named, self.points = tuple(files), points
        self.files = self._named + (points.read() if points is not None else ())
        self._issuers, self._lack = tuple(issuers), lack
        self._found: dict[Loc, RevocationList] = {}
        self._faults: dict[Loc, Problem] = {}
        self._carried: tuple[RevocationList, ...] = ()
        self._later: set[Loc] = set()
        self.read([crl_file.file for crl_file in self.files])

    @property
    def issuers(self) -> tuple[x509.Certificate, ...]:
        """The known CAs of the authority, including its anchors."""
        return self._issuers

    def read(self, changed: Collection[Path]) -> None:
        """Read those of the *changed* files that belong to this authority."""
        if self.points is not None and self.points.index in changed:
            changed = [*changed, *self._follow_points(self.points)]
        for crl_file in self.files:
            if crl_file.file in changed:
                before = self._found.pop(crl_file.loc, None)
                self._faults.pop(crl_file.loc, None)
                self._later.discard(crl_file.loc)
                if crl_file.is_awaited:
                    continue
                if is_left_for_later(crl_file.file):
                    self._later.add(crl_file.loc)
                    continue
                try:
                    self._found[crl_file.loc] = _read_list(crl_file, self._issuers, before)
                except (UnusableFileError, UnusableListError) as wrong:
                    self._faults[crl_file.loc] = replace(crl_file.fault, reason=f"{crl_file.name}: {wrong}")
                    if before is not None and isinstance(wrong, OlderListError):
                        self._found[crl_file.loc] = before

    def _follow_points(self, points: CrlPoints) -> list[Path]:
        """Have the CRLs that certificates name now, and no others; returns the files of those that are new."""
        before = {crl_file.loc for crl_file in self.files}
        self.files = self._named + points.read()
        for loc in before - {crl_file.loc for crl_file in self.files}:
            self._found.pop(loc, None)
            self._faults.pop(loc, None)
            self._later.discard(loc)
        return [crl_file.file for crl_file in self.files if crl_file.loc not in before]

    @property
    def watched(self) -> tuple[Path, ...]:
        """The files whose change requires to read them again: the CRLs, and the list of those that certificates name."""
        files = tuple(crl_file.file for crl_file in self.files)
        return files if self.points is None else (self.points.index, *files)

    @property
    def lists(self) -> tuple[tuple[Loc, RevocationList], ...]:
        """Give the usable CRLs, each with its place in the document, in the order of the document."""
        return tuple(
            (crl_file.loc, self._found[crl_file.loc]) for crl_file in self.files if crl_file.loc in self._found
        )

    def by_file(self) -> Iterator[tuple[ListFile, RevocationList]]:
        """Give each file with its CRL, if that can be used."""
        return ((crl_file, self._found[crl_file.loc]) for crl_file in self.files if crl_file.loc in self._found)

    def found_in(self, file: Path) -> RevocationList | None:
        """Give the CRL in *file*; None if the file is not one of these, or its CRL cannot be used."""
        return next(
            (
                self._found[crl_file.loc]
                for crl_file in self.files
                if crl_file.file == file and crl_file.loc in self._found
            ),
            None,
        )

    @property
    def faults(self) -> tuple[Problem, ...]:
        """The CRLs that cannot be used, and the CAs without a CRL."""
        return (
            *(self._faults[crl_file.loc] for crl_file in self.files if crl_file.loc in self._faults),
            *self._lacking(),
        )

    def _lacking(self) -> Iterator[Problem]:
        """Give a problem for each CA without a CRL: every known CA issues certificates in the chain.

        While CRLs are awaited there are no such problems, because it is not known whose CRLs they are.
        """
        if self._lack is None or self.awaited:
            return
        have = {
            found.issuer_der for found in self._found.values() if found.base is None
        }  # a delta without its complete CRL is not usable
        for issuer in self._issuers:
            if issuer.subject.public_bytes() not in have:
                yield replace(self._lack, reason=f"no usable CRL of {issuer.subject.rfc4514_string()}")

    @property
    def awaited(self) -> tuple[ListFile, ...]:
        """The CRLs that were not fetched yet, and those that a thread has still to parse."""
        known = {*self._found, *self._faults}
        return tuple(
            crl_file
            for crl_file in self.files
            if (crl_file.fetched or crl_file.loc in self._later) and crl_file.loc not in known
        )

    @property
    def left_for_later(self) -> tuple[ListFile, ...]:
        """The large CRLs that were not parsed with the document (`sipmesh.topology.document.named_files.crl_cache`)."""
        return tuple(crl_file for crl_file in self.files if crl_file.loc in self._later)

    def carry(self, lists: Iterable[RevocationList]) -> None:
        """While CRLs are awaited, use earlier *lists* for the CAs that have no new CRL yet.

        So a CRL that moves to another URL does not make certificates invalid until it is fetched from there.
        """
        self._carried = tuple(lists)

    def held(self) -> RevocationLists:
        """Give the CRLs for the judge, with the faults as text."""
        have = {found.issuer_der for found in self._found.values()}
        carried = [crl for crl in self._carried if crl.issuer_der not in have] if self.awaited else []
        faults = tuple(f"{fault.field}: {fault.reason}" for fault in self.faults)
        faults += tuple(f"{dotted(crl.loc)}: {_why_awaited(crl)}" for crl in self.awaited)
        return RevocationLists([*(found for _, found in self.lists), *carried], faults)


class OlderListError(UnusableListError):
    """A CRL that is older than the CRL that was read from the same file before."""


def _why_awaited(crl_file: ListFile) -> str:
    return (
        f"not fetched yet from {crl_file.name}"
        if crl_file.is_awaited
        else f"{crl_file.name} is large; sipmesh is still reading it"
    )


def _read_list(
    crl_file: ListFile, issuers: Sequence[x509.Certificate], before: RevocationList | None
) -> RevocationList:
    """Read a CRL. If a known CA has the name of its issuer, that CA must have signed it.

    A CRL that is older than *before*, of the same CA and scope, is refused. So an attacker who can write the file cannot undo a
    revocation. If *before* was refuted by a certificate of its issuer, it revokes nothing, and is replaced.
    """
    found = read_list(crl_file.file, crl_file.largest)
    if crl_file.point is not None:
        crl_file.point.must_be_of(found)
    if found.is_forged(issuers):
        raise UnusableListError(f"{NOT_SIGNED_BY}{found.issuer.rfc4514_string()}, its issuer by name")
    if before is not None and not before.is_refuted and found.is_older_than(before):
        raise OlderListError(f"CRL {found.number} is older than CRL {before.number}, which stays in force")
    return found
