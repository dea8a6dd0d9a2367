"""Revocation and new CRLs, with their lines in the audit log: the commands and the console use them."""

from __future__ import annotations

import re
from datetime import timedelta
from itertools import chain
from typing import TYPE_CHECKING, Final

from cryptography import x509

from sipmesh.pki.issuance.profiles import LONGEST_LEAF_LIFETIME, CertificateKind
from sipmesh.pki.ledger.records import can_be_listed
from sipmesh.pki.ledger.refusals import UnrecordedRevocationError
from sipmesh.sip.text import ascii_lower
from sipmesh.storage.audit_act import AuditAct
from sipmesh.trust.x509.certificate import UNREADABLE, extension

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import datetime
    from pathlib import Path

    from sipmesh.pki.authority import EnterpriseCa
    from sipmesh.pki.ca_rotation import CaGenerations
    from sipmesh.pki.crl.builder import Reason
    from sipmesh.pki.ledger.records import Record
    from sipmesh.storage.audit import Audit, AuditLine
    from sipmesh.storage.audit_act import Note

_ISSUING: Final = frozenset({AuditAct.ISSUE, AuditAct.JOIN})
A_SECOND: Final = timedelta(seconds=1)
"""A CRL has whole seconds: a revocation is later than it says."""

_HEX: Final = re.compile("[0-9a-f]{1,40}", re.ASCII)


def revoke(generations: CaGenerations, serial: int, reason: Reason, at: datetime, note: Note, lost: str = "") -> Record:
    """Revoke a certificate at the instant *at*, sign the CRL, and note it; raises `OperatorError` for an unknown serial.

    *lost* is the name of a server whose certificate the ledger may have lost. It is not known then which of our CAs has issued
    it: each CA in use lists the serial. Raises `UnrecordedRevocationError`, when it is revoked and noted, if the ledger
    does not store it.
    """
    if lost:
        owners = [ca for ca, _record in generations.as_issued({serial}).values()] or generations.alive
    else:
        owners = [generations.owner_of(serial)]
    unrecorded: UnrecordedRevocationError | None = None
    for ca in owners:
        try:
            record = ca.revoke(serial, reason, at, lost)
        except UnrecordedRevocationError as wrong:
            unrecorded, record = wrong, wrong.records[-1]
    is_device = record.kind == CertificateKind.DEVICE
    whose = (
        {"user": record.names[0], "device": " ".join(record.names[1:])} if is_device else {"server": record.names[0]}
    )
    note(AuditAct.REVOKE, **whose, serial=record.serial_hex, because=str(record.reason))
    if unrecorded is not None:
        raise unrecorded
    return record


def owner_of(generations: CaGenerations, serial: int, lost: str = "") -> tuple[str, str]:
    """Return for whom a certificate was issued: a server and "", or a user and a device.

    For another certificate this is ("", ""). If no ledger has the certificate, it is the name *lost*.
    """
    if serial not in (found := generations.as_issued({serial})):
        return lost, ""
    record = found[serial][1]
    if record.kind not in (CertificateKind.SERVER, CertificateKind.DEVICE):
        return "", ""
    return record.names[0], record.names[1] if record.kind == CertificateKind.DEVICE else ""


def last_revocation(generations: CaGenerations, name: str, device: str, audit: Audit) -> datetime | None:
    """Return when a certificate of a server, or of the *device* of a user, was last revoked; None if none ever was.

    What lets this name get its next certificate must be newer: who had the name before has it perhaps. Generations of the CA that
    are retired count too: a computer that was stolen is not given back with a new root.

    The ledger can be in a database that others may change. So the *audit* log counts too, and a CRL in force that lists a
    certificate of which one of both has the name. Raises `OperatorError` if the log or a CRL cannot be read.
    """
    wanted = tuple(map(ascii_lower, (name, device) if device else (name,)))
    mine = [one for one in generations.records() if _is_of(one, wanted)]
    lines = audit.readable(ascii_lower(name))
    told = [line for line in lines if line.act in _ISSUING and not device and ascii_lower(_whose(line)) == wanted[0]]
    known = {one.serial: one.revoked_at for one in mine}
    serials = {*known, *(serial for line in told for serial in _serials(line))}
    listed = [_listed_at(generations, serial) for serial in serials if known.get(serial) is None]
    found = [at for at in known.values() if at is not None] + [at + A_SECOND for at in listed if at is not None]
    found += [line.at for line in lines if line.act == AuditAct.REVOKE and _is_about(line, wanted)]
    return max(found, default=None)


def _is_about(line: AuditLine, wanted: tuple[str, ...]) -> bool:
    """Tell whether a line about a revocation names a server, or a user and the device, as *wanted*."""
    about = (_whose(line), *str(line.about.get("device", "")).split(" "))
    return tuple(map(ascii_lower, about[: len(wanted)])) == wanted


