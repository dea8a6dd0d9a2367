"""What one server stores of the documents that management has signed: the topology in force, its users, the highest version.

A document is accepted under three conditions: its signer is trusted *now*, it is for this organisation, and it is newer than each
document that this server has accepted. A stored document stays valid after its signer's certificate has expired. At a start, the
document has to be exactly the last accepted one (`publication_record`). Its signer must have been valid when it was signed, under
an anchor that this server trusted.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography import x509

from sipmesh.database.number_ceilings import FENCING_NUMBERS, USERS_NUMBERS, VERSIONS
from sipmesh.errors import OperatorError, Problem, RemoteError
from sipmesh.pki import files
from sipmesh.pki.file_error import make_folder
from sipmesh.server.process.clock import now_utc
from sipmesh.server.replication.accepted_signer import why_not_trusted
from sipmesh.server.replication.fencing import HighestFencing
from sipmesh.server.replication.publication_record import PublicationRecord, PublicationRecordFile, digest
from sipmesh.server.replication.stored_users import USERS, StoredUsers
from sipmesh.topology.document.named_files.crl_cache import large_lists_later
from sipmesh.topology.versions.approval import NotApprovedError, must_be_approved
from sipmesh.topology.versions.jose import MalformedDocumentError, open_signed
from sipmesh.topology.versions.load_published import load_published
from sipmesh.topology.versions.publication import KIND, Publication
from sipmesh.transport.tls.path_check import path_errors
from sipmesh.trust.formatting import tell_subject
from sipmesh.trust.judgement.document_signer import judge_signer
from sipmesh.trust.role import Role
from sipmesh.trust.x509.certificate import UNREADABLE

if TYPE_CHECKING:
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.versions.jose import Signed

SIGNER: Final = ".signer.pem"
"""The end of the name of the file with a signer's certificate, in the folder ``servers``."""

JOIN_AGAIN = "join this server again: sipmesh join"


