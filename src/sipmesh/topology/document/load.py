"""Load a topology: read the document and the files that it names, and report every problem at once."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sipmesh.errors import OperatorError, Problem
from sipmesh.topology.document import yaml_tree
from sipmesh.topology.document.ml_dsa_warnings import ml_dsa_warnings
from sipmesh.topology.document.named_files.trust_anchors import (
    Anchors,
    TrustMaterial,
    anchors_are_told_apart,
    anchors_on_disk,
    issuers_in_use,
    read_authority,
    stale,
)
from sipmesh.topology.document.names import is_url
from sipmesh.topology.document.parse import shape
from sipmesh.topology.document.report import ProblemReport
from sipmesh.topology.document.screening_warnings import screening_warnings
from sipmesh.topology.document.storage.database_url import POSTGRESQL, SQLITE, DatabaseUrl
from sipmesh.topology.document.trunk_warnings import trunk_warnings
from sipmesh.topology.document.validate import validate
from sipmesh.trust.dane.tlsa import DaneMode

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from datetime import datetime

    from cryptography import x509

    from sipmesh.topology.document.model import Topology
    from sipmesh.topology.document.named_files.crl_files import ListFile, ListFiles
    from sipmesh.topology.document.parse import Unread
    from sipmesh.trust.authority import Authority
    from sipmesh.trust.revocation.crl_set import RevocationLists


SENT_FILES: Final = "state/files.db"
"""The database of the files that users send, if the users are in a file too. No backup has it."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A valid topology. Files that it names are relative to *folder*. *digest* is the SHA-256 of the document in hex.

    *number* is its version if it was published, otherwise 0. A published topology is not in a file: *file* is only a name for
    messages, its anchors are embedded, and *digest* is the SHA-256 of the signed document. *content* is the document, and
    *embedded* has the files that were published with it.

    *faults* are CRLs that could not be used. Servers run in spite of them: the judge refuses the certificates that need these
    CRLs. `check` reports them as problems.
    """

    file: Path
    topology: Topology
    digest: str
    authority: Authority
    partners: tuple[Authority, ...]  # in the order of topology.federation.partners
    faults: tuple[Problem, ...] = ()
    list_files: tuple[ListFiles, ...] = ()  # of our own authority, then of the partners
    number: int = 0
    content: bytes = field(default=b"", repr=False, compare=False)
    embedded: Mapping[str, bytes] | None = field(default=None, repr=False, compare=False)

    @property
    def authorities(self) -> tuple[Authority, ...]:
        """Our own authority, then those of the partners, in the order of the document."""
        return (self.authority, *self.partners)

    @property
    def folder(self) -> Path:
        """The folder to which file names are relative."""
        return self.file.parent

    @property
    def files(self) -> tuple[Path, ...]:
        """All files whose change requires a reload: the document, the anchors and the CRLs.

        For a published topology only the CRLs, because the rest cannot change.
        """
        lists = [file for files in self.list_files for file in files.watched]
        if self.number:
            return tuple(dict.fromkeys(lists))
        entries = self.topology.authorities
        names = [*self.topology.authority.devices, *(name for entry in entries for name in entry.anchors)]
        return tuple(dict.fromkeys((self.file, *(self.folder / name for name in names), *lists)))

    @property
    def lists(self) -> frozenset[Path]:
        """The files of all CRLs, and of the lists of those that certificates name."""
        return frozenset(file for files in self.list_files for file in files.watched)

    @property
    def list_entries(self) -> tuple[ListFile, ...]:
        """The CRLs as the document names them."""
        return tuple(crl_file for files in self.list_files for crl_file in files.files)

    @property
    def lists_left_for_later(self) -> tuple[ListFile, ...]:
        """The large CRLs that were not parsed with the document. A thread has to parse them."""
        return tuple(crl_file for files in self.list_files for crl_file in files.left_for_later)

    @property
    def faults_of_lists(self) -> tuple[Problem, ...]:
        """The current problems of the CRLs. *faults* are those of the first read."""
        return tuple(fault for files in self.list_files for fault in files.faults)

    @property
    def list_names(self) -> tuple[str, ...]:
        """The names of CRL files in the document, our own authority's first; without those that each server fetches."""
        return tuple(
            dict.fromkeys(
                crl_file.name for files in self.list_files for crl_file in files.files if not crl_file.fetched
            )
        )

    @property
    def fetches(self) -> bool:
        """Whether the topology needs data that servers fetch: CRLs from a URL, or OCSP responses."""
        entries = self.topology.authorities
        partners = self.topology.federation.partners
        if any(one.dane is not DaneMode.OFF or (one.trunk and one.trunk.stir) for one in partners):
            return True
        return any(entry.ocsp or entry.crl_hosts or any(map(is_url, entry.crls)) for entry in entries)

    @property
    def issuers_known(self) -> tuple[x509.Certificate, ...]:
        """All known CAs of all authorities, including the anchors."""
        return tuple(issuer for files in self.list_files for issuer in files.issuers)

    def read_lists(self, changed: Collection[Path]) -> list[tuple[Authority, RevocationLists]]:
        """Read the *changed* CRL files again; returns the affected authorities, each with its new CRLs.

        The authorities themselves are not changed: the caller does that with `Authority.relist`.
        """
        read = []
        for authority, files in zip(self.authorities, self.list_files, strict=True):
            if any(file in changed for file in files.watched):
                files.read(changed)
                read.append((authority, files.held()))
        return read

    @property
    def users_url(self) -> str:
        """The database URL of the users. Relative files are in the topology's folder."""
        return self._in_folder(self.topology.storage.users)

    def _in_folder(self, url: str) -> str:
        if url.startswith(SQLITE):
            return f"{SQLITE}{self.folder / url.removeprefix(SQLITE)}"
        if url.startswith(f"{POSTGRESQL}:"):
            with suppress(ValueError):  # of an earlier release: the caller that opens it says what is wrong
                return DatabaseUrl.read(url).in_folder(self.folder)
        return url

    @property
    def users_file(self) -> Path | None:
        """The file of the users; None if their database is not SQLite."""
        url = self.users_url
        return Path(url.removeprefix(SQLITE)) if url.startswith(SQLITE) else None

    @property
    def messages_url(self) -> str:
        """The database URL of the stored messages. A relative SQLite file is in the topology's folder."""
        return self._in_folder(self.topology.storage.messages)

    @property
    def calls_url(self) -> str:
        """The database URL of the records of calls. A relative SQLite file is in the topology's folder."""
        return self._in_folder(self.topology.storage.calls)

    @property
    def files_url(self) -> str:
        """The database URL of the files that users send: beside users in PostgreSQL, or else a file of its own."""
        return self.users_url if self.users_file is None else f"{SQLITE}{self.folder / SENT_FILES}"

    def __repr__(self) -> str:
        number = f" version {self.number}" if self.number else ""
        return f"<Loaded {self.file}{number} {self.digest[:12]} {len(self.topology.pools)} pools, {len(self.faults)} faults>"


