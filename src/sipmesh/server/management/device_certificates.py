"""Certificates of the devices of users: issued for users of the store, listed and revoked, each with its line in the audit log.

The names in a certificate are those of the user store and of the operator or the invitation, and never from a request.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sipmesh.errors import OperatorError
from sipmesh.pki.issuance.profiles import DEVICE_LIFETIME, CertificateKind
from sipmesh.pki.lock import ca_lock
from sipmesh.pki.status import CertificateState, CertificateStatus
from sipmesh.sip.text import ascii_lower
from sipmesh.storage.audit_act import AuditAct
from sipmesh.topology.user_address import full_address
from sipmesh.trust.x509.device_identity import NAME_REMEDY, DeviceIdentity, is_device_name

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import timedelta

    from sipmesh.pki.authority import EnterpriseCa
    from sipmesh.pki.ca_rotation import CaGenerations
    from sipmesh.pki.crl.builder import Reason
    from sipmesh.pki.issuance.profiles import LeafKey
    from sipmesh.pki.issued import Certified, IssuedToPerson
    from sipmesh.pki.ledger.records import Record
    from sipmesh.storage.audit_act import Note
    from sipmesh.storage.users.user_database import Users
    from sipmesh.topology.document.model import Topology


@dataclass(frozen=True, slots=True)
class DeviceCertificate:
    """One certificate of a device: *serial* is hexadecimal, *until* its end."""

    user: str
    device: str
    serial: str
    state: CertificateState
    until: datetime


class DeviceIssuing:
    """Issues for devices of the *users* with the current *ca*; *note* writes a line into the audit log.

    Each method raises `OperatorError` for a user who is not in the store or is disabled, and for what is no name of a device.
    """

    def __init__(self, ca: EnterpriseCa, users: Users, topology: Topology, note: Note) -> None:
        self._ca, self._users, self._topology, self._note = ca, users, topology, note

    def issue(
        self, user: str, device: str, at: datetime, lifetime: timedelta = DEVICE_LIFETIME, *, rsa: bool = False
    ) -> IssuedToPerson:
        """Issue a certificate and a new key, for a device that makes none; looks at the user again as `certify` does."""
        identity = self.identity(user, device)
        issued = self._ca.issue_device(identity, at, lifetime, rsa=rsa, check=lambda: self._must_be(identity))
        self._noted(identity, issued.certificate.serial_number, lifetime)
        return issued

    def certify(
        self,
        user: str,
        device: str,
        key: LeafKey,
        at: datetime,
        lifetime: timedelta = DEVICE_LIFETIME,
        *,
        check: Callable[[], None] = lambda: None,
    ) -> Certified:
        """Issue a certificate for the *key* of a device, which it has proved (`sipmesh.pki.csr`).

        *check* runs while no other process issues or revokes anything; if it raises, nothing is signed. So does another look
        at the user, who may have been disabled or removed meanwhile: `revoke_devices` finds what was issued before.
        """
        identity = self.identity(user, device)

        def checked() -> None:
            check()
            self._must_be(identity)

        certified = self._ca.certify_device(identity, key, at, lifetime, check=checked)
        self._noted(identity, certified.certificate.serial_number, lifetime)
        return certified

    def identity(self, user: str, device: str) -> DeviceIdentity:
        """Return the identity of a device of an enabled user, with the address as the user store has it."""
        if not is_device_name(device):
            raise OperatorError(f"{device!r} is not a name of a device: {NAME_REMEDY}")
        found = self._users.get(full_address(user, self._topology))
        if found.disabled is not None:
            name = found.aor.removeprefix("sip:")
            raise OperatorError(f"{name} is disabled, and gets no certificate; first: sipmesh user enable {name}")
        return DeviceIdentity(found.aor, device)

    def _must_be(self, identity: DeviceIdentity) -> None:
        """Raise `OperatorError` unless the user is still enabled, and still has this address."""
        self.identity(identity.user.removeprefix("sip:"), identity.device)

    def _noted(self, identity: DeviceIdentity, serial: int, lifetime: timedelta) -> None:
        user = identity.user.removeprefix("sip:")
        self._note(AuditAct.ISSUE, user=user, device=identity.device, serial=f"{serial:x}", days=lifetime.days)


def device_certificates(generations: CaGenerations, user: str, at: datetime) -> list[DeviceCertificate]:
    """List the certificates of the devices of *user*, an address without scheme, newest first, but expired certificates."""
    meant = frozenset((ascii_lower(user),))
    found = [_told(record, at) for record in generations.records() if _is_of(record, meant, "")]
    return [one for one in reversed(found) if one.state is not CertificateState.EXPIRED]


def revoke_devices(
    generations: CaGenerations, users: Collection[str], reason: Reason, at: datetime, note: Note, device: str = ""
) -> list[Record]:
    """Revoke the valid certificates of all devices of *users*, or of one *device*, by one CRL; returns their records.

    Raises `UnrecordedRevocationError` at the end if the ledger does not store a revocation; all are revoked then.
    """
    revoked, meant = [], frozenset(map(ascii_lower, users))
    for ca in generations.alive:
        with ca_lock(ca.folder):  # what began to be issued before is in the ledger then
            names = {one.names[0] for one in ca.certificates if _is_of(one, meant, device)}
            valid = [one for one in ca.records.valid_of(names, at) if _is_of(one, meant, device)]
        if valid:
            ca.revoke_all(valid, reason, at)
            revoked += valid
    for record in revoked:
        about = {"user": record.names[0], "device": _device_of(record), "serial": record.serial_hex}
        note(AuditAct.REVOKE, **about, because=str(reason))
    return revoked


def _is_of(record: Record, users: frozenset[str], device: str) -> bool:
    """Tell whether *record* is of a device of one of *users*, which are in lower case."""
    is_named = record.kind == CertificateKind.DEVICE and ascii_lower(record.names[0]) in users
    return is_named and (not device or device == _device_of(record))


def _device_of(record: Record) -> str:
    return record.names[1] if len(record.names) > 1 else ""


def _told(record: Record, at: datetime) -> DeviceCertificate:
    state = CertificateStatus.of(record, at).state
    return DeviceCertificate(record.names[0], _device_of(record), record.serial_hex, state, record.not_after)