class DocumentStore:
    """The documents of the server *name* in *folder*, the organisation's folder on this machine."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self.state = state = folder / "state"
        self._topology = state / f"{name}.topology"
        self._anchors = state / f"{name}.anchors"
        self._highest = state / f"{name}.highest"
        self._record = PublicationRecordFile(folder, name)
        self.users = StoredUsers(state / f"{name}.users", self._record, self._pinned)
        self._fencing = HighestFencing(folder, name)
        self.known_to_exist = 0  # the highest version that management has signed and that has arrived, accepted or not

    @property
    def is_there(self) -> bool:
        """Whether this server has ever stored a publication; if so, it loads only that."""
        return self._topology.exists() or self._highest.exists() or self._record.file.exists()

    @property
    def is_whole(self) -> bool:
        """Whether the files of a publication exist."""
        return all(file.exists() for file in self._files)

    @property
    def has_signed(self) -> bool:
        """Whether this is a management server that signs on this host."""
        return (self.folder / "servers" / f"{self.name}{SIGNER}").exists()

    @property
    def fencing(self) -> int:
        """The highest fencing number that this server has seen; raises `OperatorError` if it cannot be read."""
        return self._fencing.number

    @property
    def record(self) -> PublicationRecord | None:
        """The record of the last accepted publication, which is stored beside the key; raises `OperatorError`."""
        return self._record.read()

    # The topology

    def begin(self, jws: bytes, anchors: list[x509.Certificate]) -> None:
        """Store a first publication, or a publication that an operator brings again; the operator has confirmed its *anchors*.

        A number that management cannot reach yet is forgotten first. Raises `OperatorError` if its signer is not under these
        anchors, or if it is older than what this server has accepted.
        """
        publication = self._open(jws, anchors)
        try:
            self._record.read()
        except OperatorError:  # only a join repairs this
            self._record.forget()
        self._forget_beyond(at := now_utc())
        if publication.number < self.highest:
            reason = f"has had version {self.highest} in force, and this is version {publication.number}"
            problem = Problem(self._topology, 0, "", reason, "get a new grant from management: sipmesh join grant")
            raise OperatorError("a server does not load an older version", (problem,))
        self._accept_fencing(open_signed(jws, KIND), at)
        self.keep(jws, load_published(publication, self.folder))

    def why_beyond(self, at: datetime) -> str:
        """Return which accepted number management cannot reach at the time *at*, in words; "" if it is none."""
        users = max(self.record.users if self.record is not None else 0, self.users.read().number)
        return (
            VERSIONS.why_beyond(self.highest, at)
            or USERS_NUMBERS.why_beyond(users, at)
            or FENCING_NUMBERS.why_beyond(self.fencing, at)
        )

    def _forget_beyond(self, at: datetime) -> None:
        """Forget all numbers if one of them is out of reach for management at the time *at*: nothing could follow it."""
        if self.why_beyond(at):
            self.users.forget()
            self._highest.unlink(missing_ok=True)
            self._record.forget()
            self._fencing.forget_beyond(at)

    def _accept_fencing(self, signed: Signed, at: datetime) -> None:
        """Note the fencing number of a publication that an operator brings; raises `OperatorError` if it is too low."""
        try:
            self._fencing.accept(signed, at)
        except RemoteError as wrong:
            problem = Problem(self._topology, 0, "", str(wrong), "get a new grant from management: sipmesh join grant")
            raise OperatorError(
                "a server loads nothing from a management server that was overtaken", (problem,)
            ) from None

    def load(self) -> Loaded:
        """Load the stored publication; raises `OperatorError` if it was changed after it was accepted."""
        return load_published(self.publication(), self.folder)

    def publication(self) -> Publication:
        """Read the stored publication without the files that it names; raises as `load` does."""
        jws = self.document()
        publication = self._open(jws, self._pinned())
        record = self.record
        if record is not None and not record.has_topology(jws):
            raise self._broken(self._topology, f"is not version {record.number}, which this server has loaded last")
        if record is None and publication.number < self.highest:
            reason = f"is version {publication.number}, and this server has loaded version {self.highest}"
            raise self._broken(self._topology, reason)
        return publication

    def adopt(self) -> None:
        """Write the record for a publication that an earlier release stored without one; raises as `load` does."""
        if self._record.file.exists():
            return
        number = self.publication().number
        anchors, users = self._anchors.read_bytes(), self.users.read().number
        self._record.write(PublicationRecord(number, digest(self.document()), digest(anchors), users=users))

    def follow(self, number: int, jws: bytes) -> None:
        """Record that a management server's history has version *number*: it loads no draft and no older history any more."""
        record = self.record
        if record is None or record.number < number:
            self._record.write(PublicationRecord(number, digest(jws)))

    def document(self) -> bytes:
        """Return the exact octets of the stored publication; raises `OperatorError` if they cannot be read."""
        try:
            return self._topology.read_bytes()
        except OSError as wrong:
            raise self._broken(self._topology, f"cannot be read ({wrong.strerror})") from None

    def _open(self, jws: bytes, anchors: list[x509.Certificate]) -> Publication:
        try:
            signed = open_signed(jws, KIND)
            publication = Publication.decode(signed.payload)
        except MalformedDocumentError as wrong:
            raise self._broken(self._topology, f"does not match its signature ({wrong})") from None
        if why := why_not_trusted(signed, anchors, publication.at):
            raise self._broken(self._topology, f"has no signer that this server has trusted: {why}")
        return publication

    def _pinned(self) -> list[x509.Certificate]:
        try:
            content = self._anchors.read_bytes()
            anchors = x509.load_pem_x509_certificates(content)
        except OSError as wrong:
            raise self._broken(self._anchors, f"cannot be read ({wrong.strerror})") from None
        except UNREADABLE:
            raise self._broken(self._anchors, "contains no certificate") from None
        record = self.record
        if record is not None and not record.has_anchors(content):
            raise self._broken(
                self._anchors, f"has other anchors than version {record.number} had when this server loaded it"
            )
        return anchors

    def _broken(self, file: Path, reason: str) -> OperatorError:
        return OperatorError(
            "a server loads only signed and accepted documents", (Problem(file, 0, "", reason, JOIN_AGAIN),)
        )

    @property
    def highest(self) -> int:
        """The highest version that this server has ever accepted; raises `OperatorError` if its record cannot be read."""
        record, seen = self.record, 0
        with suppress(OSError, ValueError):
            seen = int(self._highest.read_text())
        return max(seen, record.number if record is not None else 0)

    def newer(self, jws: bytes, in_force: Loaded, at: datetime) -> Loaded:
        """Check a publication that arrived at time *at*, and load it; raises `RemoteError` if it is refused.

        The signer is judged first: to read 5 MB of JSON of an unknown signer would take half a second.
        """
        signed = _signed(jws, KIND)
        verify_signer(signed, in_force, at)
        try:
            publication = Publication.decode(signed.payload)
        except MalformedDocumentError as wrong:
            raise _refused(str(wrong)) from None
        mine = in_force.topology.organisation
        if publication.organisation != mine:
            raise _refused(f"a publication for {publication.organisation!r}, and this server belongs to {mine!r}")
        floor = max(self.highest, in_force.number)
        if publication.number <= floor and not self._is_unfinished(jws, publication, in_force):
            raise _refused(
                f"version {publication.number} after version {floor}: a server does not load an older version"
            )
        if why := VERSIONS.why_beyond(publication.number, at, floor):
            raise _refused(why)
        self._fencing.accept(signed, at)
        self.known_to_exist = max(self.known_to_exist, publication.number)
        try:
            with large_lists_later():
                loaded = load_published(publication, self.folder)
        except OperatorError as wrong:
            raise _refused(f"version {publication.number} cannot be used: {wrong}") from None
        self._must_be_approved(publication, loaded, in_force)
        return loaded

    def _must_be_approved(self, new: Publication, loaded: Loaded, in_force: Loaded) -> None:
        """Raise `RemoteError` unless operators have approved a version, by the rule of the version in force."""
        if in_force.topology.approvals is None:
            return
        try:
            must_be_approved(self.publication(), in_force.topology, new, loaded.topology)
        except NotApprovedError as wrong:
            raise _refused(f"version {new.number} is not approved: {wrong}") from None
        except OperatorError as wrong:
            raise _refused(f"the version in force cannot be read, so approvals cannot be checked: {wrong}") from None

    def _is_unfinished(self, jws: bytes, publication: Publication, in_force: Loaded) -> bool:
        """Return whether this is the recorded version, if it could not be written or not be put in force before."""
        record = self.record
        same = record is not None and record.number == publication.number and record.topology == digest(jws)
        return same and publication.number > in_force.number

    def read(self, jws: bytes) -> Loaded:
        """Read a publication that `newer` has accepted, with the files that exist now; raises `OperatorError`."""
        with large_lists_later():
            return load_published(Publication.decode(open_signed(jws, KIND).payload), self.folder)

    def keep(self, jws: bytes, loaded: Loaded) -> None:
        """Store a publication that `newer` has accepted, for now and for every start; *loaded* is from `newer` or `read`.

        The record is written first. So a crash leaves the old version or the new one, and never allows an older version.
        """
        make_folder(self.state)
        pem = files.certificates_pem(loaded.authority.anchors)
        record = self.record
        new_record = replace(
            record or PublicationRecord(),
            number=max(loaded.number, self.highest),
            topology=digest(jws),
            anchors=digest(pem),
            before=(),
        )
        self._record.write(new_record.replacing(*(file.read_bytes() for file in self._files if file.exists())))
        files.commit(
            [
                files.prepare(self._highest, b"%d\n" % new_record.number, files.SECRET),
                files.prepare(self._topology, jws, files.SECRET),
                files.prepare(self._anchors, pem, files.SECRET),
            ]
        )
        self._record.write(new_record)

    @property
    def _files(self) -> tuple[Path, Path]:
        return self._topology, self._anchors

    # The users

    def newer_users(self, jws: bytes, in_force: Loaded, at: datetime) -> bytes:
        """Check a users' document that arrived at time *at*, and return its payload; raises `RemoteError` if it is refused."""
        return self.signed_by_management(jws, USERS, in_force, at)

    # All documents

    def signed_by_management(self, jws: bytes, kind: str, in_force: Loaded, at: datetime) -> bytes:
        """Return the payload of a document of *kind* that arrived at time *at*.

        Raises `RemoteError` if its signer is not trusted, or was overtaken by another management server.
        """
        signed = _signed(jws, kind)
        self._accept_signer(signed, in_force, at)
        return signed.payload

    def _accept_signer(self, signed: Signed, in_force: Loaded, at: datetime) -> None:
        verify_signer(signed, in_force, at)
        self._fencing.accept(signed, at)