def _is_of(record: Record, wanted: tuple[str, ...]) -> bool:
    """Tell whether the first names of a record are *wanted*, in lower case."""
    return tuple(map(ascii_lower, record.names[: len(wanted)])) == wanted


def sign_crls(
    generations: CaGenerations, at: datetime, note: Note
) -> Iterator[tuple[Path, CertificateKind, int | None]]:
    """Sign new CRLs at the instant *at*, and note each; yields the file, the kind of its CA, and the number.

    The number is None for a root whose key is on another machine: its CRL is not signed.
    """
    for ca in generations.alive:
        for kind in ca.crls.kinds:
            if kind is CertificateKind.ROOT and not ca.crls.has_key(kind):
                yield ca.folder / "root.crl", kind, None
                continue
            file, number = ca.crls.publish(at, kind), _number(ca, kind, at)
            note(AuditAct.LIST, file=str(file.relative_to(generations.folder.parent)), number=number)
            yield file, kind, number


def _number(ca: EnterpriseCa, kind: CertificateKind, at: datetime) -> int:
    return next(status.made.number for status in ca.status(at).lists if status.kind == kind and status.made)


def lost_certificates(
    generations: CaGenerations, servers: Collection[str], audit: Audit | None, at: datetime
) -> dict[int, str]:
    """Return the certificates of *servers* that may be valid at *at*, and that the ledger does not have as they were issued.

    The ledger can be in a database that others may change. So this asks the audit log, and the certificate files on this host.
    Returns the serial numbers, each with its server.
    """
    told = {
        serial: server for serial, server in chain(_in_log(audit, at), _in_files(generations, at)) if server in servers
    }
    as_issued = {serial: record for serial, (_ca, record) in generations.as_issued(told).items()}
    kept = {serial for serial, record in as_issued.items() if _is_right(record, told[serial], at)}
    return {
        serial: server for serial, server in told.items() if serial not in kept and not is_listed(generations, serial)
    }


def _is_right(record: Record, server: str, at: datetime) -> bool:
    """Tell whether a *record* is right although no CRL lists it: what is revoked is listed until it expires.

    A certificate that is not of *server* is nothing that it can have lost.
    """
    return record.revoked_at is None or record.not_after <= at or record.names[0] != server


def _in_log(audit: Audit | None, at: datetime) -> Iterator[tuple[int, str]]:
    """Give serial number and name of each certificate that the audit log says was issued, and that may be valid still."""
    for line in audit.readable() if audit is not None else ():
        if line.act in _ISSUING and at - line.at < LONGEST_LEAF_LIFETIME and (name := _whose(line)):
            yield from ((serial, name) for serial in _serials(line))


def _whose(line: AuditLine) -> str:
    """Return for whom a line says that a certificate was issued or revoked, "" for no name."""
    return str(line.about.get("server") or line.about.get("operator") or line.about.get("user") or "")


def _serials(line: AuditLine) -> Iterator[int]:
    """Give the serial numbers of a line. A grant to a server that joins names those *beside* the new one too."""
    serials = f"{line.about.get('serial')} {line.about.get('beside', '')}".split(" ")
    yield from filter(can_be_listed, (int(serial, 16) for serial in serials if _HEX.fullmatch(serial)))


def _in_files(generations: CaGenerations, at: datetime) -> Iterator[tuple[int, str]]:
    """Give serial number and names of each valid certificate of ours in the folder of the servers."""
    for file in (generations.folder.parent / "servers").glob("*.pem"):
        try:
            leaf = x509.load_pem_x509_certificate(file.read_bytes())
            names = extension(leaf, x509.SubjectAlternativeName)
        except (OSError, *UNREADABLE):
            continue
        if names is not None and leaf.not_valid_after_utc > at and generations.has_issued(leaf):
            for name in names.get_values_for_type(x509.DNSName)[:1]:
                yield leaf.serial_number, name


def is_listed(generations: CaGenerations, serial: int) -> bool:
    """Tell whether a CRL in force lists a serial number; raises `OperatorError` if one cannot be read."""
    return _listed_at(generations, serial) is not None


def _listed_at(generations: CaGenerations, serial: int) -> datetime | None:
    """Return since when a CRL in force lists a serial number, None if none does."""
    issuing = (CertificateKind.ISSUING, CertificateKind.DEVICES)
    entries = (
        ca.crls.in_force(kind).entry(serial) for ca in generations.alive for kind in issuing if kind in ca.crls.kinds
    )
    return max((one.revocation_date_utc for one in entries if one is not None), default=None)
