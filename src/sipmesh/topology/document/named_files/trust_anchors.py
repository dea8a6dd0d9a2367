"""The anchors and CRLs of a topology: read from files, and checked as far as possible without a peer.

A published topology embeds its anchors, under their names in the document (`Anchors`).

An anchor that cannot be used is an error, because no certificate could be verified with it. For CRLs see
`sipmesh.topology.document.named_files.crl_files`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sipmesh.foreign_errors import reason_of
from sipmesh.topology.document.named_files.crl_files import ListFile, ListFiles, fetched_file
from sipmesh.topology.document.named_files.crl_points import CrlPoints
from sipmesh.topology.document.named_files.ocsp_files import answers_on_disk
from sipmesh.topology.document.named_files.read import UnusableFileError, read_file
from sipmesh.topology.document.names import is_url
from sipmesh.topology.document.parts.authority import OwnAuthority
from sipmesh.topology.document.parts.federation import Partner
from sipmesh.trust.authority import Authority
from sipmesh.trust.dane.tlsa import DaneMode
from sipmesh.trust.revocation.ocsp import NO_ANSWERS, OcspAnswers
from sipmesh.trust.revocation.revocation_source import RevocationSource
from sipmesh.trust.x509.certificate import UNREADABLE, is_authority, issued_by, may_sign_certificates, weakness
from sipmesh.trust.x509.device_identity import is_for_devices

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from sipmesh.errors import Problem
    from sipmesh.topology.document.model import Topology
    from sipmesh.topology.document.parts.authority import AuthorityEntry
    from sipmesh.topology.document.report import ProblemReport
    from sipmesh.topology.document.yaml_tree import Loc
    from sipmesh.trust.transparency.ct_log import CtPolicy

LARGEST_ANCHORS = 4 << 20  # octets; a bundle of all public roots is a quarter of that


Anchors = Callable[[str], bytes]
"""Gives the content of an anchor file by its name in the document; raises UnusableFileError."""


def anchors_on_disk(folder: Path) -> Anchors:
    """Give anchors from disk, as `certificates_alone`. Relative names are below *folder*."""
    return lambda name: certificates_alone(read_file(folder / name, LARGEST_ANCHORS))


def certificates_alone(content: bytes) -> bytes:
    """Give the certificates in *content*, which is PEM or DER, in PEM and without the text around them.

    A publication contains them, and each server and operator may read it. Raises UnusableFileError if *content* has something
    else, such as a key.
    """
    if other := next((block for block in _PEM_BLOCK.findall(content) if block != b"CERTIFICATE"), None):
        raise UnusableFileError(f"contains a {other.decode('ascii', 'replace')}, not certificates alone")
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in parse_certificates(content))


_PEM_BLOCK = re.compile(rb"-----BEGIN ([^\r\n-]{1,64})-----")  # RFC 7468 section 3


class RecordedAnchors:
    """Anchors from another source. Each content that was read is kept in *files*."""

    def __init__(self, inner: Anchors) -> None:
        self._inner = inner
        self.files: dict[str, bytes] = {}

    def __call__(self, name: str) -> bytes:
        """Give the content of *name*. It is read once."""
        if name not in self.files:
            self.files[name] = self._inner(name)
        return self.files[name]


def embedded_anchors(files: Mapping[str, bytes]) -> Anchors:
    """Give anchors from *files* only, never from disk."""

    def read(name: str) -> bytes:
        if name not in files:
            raise UnusableFileError("is not in this version")
        return files[name]

    return read


@dataclass(frozen=True, slots=True)
class TrustMaterial:
    """The anchors and CRLs of one authority."""

    loc: Loc
    authority: Authority
    lists: ListFiles


def issuers_in_use(topology: Topology, folder: Path) -> list[x509.Certificate]:
    """Give the CAs below the anchors in our own servers' certificate files, if these are on this machine."""
    found: dict[bytes, x509.Certificate] = {}
    for server in topology.servers:
        with suppress(*UNREADABLE):
            chain = read_certificates(folder / server.certificate_file)[1:]
            found |= {key_of(issuer): issuer for issuer in chain if is_authority(issuer)}
    return list(found.values())