def held_in(folder: Path) -> list[str]:
    """Return the names of the servers that have a publication in *folder*."""
    return sorted(file.stem for file in (folder / "state").glob("*.topology"))


def verify_signer(signed: Signed, in_force: Loaded, at: datetime, beside: str = "") -> None:
    """Raise `RemoteError` unless the signer is one of the topology in force, valid and not revoked at time *at*.

    *beside* is a management server that counts although that topology does not name it.
    """
    authority = in_force.authority
    errors = path_errors(signed.chain, authority.anchors, at)
    belief = judge_signer(
        signed.presented, authority, {*signers_of(in_force), beside} - {""}, at=at, engine_errors=errors
    )
    if not belief.is_trusted:
        who = tell_subject(signed.chain[0])
        raise _refused(f"signed by {who}, which is not trusted: {belief.code}: {'; '.join(belief.reasons)}")


def signers_of(loaded: Loaded) -> frozenset[str]:
    """Return the servers whose signature counts: those of role management."""
    pools = (pool for pool in loaded.topology.pools if pool.role is Role.MANAGEMENT)
    return frozenset(server.name for pool in pools for server in pool.servers)


def _signed(jws: bytes, kind: str) -> Signed:
    try:
        return open_signed(jws, kind)
    except MalformedDocumentError as wrong:
        raise _refused(str(wrong)) from None


def _refused(why: str) -> RemoteError:
    return RemoteError(f"rejected: {why}", rule="rule R5", status=488)
