"""Loading a topology: the one door through which the rest of the house gets it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sipmesh.errors import OperatorError, Problem
from sipmesh.topology.document import yaml_tree
from sipmesh.topology.document.names import is_url
from sipmesh.topology.document.parse import shape
from sipmesh.topology.document.report import ProblemReport
from sipmesh.topology.document.trust_anchors import (
    Anchors,
    TrustMaterial,
    anchors_are_told_apart,
    anchors_on_disk,
    embedded_anchors,
    issuers_in_use,
    read_authority,
    stale,
)
from sipmesh.topology.document.validate import validate

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from cryptography import x509

    from sipmesh.topology.document.crl_files import ListFile, ListFiles
    from sipmesh.topology.document.model import Topology
    from sipmesh.topology.document.parse import Unread
    from sipmesh.topology.versions.publication import Publication
    from sipmesh.trust.policy import Authority
    from sipmesh.trust.revocation.crl import RevocationLists

_SQLITE = "sqlite:///"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A topology that may be acted on. Files it names are relative to *folder*; *digest* is SHA-256 of the document.

    *number* is its version where it was published, else 0. A published one stands in no *file* (that is its name for
    people), brought its anchors with it, and its *digest* is the SHA-256 of what was signed.

    *faults* are revocation lists that could not be used. They keep no server from running: the judge refuses whom
    they would have vouched for. `check` reports them as problems.
    """

    file: Path
    topology: Topology
    digest: str
    authority: Authority
    partners: tuple[Authority, ...]  # in the order of topology.federation.partners
    faults: tuple[Problem, ...] = ()
    list_files: tuple[ListFiles, ...] = ()  # of our own authority, then of the partners'
    number: int = 0

    @property
    def folder(self) -> Path:
        """The folder that relative file names start from."""
        return self.file.parent

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file whose change means loading anew: the document, the anchors and the lists.

        Of a published topology the lists alone: what else it says, it says for good.
        """
        lists = [one.file for files in self.list_files for one in files.files]
        if self.number:
            return tuple(dict.fromkeys(lists))
        entries = (self.topology.authority, *self.topology.federation.partners)
        anchors = [self.folder / name for entry in entries for name in entry.anchors]
        return tuple(dict.fromkeys((self.file, *anchors, *lists)))

    @property
    def lists(self) -> frozenset[Path]:
        """Every file of a revocation list."""
        return frozenset(one.file for files in self.list_files for one in files.files)

    @property
    def list_entries(self) -> tuple[ListFile, ...]:
        """The same, as the document names them."""
        return tuple(one for files in self.list_files for one in files.files)

    @property
    def lists_left_for_later(self) -> tuple[ListFile, ...]:
        """The large lists that were not read with the document, and are to be read by a thread."""
        return tuple(one for files in self.list_files for one in files.left_for_later)

    @property
    def faults_of_lists(self) -> tuple[Problem, ...]:
        """What is wrong with the lists as they were read last; *faults* were there at first."""
        return tuple(fault for files in self.list_files for fault in files.faults)

    @property
    def list_names(self) -> tuple[str, ...]:
        """The list files as the document names them, our own authority's first; not those that each server fetches."""
        return tuple(dict.fromkeys(one.name for files in self.list_files for one in files.files if not one.fetched))

    @property
    def fetches(self) -> bool:
        """Whether there is anything that is not on disk, but fetched."""
        entries = (self.topology.authority, *self.topology.federation.partners)
        return any(entry.ocsp or any(map(is_url, entry.crls)) for entry in entries)

    @property
    def issuers_known(self) -> tuple[x509.Certificate, ...]:
        """Every CA that is known to issue under an authority, anchors included."""
        return tuple(issuer for files in self.list_files for issuer in files.issuers)

    def read_lists(self, changed: Collection[Path]) -> list[tuple[Authority, RevocationLists]]:
        """Read list files anew that have *changed*; gives the authorities that they are of, each with what it has now.

        Only what the caller relists by that is in force.
        """
        read = []
        for authority, files in zip((self.authority, *self.partners), self.list_files, strict=True):
            if any(one.file in changed for one in files.files):
                files.read(changed)
                read.append((authority, files.held()))
        return read

    @property
    def users_url(self) -> str:
        """Database URL of the users; a relative SQLite file lies in the topology's folder."""
        url = self.topology.storage.users
        return f"{_SQLITE}{self.folder / url.removeprefix(_SQLITE)}" if url.startswith(_SQLITE) else url

    @property
    def users_file(self) -> Path | None:
        """The file of the users where that is what they are in."""
        url = self.users_url
        return Path(url.removeprefix(_SQLITE)) if url.startswith(_SQLITE) else None

    @property
    def bindings_file(self) -> Path:
        """File of the pool's bindings."""
        return self.folder / self.topology.storage.bindings

    def __repr__(self) -> str:
        number = f" version {self.number}" if self.number else ""
        return f"<Loaded {self.file}{number} {self.digest[:12]} {len(self.topology.pools)} pools, {len(self.faults)} faults>"


