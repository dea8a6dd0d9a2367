"""Enrol a server of another machine: check the request, issue the certificate, record it, and make the grant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509

from sipmesh.errors import OperatorError, Problem
from sipmesh.pki.issuance.profiles import CertificateKind
from sipmesh.pki.ledger.records import Record
from sipmesh.server.replication.join_grant import JoinGrant, must_be_signed_by_management
from sipmesh.server.replication.published_version import document_in_force
from sipmesh.storage.audit_act import AuditAct
from sipmesh.topology.document.named_files.crl_cache import octets_to_send
from sipmesh.topology.document.named_files.read import read_or_refuse
from sipmesh.topology.versions.jose import open_signed
from sipmesh.topology.versions.load_published import load_published
from sipmesh.topology.versions.publication import KIND, Publication
from sipmesh.topology.view import certificate_names, unknown_server
from sipmesh.trust.revocation.crl_decoding import UnusableListError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta
    from pathlib import Path

    from sipmesh.pki.ca_rotation import CaGenerations
    from sipmesh.pki.issued import Certified
    from sipmesh.pki.keys.algorithm import OwnPublicKey
    from sipmesh.storage.management_db import ManagementDb
    from sipmesh.topology.document.load import Loaded
    from sipmesh.trust.role import Role

LARGEST_LIST = 64 << 20
"""The largest CRL that a grant contains, in octets."""

NOTHING_GRANTED, RESTORE = "nothing was granted", "restore the CRL in this file"


class AlreadyEnrolledError(OperatorError):
    """The server has a valid certificate for another key, perhaps since a moment ago."""


@dataclass(frozen=True, slots=True)
class EnrolmentRequest:
    """A *server* requests a certificate for its *key*; *who* grants it at time *at* (with a time zone), for *lifetime*.

    With *replace* the server may have another valid certificate, for another key.
    """

    server: str
    key: OwnPublicKey
    who: str
    at: datetime
    lifetime: timedelta
    replace: bool = False


@dataclass(frozen=True, slots=True)
class Enrolled:
    """The result: the *grant* to carry to the server, and *others*, its other certificates that are still valid."""

    grant: JoinGrant
    others: Sequence[Record]


class Enrolment:
    """Enrols servers of the newest published version. *folder* has the files that the topology names."""

    def __init__(self, management_db: ManagementDb, generations: CaGenerations, folder: Path) -> None:
        self._management_db, self._generations, self._folder = management_db, generations, folder

    def enrol(self, request: EnrolmentRequest) -> Enrolled:
        """Issue the certificate and make the grant; the audit log gets a line for a grant and for a refusal.

        Raises OperatorError, and then nothing was issued, in these cases: no version is published; the server is not in
        it; the version has no valid signature; a CRL cannot be read; or the server has a valid certificate for another key, and
        the request has no *replace*; another version is published meanwhile.
        """
        publication, loaded = self._newest(request.at)
        role = _role_of(loaded, request.server)
        lists = {entry: self._folder / entry for entry in loaded.list_names}
        given = {entry: _read(file) for entry, file in lists.items() if file.exists()}
        proof = tuple(_read(file) for ca in self._generations.alive for file in sorted(ca.folder.glob("*.crl")))
        names, others = certificate_names(loaded.topology, request.server), list[Record]()

        def check() -> None:
            if document_in_force(self._management_db) != publication:
                raise OperatorError("another version was published meanwhile, and nothing was granted; grant again")
            others.extend(self._others(request))
            if others and not request.replace:
                raise AlreadyEnrolledError(_already(request.server, others))

        try:
            issued = self._generations.current.certify(
                names, role, request.key, request.at, request.lifetime, check=check
            )
        except AlreadyEnrolledError as wrong:
            raise self._refused(request, wrong.message) from None
        self._record(request, issued, others)
        chain = tuple(x509.load_pem_x509_certificates(issued.chain))
        return Enrolled(JoinGrant(request.server, publication, loaded.authority.anchors, chain, given, proof), others)

    def _newest(self, at: datetime) -> tuple[bytes, Loaded]:
        publication = document_in_force(self._management_db)
        signed = open_signed(publication, KIND)
        loaded = load_published(Publication.decode(signed.payload), self._folder)
        must_be_signed_by_management(signed, loaded, loaded.authority, at)
        return publication, loaded

    def _others(self, request: EnrolmentRequest) -> list[Record]:
        """Return the server's valid certificates that are for another key."""
        valid = [
            record
            for record in self._generations.records()
            if record.kind == CertificateKind.SERVER
            and record.names[0] == request.server
            and record.revoked_at is None
            and record.not_after > request.at
        ]
        return [record for record in valid if _key_in(record) != request.key]

    def _refused(self, request: EnrolmentRequest, why: str) -> OperatorError:
        about = {"act": "join", "server": request.server, "refused": why}
        self._management_db.audit.append(request.who, AuditAct.REFUSED, about, at=request.at)
        return OperatorError(why)

    def _record(self, request: EnrolmentRequest, issued: Certified, others: list[Record]) -> None:
        about = {"server": request.server, "serial": f"{issued.certificate.serial_number:x}"}
        if others:
            about["beside"] = " ".join(record.serial_hex for record in others)
        self._management_db.audit.append(request.who, AuditAct.JOIN, about, at=request.at)


def _read(file: Path) -> bytes:
    content = read_or_refuse(file, LARGEST_LIST, NOTHING_GRANTED, RESTORE)
    try:
        return octets_to_send(content)
    except UnusableListError as wrong:
        raise OperatorError(NOTHING_GRANTED, (Problem(file, 0, "", str(wrong), RESTORE),)) from None


def _role_of(loaded: Loaded, server: str) -> Role:
    pool = loaded.topology.pool_of(server)
    if pool is None:
        wrong = unknown_server(loaded.topology, server)
        raise OperatorError(f"{wrong.message}; write it into the topology and publish that first")
    return pool.role


def _key_in(record: Record) -> object:
    """Return the public key of an issued certificate; None if the ledger has only its serial number."""
    return None if record.der is None else x509.load_der_x509_certificate(record.der).public_key()


def _already(server: str, valid: list[Record]) -> str:
    listed = ", ".join(f"serial {record.serial_hex} until {record.not_after:%Y-%m-%d}" for record in valid)
    return (
        f"{server} has a valid certificate for another key ({listed}): if that key is lost or stolen, revoke the certificate"
        f" first (sipmesh ca revoke {server}); to have both valid, give --replace"
    )
