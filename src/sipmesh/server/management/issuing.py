"""The certificates that the management server issues: for other servers on request, and its own before they expire."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.errors import OperatorError
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.server.management.publishing.decommission import CA
from sipmesh.server.management.publishing.document_signing import sign_as
from sipmesh.server.process.clock import now_utc
from sipmesh.server.replication.cert_renewal import Grantor, about, renew_own, show_own, signer_chain
from sipmesh.storage.audit_act import AuditAct

if TYPE_CHECKING:
    from cryptography import x509

    from sipmesh.server.log import Log
    from sipmesh.server.management.publishing.publisher import InForce
    from sipmesh.storage.management_db import ManagementDb


class Issuing:
    """Issues with the CA in the folder beside the topology; *grantor* serves the requests of other servers."""

    def __init__(self, server: InForce, management_db: ManagementDb, log: Log) -> None:
        self._server, self._log = server, log
        self._audit, self._lease = management_db.audit, management_db.lease
        self._folder = server.view.loaded.folder / CA
        self.grantor = Grantor(self._folder, self._sign, self._granted)
        self.shown = ""  # the certificate of the present issuing CA, in DER and base64

    def __repr__(self) -> str:
        return f"<Issuing by {self._folder}>"

    def renew_own(self) -> None:
        """Renew the certificates that we present and sign with; the file watch then puts a new certificate into use."""
        view = self._server.view
        try:
            signer = signer_chain(view)
            for certificate in renew_own(view, self._folder, now_utc()):
                self._granted(view.name, certificate)
            if CaGenerations.are_in(self._folder):
                show_own(view, self._folder)
                shown = CaGenerations(self._folder).current.shown
                self.shown = b64encode(shown.public_bytes(Encoding.DER)).decode()
            if signer_chain(view) != signer:
                self.grantor.sign_anew()
        except OperatorError as wrong:
            self._log.error("own certificate not renewed", why=str(wrong))

    def _granted(self, server: str, certificate: x509.Certificate) -> None:
        self._log.info("certificate issued", peer=server, serial=f"{certificate.serial_number:x}")
        self._audit.append(server, AuditAct.ISSUE, about(server, certificate), at=now_utc())

    def _sign(self, payload: bytes, kind: str) -> bytes:
        return sign_as(self._server.view, payload, kind, now_utc(), self._lease.fencing)