def read_authority(
    entry: AuthorityEntry,
    name: str,
    loc: Loc,
    folder: Path,
    report: ProblemReport,
    known: Sequence[x509.Certificate],
    read: Anchors,
    transparency: CtPolicy | None = None,
) -> TrustMaterial:
    """Read one authority. Unusable anchors are reported to *report*; the faults of CRLs are in the result.

    CRLs are below *folder*, and anchors come from *read*. *known* are possible CAs below the anchors. Those that are must have
    a CRL too.
    """
    anchors = _read_anchors(entry, loc, read, report)
    by_dane = isinstance(entry, Partner) and entry.dane is DaneMode.ONLY
    devices = _read_devices(entry, loc, read, anchors, report) if isinstance(entry, OwnAuthority) else []
    names = {certificate.subject for certificate in (*anchors, *devices)}
    issuers = anchors + devices + [issuer for issuer in known if issuer.issuer in names and issuer.subject not in names]
    places = [((*loc, "crls", n), source) for n, source in enumerate(entry.crls)]
    readable = [(place, source) for place, source in places if not report.has_problem(place)]
    needed = readable == places != [] and entry.revocation is not RevocationSource.ANSWERS and not entry.crl_hosts
    lack = report.problem((*loc, "crls"), "", _REMEDY_NO_LIST) if needed else None
    found = [
        replace(_list_file(place, source, folder, report), largest=entry.largest_list) for place, source in readable
    ]
    lists = ListFiles(found, issuers, lack, _points(entry, name, loc, folder, report))
    authority = Authority(
        name,
        () if by_dane else tuple(anchors),
        lists.held(),
        _answers(entry, name, folder),
        entry.revocation,
        entry.grace_time,
        transparency,
        tuple(devices),
        by_dane,
        tuple(anchors) if by_dane else (),
    )
    return TrustMaterial(loc, authority, lists)


def _answers(entry: AuthorityEntry, name: str, folder: Path) -> OcspAnswers:
    """Give the fetched OCSP responses, if the authority uses OCSP."""
    return (
        OcspAnswers(answers_on_disk(folder, name).values())
        if entry.revocation is not RevocationSource.LISTS
        else NO_ANSWERS
    )


def _points(entry: AuthorityEntry, name: str, loc: Loc, folder: Path, report: ProblemReport) -> CrlPoints | None:
    """Give the CRLs that certificates of the authority name, if the topology allows a host for them."""
    place = (*loc, "crl_hosts")
    if not entry.crl_hosts or report.has_problem(place):
        return None
    fault = report.problem(place, "", _REMEDY_FETCHED)
    return CrlPoints.of(folder, name, place, entry.crl_hosts, fault, entry.largest_list)


def _list_file(loc: Loc, name: str, folder: Path, report: ProblemReport) -> ListFile:
    if is_url(name):
        return ListFile(loc, name, fetched_file(folder, name), report.problem(loc, "", _REMEDY_FETCHED), fetched=True)
    return ListFile(loc, name, folder / name, report.problem(loc, "", _REMEDY_LIST))


_REMEDY_FETCHED = "check what that URL returns; servers fetch it again automatically"
_REMEDY_LIST = "fetch the newest CRL of that CA; for our own CA: sipmesh ca crl"
_REMEDY_NO_LIST = "add the file of its CRL; until then all certificates of this CA are refused (revocation-unknown)"


def read_certificates(file: Path) -> list[x509.Certificate]:
    """Give all certificates of a PEM file, or that of a DER file; raises UnusableFileError."""
    return parse_certificates(read_file(file, LARGEST_ANCHORS))


def parse_certificates(content: bytes) -> list[x509.Certificate]:
    """Give all certificates of *content*, which is PEM or DER; raises UnusableFileError."""
    try:
        if b"-----BEGIN" in content:
            return x509.load_pem_x509_certificates(content)
        return [x509.load_der_x509_certificate(content)]
    except UNREADABLE:
        raise UnusableFileError("contains no readable certificate") from None


