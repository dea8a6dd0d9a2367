"""The versions in the database of management, judged by a management server as any other server judges a publication.

An attacker who can write to the database cannot change what a management server trusts. What it has accepted is on its own disk
(`document_store`), and it loads only that. A newer version of the database counts only if its signer is trusted now, its
numbers rise, and operators have approved it, by the rule of the version that this server has in force.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self

from sipmesh.database.shared import DATABASE
from sipmesh.errors import OperatorError, Problem, RemoteError
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.server.replication.accepted_signer import why_not_trusted
from sipmesh.server.replication.document_store import SIGNER, DocumentStore, signers_of
from sipmesh.storage.history import digest_of, lacks
from sipmesh.topology.document.named_files.read import UnusableFileError
from sipmesh.topology.document.named_files.trust_anchors import read_certificates
from sipmesh.topology.versions.approval import NotApprovedError, must_be_approved
from sipmesh.topology.versions.jose import MalformedDocumentError, open_signed
from sipmesh.topology.versions.load_published import load_published
from sipmesh.topology.versions.publication import KIND, Publication

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime
    from pathlib import Path

    from cryptography import x509

    from sipmesh.storage.history import Kept, Version
    from sipmesh.storage.management_db import ManagementDb
    from sipmesh.topology.document.load import Loaded

AGAIN_S: Final = 10.0
"""Seconds after which a refused version is judged again: a CRL that it needs may have arrived."""


class PublishedVersion:
    """The version that a management server has accepted, and the newer versions in its database.

    *fault* is why the newest version of the database does not count here; empty if it does. *refused* has the digests of all
    versions that do not. *lost* says what the database lacks now that it has had, as of the last `look_back`.
    """

    def __init__(self, management_db: ManagementDb, documents: DocumentStore) -> None:
        self.management_db, self.documents = management_db, documents
        self.fault = self.lost = ""
        self.refused: Collection[str] = frozenset()
        self._judged: tuple[object, float] = (None, 0.0)

    @classmethod
    def of(cls, management_db: ManagementDb) -> Self | None:
        """Return the versions as the management server of this host has them; None if it has never signed here."""
        folder = management_db.folder
        names = sorted(file.name.removesuffix(SIGNER) for file in (folder / "servers").glob(f"*{SIGNER}"))
        name = management_db.shared.server if management_db.shared is not None else next(iter(names), "")
        return cls(management_db, DocumentStore(folder, name)) if name else None

    def load(self) -> Loaded:
        """Load the accepted version; raises `OperatorError` if there is none."""
        if not self.documents.is_there:
            raise OperatorError("there is no published version here; to publish: sipmesh topology publish -m WHY")
        return self.documents.load()

    def begin(self) -> None:
        """Store the first version of this server, unless it has one: the newest of the database.

        Its signer must be under the roots of our CA on this host. Raises `OperatorError`, also if the database lacks the version
        that this server has accepted last: then it is another database.
        """
        documents, history = self.documents, self.management_db.history
        record, head = documents.record, history.head()
        if record is not None and record.topology:
            self._must_have(record.number, record.topology)
            if not documents.is_whole:  # its state was lost, or an earlier release kept none
                self._begin_with(self._follower_of(record.number))
        elif documents.is_whole:
            documents.adopt()
        elif head is not None:
            self._begin_with(head.number)

    def _begin_with(self, number: int) -> None:
        """Store version *number* as the first one; without files of a CA on this host its own anchors are the roots."""
        folder, jws = self.documents.folder, self.management_db.history.get(number).jws
        loaded = load_published(version_of(self.management_db, number), folder)
        needs_no_ca = self.management_db.shared is None and self.documents.name in signers_of(loaded)
        if needs_no_ca and not (folder / "ca" / "root.pem").exists():
            self.documents.begin(jws, list(loaded.authority.anchors))
        else:
            self.documents.begin(jws, roots_of(folder))

    def look_back(self) -> None:
        """Look whether the database still has what it has had: the accepted version, and the last audit line of this host.

        Raises `OperatorError` if the database cannot be used.
        """
        record = self.documents.record
        if record is not None and record.topology and not self._has(record.number, record.topology):
            self.lost = lacks(record.number)
        elif self.management_db.audit.is_cut():
            self.lost = "the management database lacks an audit line that this host has added"
        else:
            self.lost = ""

    def _has(self, number: int, digest: str) -> bool:
        kept = self.management_db.history.with_digest(digest)
        return kept is not None and kept.version.number == number and digest_of(kept.jws) == digest

    def _must_have(self, number: int, digest: str) -> None:
        """Raise `OperatorError` unless the database has the version of this digest, which this server has accepted last."""
        documents = self.documents
        if self._has(number, digest):
            return
        reason = f"does not contain version {number}, which {documents.name} has loaded last"
        remedy = (
            "restore the newest backup to an empty folder (sipmesh restore), or join this server again: sipmesh join"
        )
        raise OperatorError(
            "this is another history of versions", (Problem(documents.folder / DATABASE, 0, "", reason, remedy),)
        )

    def _follower_of(self, number: int) -> int:
        """Return the newest version that may follow *number*, for a server of an earlier release, which stored no version.

        It has accepted these versions, but their signers may have expired since. So only approvals are checked.
        """
        before = version_of(self.management_db, number)
        rule = load_published(before, self.documents.folder).topology
        for version in self.management_db.history.since(number):
            new = version_of(self.management_db, version.number)
            loaded = load_published(new, self.documents.folder).topology
            try:
                must_be_approved(before, rule, new, loaded)
            except NotApprovedError:
                continue
            before, rule = new, loaded
        return before.number

    def catch_up(self, in_force: Loaded, at: datetime) -> Loaded:
        """Judge and store the versions after *in_force*; return the newest version that this server accepts.

        The newest version alone is enough, as for any server. If it is refused, the versions before it are judged in turn.
        Raises `OperatorError` if the database cannot be used.
        """
        newer = self.management_db.history.since(in_force.number)
        unreadable = self.management_db.history.unreadable_since(in_force.number)
        looked = [version.digest for version in newer], unreadable, in_force.number
        if self._judged[0] == looked and time.monotonic() < self._judged[1]:
            return in_force
        refused: dict[str, str] = {}
        for version in newer if len(newer) == 1 else (*newer[-1:], *newer):
            if version.number > in_force.number:
                in_force = self._judge(version, in_force, at, refused)
        self.refused, self.fault = frozenset(refused), refused.get(newer[-1].digest, "") if newer else ""
        self.fault = self.fault or "; ".join(unreadable)
        self._judged = looked, time.monotonic() + AGAIN_S
        return in_force

    def _judge(self, version: Version, in_force: Loaded, at: datetime, refused: dict[str, str]) -> Loaded:
        """Return a version, once it is stored here; or *in_force* if it is *refused*, with the reason by its digest."""
        try:
            accepted = self.accept(self.management_db.history.get(version.number), in_force, at)
        except (RemoteError, OperatorError) as wrong:
            why = f"version {version.number} of the management database does not count here: {wrong}"
            refused[version.digest] = why
            return in_force
        refused.pop(version.digest, None)
        return accepted

    def newest(self, at: datetime) -> Loaded:
        """Return the newest version of the database if it counts here, or else the accepted one; nothing is stored."""
        held, head = self.load(), self.management_db.history.head()
        if head is not None and head.number > held.number:
            with suppress(RemoteError, OperatorError):
                return self.documents.newer(self.management_db.history.get(head.number).jws, held, at)
        return held

    def accept(self, kept: Kept, in_force: Loaded, at: datetime) -> Loaded:
        """Judge one version of the database, and store it here; raises `RemoteError` or `OperatorError` if it is refused."""
        loaded = self.documents.newer(kept.jws, in_force, at)
        if loaded.number != kept.version.number:
            raise RemoteError(f"it was signed as version {loaded.number}", rule="rule R5", status=488)
        self.documents.keep(kept.jws, loaded)
        self.fault, self.refused = "", frozenset()  # those before it are of no interest any more
        return loaded

    def keep_own(self, version: Version) -> None:
        """Store a version that an operator has published on this host while no server runs; raises `OperatorError`."""
        jws = self.management_db.history.get(version.number).jws
        if digest_of(jws) != version.digest:
            raise OperatorError(f"version {version.number} in the history was changed")
        self.documents.keep(
            jws, load_published(Publication.decode(open_signed(jws, KIND).payload), self.documents.folder)
        )

    def publication(self, number: int = 0) -> Publication:
        """Return the accepted version, or the version *number* before it; raises `OperatorError`.

        Each version has the digest of the version before. So a version that was changed in the database is not returned.
        """
        found = self.documents.publication()
        while number and found.number > number:
            kept = self.management_db.history.with_digest(found.previous)
            if kept is None or digest_of(kept.jws) != found.previous:
                break
            found = Publication.decode(open_signed(kept.jws, KIND).payload)
        if number and found.number != number:
            raise OperatorError(
                f"version {number} in the history was changed, or does not precede the version in force"
            )
        return found


def version_of(management_db: ManagementDb, number: int) -> Publication:
    """Return one version of the history, to show it; raises `OperatorError` if it does not exist, or was changed.

    In a shared database its signer must be one under our roots: the files of this host say which these are.
    """
    try:
        signed = open_signed(management_db.history.get(number).jws, KIND)
        publication = Publication.decode(signed.payload)
    except MalformedDocumentError as wrong:
        raise OperatorError(f"version {number} in the history was changed: {wrong}") from None
    if publication.number != number:
        raise OperatorError(
            f"version {number} in the history was changed: it was signed as version {publication.number}"
        )
    if management_db.shared is not None:
        files = sorted((management_db.folder / "ca").rglob("root.pem"))
        why = why_not_trusted(signed, [root for file in files for root in _read(file)], publication.at)
        if why:
            raise OperatorError(f"version {number} in the management database was not signed by management: {why}")
    return publication


def document_in_force(management_db: ManagementDb) -> bytes:
    """Return the signed version that the management server of this host has accepted, without a change to its files.

    Before its first start this is the newest version of the database. Raises `OperatorError` if there is none.
    """
    versions, head = PublishedVersion.of(management_db), management_db.history.head()
    if head is None:
        raise OperatorError("there is no published version yet; first: sipmesh topology publish -m WHY")
    if versions is not None and versions.documents.is_whole:
        versions.documents.publication()
        return versions.documents.document()
    version_of(management_db, head.number)
    return management_db.history.get(head.number).jws


def roots_of(folder: Path) -> list[x509.Certificate]:
    """Return the roots of our CA on this host that are not retired; raises `OperatorError` if one cannot be read."""
    root = folder / "ca" / "root.pem"
    if CaGenerations.are_in(root.parent):
        return [ca.root for ca in CaGenerations(root.parent).alive]
    return _read(root)


def _read(root: Path) -> list[x509.Certificate]:
    try:
        return read_certificates(root)
    except UnusableFileError as wrong:
        raise OperatorError(f"{root} {wrong}; it is needed to check the published version") from None
