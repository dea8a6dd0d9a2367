"""`sipmesh ca devices`, and `sipmesh ca issue --user`: the device issuing CA, and the certificates of devices of users."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sipmesh.cli.control_client import links_of, reload, say_reloaded
from sipmesh.cli.given_file import read_given
from sipmesh.cli.output import GOOD, WARN, plural, say
from sipmesh.cli.place import CA, HERE, Place, TopologyFile
from sipmesh.cli.topology.remote_servers import must_lead, note
from sipmesh.cli.users.passwords import new_password
from sipmesh.errors import OperatorError, Problem

if TYPE_CHECKING:
    from cryptography import x509

    from sipmesh.pki.authority import EnterpriseCa
    from sipmesh.server.management.device_certificates import DeviceIssuing

FOLDER = "devices"
"""The folder of new files, beside the topology."""


class DeviceFile(StrEnum):
    """The files that a device can read."""

    P12 = "p12"
    PEM = "pem"


@dataclass(frozen=True, slots=True)
class DeviceWish:
    """What is asked for: a certificate of *device*, for the key of *request* or for a new one, in a new file *out*."""

    user: str
    device: str
    days: int
    rsa: bool
    request: Path | None
    form: DeviceFile
    out: Path | None
    password_stdin: bool


def devices(topology: TopologyFile = HERE) -> None:
    """Make the CA that issues certificates for devices of users, or renew its certificate for the SIP domains of the topology.

    It is below the same root, with name constraints for these domains. Its certificates are accepted on client ports only. The
    command adds its CRL to the draft. Devices keep their certificates.
    """
    from sipmesh.pki.issuance.profiles import CertificateKind
    from sipmesh.storage.audit_act import AuditAct

    place = Place(topology)
    must_lead(place)
    ca, now, before = place.ca(), datetime.now(UTC), links_of(place)
    domains = place.load().topology.sip_domains
    if ca.has_own_root and not ca.crls.has_key(CertificateKind.ROOT):
        remedy = "sipmesh ca root request devices FILE, then `sign` and `take`"
        raise OperatorError(
            f"the key of the root is on another machine, and has to certify the device issuing CA: {remedy}"
        )
    made = ca.certify_devices(domains, now).devices
    if made is not None:
        note(place, AuditAct.ISSUE, authority=made.subject.rfc4514_string(), serial=f"{made.serial_number:x}")
        say(f"{made.subject.rfc4514_string()} issues for devices of {', '.join(domains)}.", style=GOOD)
    name_in_draft(place, ca)
    say_reloaded(reload(place, before, changed_only=True))


def revoke_devices_of(place: Place, user: str, device: str = "", *, ended: int = 0) -> None:
    """Revoke the certificates of all devices of a *user*, or of one *device*, and put the CRL in force.

    *ended* certificates were revoked by `end_devices_of` before.
    """
    from sipmesh.cli.topology.remote_servers import say_given

    before = links_of(place)
    if end_devices_of(place, user, device) or ended:
        reloaded = reload(place, before, changed_only=True)
        say_reloaded(reloaded)
        say_given(place, reloaded.servers)


def end_devices_of(place: Place, user: str, device: str = "") -> int:
    """Revoke the certificates of all devices of a *user*, or of one *device*, and end what gets others; returns how many."""
    from sipmesh.pki.ca_rotation import CaGenerations
    from sipmesh.pki.crl.builder import Reason
    from sipmesh.server.management.device_certificates import revoke_devices

    if not CaGenerations.are_in(place.folder / CA):
        return 0
    at, reason = datetime.now(UTC), Reason.CESSATION_OF_OPERATION
    try:
        end_enrolment_of(place, user, at, device)
    finally:  # the certificates are revoked also if the tokens cannot be withdrawn
        revoked = revoke_devices(place.generations(), (user,), reason, at, partial(note, place), device)
    for record in revoked:
        say(f"Revoked: serial {record.serial_hex} of {' '.join(record.names[1:])} of {record.names[0]}.", style=GOOD)
    return len(revoked)


def end_enrolment_of(place: Place, name: str, at: datetime, device: str = "") -> None:
    """End the one-time tokens and ACME accounts of a server or a user, as `end_enrolment` does: their certificates end."""
    from sipmesh.database.shared import has_management_db
    from sipmesh.storage.enrolment.end_enrolment import end_enrolment
    from sipmesh.storage.management_db import ManagementDb

    if not has_management_db(place.folder):
        return
    management_db = ManagementDb(place.folder)
    try:
        for one in end_enrolment(management_db, name, at, partial(note, place), device):
            say(f"Withdrawn: the {one.kind} {one.id} of {one.name}.", style=GOOD)
    finally:
        management_db.close()


def name_in_draft(place: Place, ca: EnterpriseCa) -> None:
    """Name the device issuing CA and its CRL in the draft, unless it does, and say what is to do."""
    from sipmesh.topology.document.changes import add_devices, edit

    pem, crl = (os.fspath((ca.folder / f"devices.{end}").relative_to(place.folder)) for end in ("pem", "crl"))
    named = place.load().topology.authority
    if crl not in named.crls or pem not in named.devices:
        edit(place.file, lambda text: add_devices(text, pem, crl, place.file))
        say(f"The draft {place.file} names the CA and its CRL.", style=WARN)
    say("To give its certificate to all servers:", '  sipmesh topology publish -m "certificates for devices"')


def issue_for_device(place: Place, wish: DeviceWish) -> None:
    """Issue the certificate of a device, and write it to a new file; with its key, if the device has made none."""
    from sipmesh.server.management.device_certificates import DeviceIssuing

    target = wish.out or _target(place, wish)
    if target.exists():
        problem = Problem(target, 0, "", "exists already", "name another file with --out, or remove it")
        raise OperatorError("no certificate was issued", (problem,))
    must_lead(place)
    with place.users() as users:
        issuing = DeviceIssuing(place.ca(), users, place.in_force().topology, partial(note, place))
        identity = issuing.identity(wish.user, wish.device)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = _issue(issuing, wish, target)
    who = f"{identity.device} of {identity.user.removeprefix('sip:')}"
    say(f"{who}: serial {made.serial_number:x}, valid for {plural(wish.days, 'day')}: {target}", style=GOOD)


def _target(place: Place, wish: DeviceWish) -> Path:
    form = DeviceFile.PEM if wish.request is not None else wish.form
    return place.folder / FOLDER / f"{wish.user.replace('/', '_')}.{wish.device.replace('/', '_')}.{form}"


def _issue(issuing: DeviceIssuing, wish: DeviceWish, target: Path) -> x509.Certificate:
    from sipmesh.pki import files

    lifetime, now = timedelta(days=wish.days), datetime.now(UTC)
    if wish.request is not None:
        return _for_request(issuing, wish, wish.request, target)
    if wish.form is DeviceFile.PEM:
        issued = issuing.issue(wish.user, wish.device, now, lifetime, rsa=wish.rsa)
        chain = files.certificates_pem((issued.certificate, *issued.issuers))
        files.write(target, chain + issued.pem_key(), files.SECRET)
        return issued.certificate
    passphrase = new_password(f"the new file {target.name}", from_stdin=wish.password_stdin)
    issued = issuing.issue(wish.user, wish.device, now, lifetime, rsa=wish.rsa)
    files.write(target, issued.pkcs12(f"{wish.user} {wish.device}", passphrase), files.SECRET)
    return issued.certificate


def _for_request(issuing: DeviceIssuing, wish: DeviceWish, request: Path, target: Path) -> x509.Certificate:
    from sipmesh.pki import files
    from sipmesh.pki.csr import read_person_key

    content = read_given(request, "the certificate is not issued", "name the request of the device")
    key = read_person_key(content, request)
    certified = issuing.certify(wish.user, wish.device, key, datetime.now(UTC), timedelta(days=wish.days))
    files.write(target, certified.chain)
    return certified.certificate
