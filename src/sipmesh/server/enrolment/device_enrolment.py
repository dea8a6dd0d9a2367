"""Enrol a device of a user by EST: its name at the login is ``USER/DEVICE``, such as ``alice@example.com/desk``.

The names in the certificate are those of the user store and of the token or the certificate, and never from the request.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.errors import OperatorError
from sipmesh.pki.enrolment_request import requested_device_key
from sipmesh.server.enrolment.enrollable import NotEnrollableError
from sipmesh.server.enrolment.enrolment_issuer import must_have_certificates_left
from sipmesh.server.enrolment.server_certificate import CertificateRefusedError
from sipmesh.server.management.device_certificates import DeviceIssuing
from sipmesh.sip.text import ascii_lower
from sipmesh.storage.enrolment.enrolled_certificates import EnrolledCertificate
from sipmesh.storage.seen_users import SeenUsers
from sipmesh.storage.users.user_database import Users
from sipmesh.transport.tls.path_check import path_errors
from sipmesh.trust.evidence import Direction, LinkKind, PeerEvidence
from sipmesh.trust.judgement.judge import judge
from sipmesh.trust.policy import LinkPolicy
from sipmesh.trust.role import ClientAuth
from sipmesh.trust.trusted_peers import TrustedPeers
from sipmesh.trust.x509.certificate import read_certificate
from sipmesh.trust.x509.device_identity import SCHEME, DeviceIdentity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from cryptography import x509

    from sipmesh.pki.ca_rotation import CaGenerations
    from sipmesh.server.enrolment.enrolment_issuer import Proof
    from sipmesh.storage.audit_act import AuditAct
    from sipmesh.storage.management_db import ManagementDb
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.view import ServerView


def is_login_of_device(name: str) -> bool:
    """Tell whether a name at a login is that of a device: no host name has a slash."""
    return "/" in name


def device_of_store(generations: CaGenerations, loaded: Loaded, user: str, device: str) -> DeviceIdentity:
    """Return the identity of a *device* of an enabled *user* of the store; raises `OperatorError`."""
    with _opened_users(loaded) as users:
        issuing = DeviceIssuing(generations.current, users, loaded.topology, _no_note)
        return issuing.identity(user, device)


class DeviceEnrolment:
    """Issues for devices with the current CA of *generations*, for users of *loaded*, and writes to *management_db*."""

    def __init__(self, generations: CaGenerations, loaded: Loaded, management_db: ManagementDb) -> None:
        self._generations, self._loaded, self._management_db = generations, loaded, management_db

    def issue(self, login: str, der: bytes, proof: Proof, at: datetime) -> x509.Certificate:
        """Issue for the device *login* and the key of its request *der*; raises `OperatorError` or `UnfitRequestError`."""
        user, _, device = login.rpartition("/")
        names = set(map(ascii_lower, (user, device, login, f"{SCHEME}:{device}")))
        key, issued = requested_device_key(der, names), self._management_db.enrolled_certificates

        def check() -> None:
            must_have_certificates_left(issued, login, at)
            proof.use()

        _must_be_enabled(self._generations, self._loaded, user, device)
        with _opened_users(self._loaded) as users:
            note = partial(self._note, login, proof, at)
            issuing = DeviceIssuing(self._generations.current, users, self._loaded.topology, note)
            made = issuing.certify(user, device, key, at, check=check).certificate
        row = EnrolledCertificate(f"{made.serial_number:x}", login, "", str(proof.protocol), at.timestamp())
        issued.add(row)
        return made

    def _note(self, login: str, proof: Proof, at: datetime, act: AuditAct, /, **about: object) -> None:
        how = {"protocol": str(proof.protocol), "because": proof.because}
        self._management_db.audit.append(login, act, {**about, **how}, at=at)


def _must_be_enabled(generations: CaGenerations, loaded: Loaded, user: str, device: str) -> None:
    """Raise `NotEnrollableError` if the store has no such user, or the user is disabled."""
    try:
        device_of_store(generations, loaded, user, device)
    except OperatorError as wrong:
        raise NotEnrollableError(wrong.message) from None


def device_proved_by(leaf: bytes, view: ServerView, issuers: Sequence[x509.Certificate], at: datetime) -> str:
    """Return the login of the device that *leaf*, in DER, proves at the time *at*; raises `CertificateRefusedError`.

    It is judged as on a client port that asks for the certificate of a device.
    """
    chain, authority = (read_certificate(leaf), *issuers), view.loaded.authority
    evidence = PeerEvidence(
        direction=Direction.ACCEPTED,
        kind=LinkKind.CLIENT,
        remote=("", 0),
        local=(view.name, 0),
        presented=tuple(one.public_bytes(Encoding.DER) for one in chain),
        engine_errors=path_errors(chain, authority.anchors, at),
    )
    policy = LinkPolicy(
        LinkKind.CLIENT,
        view.name,
        frozenset(),
        TrustedPeers(()),
        grace=view.accept_policy(LinkKind.SERVER).grace,
        client_auth=ClientAuth.CERTIFICATE,
        devices=authority,
        domains=view.sip_domains,
    )
    verdict = judge(evidence, policy, at=at)
    if not verdict.accepted or verdict.device is None:
        why = "; ".join(f"{found.check} wanted {found.wanted}; saw {found.saw}" for found in verdict.failed)
        raise CertificateRefusedError(f"the certificate of the device is refused: {verdict.code}: {why}")
    return verdict.device.login


@contextmanager
def _opened_users(loaded: Loaded) -> Iterator[Users]:
    users = Users(loaded.users_url, in_memory=False, seen=SeenUsers(loaded.folder))
    try:
        yield users
    finally:
        users.close()


def _no_note(_act: AuditAct, /, **_about: object) -> None:
    """Write nothing: an identity is only read."""