def key_of(certificate: x509.Certificate) -> bytes:
    """Give the public key of an anchor in DER. Two certificates with the same key are the same anchor."""
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _read_anchors(entry: AuthorityEntry, loc: Loc, read: Anchors, report: ProblemReport) -> list[x509.Certificate]:
    anchors: list[x509.Certificate] = []
    for n, file in enumerate(entry.anchors):
        place = (*loc, "anchors", n)
        if report.has_problem(place):  # such as a file in another folder: it is not read
            continue
        try:
            found = parse_certificates(read(file))
        except UnusableFileError as wrong:
            report.add(place, f"{file}: {wrong}", "name a PEM file with the root certificate")
            continue
        for certificate in found:
            if why := _unfit(certificate):
                report.add(
                    place, f"{file}: {why}", "name the root certificate of the CA, not a certificate that the CA issued"
                )
            else:
                anchors.append(certificate)
    return anchors


def _read_devices(
    entry: OwnAuthority, loc: Loc, read: Anchors, anchors: Sequence[x509.Certificate], report: ProblemReport
) -> list[x509.Certificate]:
    """Read the certificates of the device issuing CAs. Each must be below one of *anchors*, and marked as such a CA."""
    devices: list[x509.Certificate] = []
    for n, file in enumerate(entry.devices):
        place = (*loc, "devices", n)
        if report.has_problem(place):
            continue
        try:
            found = parse_certificates(read(file))
        except UnusableFileError as wrong:
            report.add(place, f"{file}: {wrong}", _REMEDY_DEVICES)
            continue
        for certificate in found:
            is_below = any(issued_by(certificate, anchor) for anchor in anchors)
            if is_below and is_authority(certificate) and is_for_devices(certificate):
                devices.append(certificate)
            else:
                subject = certificate.subject.rfc4514_string()
                report.add(place, f"{file}: {subject} is not a device issuing CA below our root", _REMEDY_DEVICES)
    return devices


_REMEDY_DEVICES = "name the certificate that this command makes: sipmesh ca devices"


def _unfit(certificate: x509.Certificate) -> str:
    """Say why *certificate* cannot be an anchor; "" if it can."""
    try:
        subject = certificate.subject.rfc4514_string()
        key_of(certificate)
        if not is_authority(certificate):
            return f"{subject} is not a CA"
        if weak := weakness(certificate, signature=False):
            return f"{subject} has {weak}"
        return "" if may_sign_certificates(certificate) else f"{subject} may not sign certificates"
    except UNREADABLE as wrong:
        return f"contains a certificate that cannot be used ({reason_of(wrong)})"


def anchors_are_told_apart(
    topology: Topology, own: Authority | None, partners: Iterable[Authority], report: ProblemReport
) -> None:
    """Check that a private anchor is of one organisation only. A third party's anchor may be of several (R8)."""
    owner = {key_of(anchor): "our own authority" for anchor in own.anchors} if own else {}
    shared: dict[bytes, str] = {}
    for n, (partner, authority) in enumerate(zip(topology.federation.partners, partners, strict=True)):
        for key in {key_of(anchor) for anchor in authority.anchors}:
            if key in owner or (key in shared and not partner.third_party):
                reason = f"an anchor of {partner.name} is also an anchor of {owner.get(key) or shared[key]}"
                report.add(("federation", "partners", n, "anchors"), reason, _REMEDY_SHARED)
            elif partner.third_party:
                shared[key] = f"{partner.name} (third party)"
            else:
                owner[key] = partner.name


_REMEDY_SHARED = (
    "name this partner's own root; if the same third-party CA issues for both partners, add `third_party: true` to both"
)


def stale(materials: Iterable[TrustMaterial], report: ProblemReport, *, at: datetime) -> list[Problem]:
    """Give warnings for the instant *at*: expired CRLs, and anchors that are not valid."""
    warnings: list[Problem] = []
    for material in materials:
        for loc, crl in material.lists.lists:
            if crl.next_update < at:
                reason = f"CRL {crl.number} expired {crl.next_update:%Y-%m-%d %H:%M}Z"
                remedy = "fetch the newest CRL; for our own CA: sipmesh ca crl; until then certificates of this CA are refused"
                warnings.append(report.problem(loc, reason, remedy))
        for anchor in material.authority.anchors:
            if not anchor.not_valid_before_utc <= at <= anchor.not_valid_after_utc:
                reason = f"{anchor.subject.rfc4514_string()} is not valid at {at:%Y-%m-%d %H:%M}Z"
                warnings.append(report.problem(material.loc, reason, "name the CA's current root"))
    return warnings
