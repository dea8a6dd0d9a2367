"""The certificates that the management server issues: for servers on request, of servers or operators, and its own in time."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.errors import OperatorError
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.issuance.profiles import LEAF_LIFETIME, CertificateKind
from sipmesh.pki.key_pair import must_be_a_pair
from sipmesh.server.management.grantor import Grantor, about
from sipmesh.server.management.own_renewal import finish_own, renew_own, show_own, signer_chain
from sipmesh.server.management.publishing.decommission import CA
from sipmesh.server.management.publishing.document_signing import sign_as
from sipmesh.server.process.clock import now_utc
from sipmesh.storage.audit_act import AuditAct
from sipmesh.topology.view import certificate_names, unknown_server
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from datetime import datetime, timedelta
    from pathlib import Path

    from cryptography import x509

    from sipmesh.pki.authority import EnterpriseCa
    from sipmesh.pki.issued import Issued
    from sipmesh.server.log import Log
    from sipmesh.server.management.publishing.publisher import ManagementServer
    from sipmesh.storage.audit_act import Note
    from sipmesh.storage.management_db import ManagementDb
    from sipmesh.topology.document.load import Loaded


class Issuing:
    """Issues with the CA in the folder beside the topology; *grantor* serves the requests of other servers."""

    def __init__(self, server: ManagementServer, management_db: ManagementDb, log: Log) -> None:
        self._server, self._log = server, log
        self._audit, self._lease = management_db.audit, management_db.lease
        self._folder = server.view.loaded.folder / CA
        self.grantor = Grantor(self._folder, self._sign, self._granted)
        self.shown = (
            ""  # the certificates of the present issuing CA and of CAs above it: DER in base64, with blanks between
        )
        self.ledger_fault = ""  # which rows of the ledger were changed outside the CA

    def finish_own(self) -> None:
        """Finish a renewal of ours that ended before its files were in place; the files are read after this, at the start."""
        try:
            if finish_own(self._server.view, self._folder):
                self._log.warning("own certificate put in place: its renewal was interrupted")
        except OperatorError as wrong:
            self._log.error("own certificate not renewed", why=str(wrong))

    def renew_own(self) -> None:
        """Renew the certificates that we present and sign with; the file watch then puts a new certificate into use."""
        view = self._server.view
        try:
            signer = signer_chain(view)
            for certificate in renew_own(view, self._folder, now_utc()):
                self._granted(view.name, certificate)
            if CaGenerations.are_in(self._folder):
                show_own(view, self._folder)
                presented = CaGenerations(self._folder).current.presented
                self.shown = " ".join(b64encode(one.public_bytes(Encoding.DER)).decode() for one in presented)
            if signer_chain(view) != signer:
                self.grantor.sign_anew()
        except OperatorError as wrong:
            self._log.error("own certificate not renewed", why=str(wrong))

    async def check_ledger(self) -> None:
        """Find rows of the ledger that were changed outside the CA, and log them once: they are passed over everywhere."""
        try:
            fault = await asyncio.to_thread(_changes_of, self._folder)
        except OperatorError as wrong:
            fault = str(wrong)
        if fault and fault != self.ledger_fault:
            self._log.error("the CA's ledger was changed", why=fault)
        self.ledger_fault = fault

    def sign_anew(self) -> None:
        """Sign the certificates that are given to servers again, as after a change of the fencing number."""
        try:
            self.grantor.sign_anew()
        except OperatorError as wrong:
            self._log.error("certificates for servers are not signed again", why=str(wrong))

    def _granted(self, server: str, certificate: x509.Certificate) -> None:
        self._log.info("certificate issued", peer=server, serial=f"{certificate.serial_number:x}")
        self._audit.append(server, AuditAct.ISSUE, about(server, certificate), at=now_utc())

    def _sign(self, payload: bytes, kind: str) -> bytes:
        return sign_as(self._server.view, payload, kind, now_utc(), self._lease.fencing)


def _changes_of(folder: Path) -> str:
    """Return which rows of the ledgers in *folder* were changed, in words; "" if none was, or if there is no CA."""
    rows = CaGenerations(folder).changed_rows() if CaGenerations.are_in(folder) else []
    return "; ".join(row.reason for row in rows)


def has_its_key_elsewhere(loaded: Loaded, generations: CaGenerations, name: str) -> bool:
    """Tell whether a server has had a certificate and has no key here: its key is on another machine."""
    server = loaded.topology.server(name)
    if server is None or (loaded.folder / server.key_file).exists():
        return False
    records = generations.records()
    return any(record.kind == CertificateKind.SERVER and name in record.names[:1] for record in records)


def issue_for(
    loaded: Loaded, ca: EnterpriseCa, name: str, now: datetime, lifetime: timedelta = LEAF_LIFETIME, *, note: Note
) -> Issued:
    """Issue for one server, write the files that the topology names, and note each certificate; return the server's.

    A management server also gets a certificate for its document signer, which has a lifetime of its own. Raises
    `OperatorError` for a server that is not in the topology.
    """
    pool, server = loaded.topology.pool_of(name), loaded.topology.server(name)
    if pool is None or server is None:
        raise unknown_server(loaded.topology, name, loaded.file)
    names = certificate_names(loaded.topology, name)
    certificate, key_file = loaded.folder / server.certificate_file, loaded.folder / server.key_file
    must_be_a_pair(certificate, key_file)  # before a certificate is issued
    issued = ca.issue(names, pool.role, now, lifetime)
    issued.write(certificate, key_file)
    if pool.role is Role.MANAGEMENT:
        signer = ca.issue_signer(name, now)
        signer.write(loaded.folder / server.signer_certificate_file, loaded.folder / server.signer_key_file)
        note(AuditAct.ISSUE, server=name, serial=f"{signer.certificate.serial_number:x}", kind="signer")
    note(AuditAct.ISSUE, server=name, serial=f"{issued.certificate.serial_number:x}", days=lifetime.days)
    return issued