@dataclass(frozen=True, slots=True)
class _Reading:
    """A document while it is read: the parts that could be read, and all problems."""

    report: ProblemReport
    digest: str
    topology: Topology | None = None
    own: TrustMaterial | None = None
    partners: tuple[TrustMaterial, ...] = ()
    content: bytes = b""

    @property
    def materials(self) -> tuple[TrustMaterial, ...]:
        return ((self.own,) if self.own else ()) + self.partners

    @property
    def faults(self) -> tuple[Problem, ...]:
        return tuple(fault for material in self.materials for fault in material.lists.faults)


def load(file: Path) -> Loaded:
    """Read a topology and the files that it names; raises OperatorError with all problems."""
    return load_text(yaml_tree.read(file), file)


def load_text(
    content: bytes,
    file: Path,
    anchors: Anchors | None = None,
    also: Callable[[Topology, ProblemReport], None] | None = None,
    *,
    published: bool = False,
) -> Loaded:
    """Read *content*, which is or will be in *file*. *anchors* gives the anchor files; None means files on disk.

    *also* may add problems of the model. *published* tells that it is a version, perhaps of an earlier release. Raises
    OperatorError with all problems.
    """
    reading = _read(content, file, anchors, published=published)
    if also is not None and reading.topology is not None:
        also(reading.topology, reading.report)
    return _accept(reading)


def check(file: Path, *, at: datetime) -> tuple[Loaded, tuple[Problem, ...]]:
    """Read a topology as `load` does, but treat unusable CRLs as problems; returns it with its warnings.

    Warnings are expired CRLs, and anchors that are not valid, at the instant *at*, trunks that protect less, users whose calls
    are not screened, and peers without ML-DSA.
    """
    reading = _read(yaml_tree.read(file), file, None)
    loaded = _accept(reading, faults_too=True)
    stale_lists = stale(reading.materials, reading.report, at=at)
    told = ml_dsa_warnings(loaded.topology, loaded.authority.anchors, reading.report)
    lenient = (*trunk_warnings(loaded.topology, reading.report), *screening_warnings(loaded.topology, reading.report))
    return loaded, (*stale_lists, *lenient, *told)


def _read(content: bytes, file: Path, anchors: Anchors | None, *, published: bool = False) -> _Reading:
    root, oddities = yaml_tree.parse(content, file)
    report = ProblemReport(file, root)
    report.problems += oddities
    shaped = shape(root, report)
    report.root = shaped.root
    digest = hashlib.sha256(content).hexdigest()
    if shaped.topology is None:
        return _Reading(report, digest)
    validate(shaped.topology, report, shaped.unread, published=published)
    read = anchors or anchors_on_disk(file.parent)
    reading = _Reading(report, digest, shaped.topology, content=content)
    return _with_material(reading, file.parent, shaped.unread, read)


def _with_material(reading: _Reading, folder: Path, unread: Unread, read: Anchors) -> _Reading:
    """Read the files of each authority whose own entry could be read."""
    topology, report = reading.topology, reading.report
    if topology is None:
        return reading
    own = None
    if ("authority",) not in unread.places:
        known = issuers_in_use(topology, folder)
        own = read_authority(topology.authority, topology.organisation, ("authority",), folder, report, known, read)
    partners = tuple(
        read_authority(
            partner,
            partner.name,
            ("federation", "partners", n),
            folder,
            report,
            (),
            read,
            topology.federation.asks_of(partner),
        )
        for n, partner in enumerate(topology.federation.partners)
    )
    anchors_are_told_apart(
        topology, own.authority if own else None, [partner.authority for partner in partners], report
    )
    return replace(reading, own=own, partners=partners)


def _accept(reading: _Reading, *, faults_too: bool = False) -> Loaded:
    """Make a Loaded of a document without problems; raises OperatorError with all problems, those of CRLs included."""
    file, topology, own = reading.report.file, reading.topology, reading.own
    if reading.report.problems or topology is None or own is None or (faults_too and reading.faults):
        problems = sorted(
            {*reading.report.problems, *reading.faults}, key=lambda problem: (problem.line, problem.field)
        )
        count = f"{len(problems)} problems" if len(problems) > 1 else "a problem"
        raise OperatorError(f"{file} has {count}", tuple(problems))
    partners = tuple(partner.authority for partner in reading.partners)
    lists = tuple(material.lists for material in reading.materials)
    faults, content = reading.faults, reading.content
    return Loaded(file, topology, reading.digest, own.authority, partners, faults, lists, content=content)