@dataclass(frozen=True, slots=True)
class _Reading:
    """A document on its way in: what could be read of it and everything that is wrong."""

    report: ProblemReport
    digest: str
    topology: Topology | None = None
    own: TrustMaterial | None = None
    partners: tuple[TrustMaterial, ...] = ()

    @property
    def materials(self) -> tuple[TrustMaterial, ...]:
        return ((self.own,) if self.own else ()) + self.partners

    @property
    def faults(self) -> tuple[Problem, ...]:
        return tuple(fault for material in self.materials for fault in material.lists.faults)


def load(file: Path) -> Loaded:
    """Read a topology and the files it names, or raise OperatorError with every problem at once."""
    return load_text(yaml_tree.read(file), file)


def load_text(content: bytes, file: Path, anchors: Anchors | None = None) -> Loaded:
    """The same for *content* that may come to stand in *file*; *anchors* are on disk unless they are handed in."""
    return _accept(_read(content, file, anchors))


def load_published(publication: Publication, folder: Path, digest: str = "") -> Loaded:
    """Take a publication for the topology, or raise OperatorError with every problem of it at once.

    Its anchors are those that it embeds, and no file of that name on this disk; lists lie below *folder*, as do the
    certificates of servers of this machine. *digest* is the SHA-256 of the signed document in hex, where that is known.
    """
    content, file = publication.topology.encode(), folder / f"topology version {publication.number}"
    reading = _read(content, file, embedded_anchors(publication.files))
    if reading.topology is not None:
        _agrees(publication, reading.topology, reading.report)
    loaded = _accept(reading)
    return replace(loaded, number=publication.number, digest=digest or loaded.digest)


def _agrees(publication: Publication, topology: Topology, report: ProblemReport) -> None:
    """What stands in the publication and in its document must be the same; two answers to one question are none."""
    remedy = "publish it again: sipmesh topology publish -m WHY; a signed version is never edited"
    if publication.organisation != topology.organisation:
        reason = f"is {topology.organisation!r}, and the publication is of {publication.organisation!r}"
        report.add(("organisation",), reason, remedy)
    entries = (topology.authority, *topology.federation.partners)
    unnamed = set(publication.files).difference(*(entry.anchors for entry in entries))
    for name in sorted(unnamed):
        report.add((), f"the publication contains the file {name!r}, which the document does not name", remedy)


def check(file: Path, *, at: datetime) -> tuple[Loaded, tuple[Problem, ...]]:
    """Read a topology as `load` does, but take unusable lists for problems too; returns it with its warnings.

    Warnings are what time has done: lists past their next update, anchors out of their validity at the instant *at*.
    """
    reading = _read(yaml_tree.read(file), file, None)
    loaded = _accept(reading, faults_too=True)
    return loaded, tuple(stale(reading.materials, reading.report, at=at))


def _read(content: bytes, file: Path, anchors: Anchors | None) -> _Reading:
    root, oddities = yaml_tree.parse(content, file)
    report = ProblemReport(file, root)
    report.problems += oddities
    shaped = shape(root, report)
    report.root = shaped.root
    digest = hashlib.sha256(content).hexdigest()
    if shaped.topology is None:
        return _Reading(report, digest)
    validate(shaped.topology, report, shaped.unread)
    read = anchors or anchors_on_disk(file.parent)
    return _with_material(_Reading(report, digest, shaped.topology), file.parent, shaped.unread, read)


def _with_material(reading: _Reading, folder: Path, unread: Unread, read: Anchors) -> _Reading:
    """Read the files of every authority that could be read itself."""
    topology, report = reading.topology, reading.report
    if topology is None:
        return reading
    own = None
    if ("authority",) not in unread.places:
        known = issuers_in_use(topology, folder)
        own = read_authority(topology.authority, topology.organisation, ("authority",), folder, report, known, read)
    partners = tuple(
        read_authority(partner, partner.name, ("federation", "partners", n), folder, report, (), read)
        for n, partner in enumerate(topology.federation.partners)
    )
    anchors_are_told_apart(
        topology, own.authority if own else None, [partner.authority for partner in partners], report
    )
    return _Reading(report, reading.digest, topology, own, partners)


def _accept(reading: _Reading, *, faults_too: bool = False) -> Loaded:
    """Let a document in that has no problem, or raise OperatorError with all of them, those of its lists included."""
    file, topology, own = reading.report.file, reading.topology, reading.own
    if reading.report.problems or topology is None or own is None or (faults_too and reading.faults):
        problems = sorted(
            {*reading.report.problems, *reading.faults}, key=lambda problem: (problem.line, problem.field)
        )
        count = f"{len(problems)} problems" if len(problems) > 1 else "a problem"
        raise OperatorError(f"the topology {file} has {count}", tuple(problems))
    partners = tuple(partner.authority for partner in reading.partners)
    lists = tuple(material.lists for material in reading.materials)
    return Loaded(file, topology, reading.digest, own.authority, partners, reading.faults, lists)
