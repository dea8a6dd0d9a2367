"""Words for a certificate authority that has changed: anchors, CRLs, OCSP responders."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sipmesh.topology.expiry.validity import DatedItem
from sipmesh.topology.versions.part_changes.field_changes import list_names, spell
from sipmesh.trust.formatting import tell_list
from sipmesh.trust.revocation.revocation_source import RevocationSource

if TYPE_CHECKING:
    from cryptography import x509

    from sipmesh.topology.document.parts.authority import AuthorityEntry, OwnAuthority
    from sipmesh.trust.authority import Authority


_NEEDED = {
    RevocationSource.LISTS: "a CRL",
    RevocationSource.ANSWERS: "an OCSP response where there is no CRL",
    RevocationSource.BOTH: "a CRL and an OCSP response",
}


def authority_changes(
    old: AuthorityEntry, new: AuthorityEntry, read: tuple[Authority, Authority], whose: str
) -> Iterator[str]:
    """List changes of an authority. Anchors are described by certificate; file names are listed if they change."""
    before, after = (
        {DatedItem.of_certificate(anchor).mark: anchor for anchor in authority.anchors} for authority in read
    )
    yield from (f"anchor {name_anchor(before[mark])} of {whose} is removed" for mark in before if mark not in after)
    yield from (f"anchor {name_anchor(after[mark])} of {whose} is added" for mark in after if mark not in before)
    if old.anchors != new.anchors:
        yield f"the anchors of {whose} are named by {tell_list(new.anchors)} instead of {tell_list(old.anchors)}"
    yield from list_names(
        old.crls,
        new.crls,
        lambda name: f"the CRL {name} of {whose} is added",
        lambda name: f"the CRL {name} of {whose} is removed",
        f"the CRLs of {whose}",
    )
    yield from list_names(
        old.crl_hosts,
        new.crl_hosts,
        lambda host: f"the host {host} for CRLs that certificates of {whose} name is added",
        lambda host: f"the host {host} for CRLs that certificates of {whose} name is removed",
        f"the hosts for CRLs of {whose}",
    )
    yield from list_names(
        old.ocsp,
        new.ocsp,
        lambda url: f"the OCSP responder {url} of {whose} is added",
        lambda url: f"the OCSP responder {url} of {whose} is removed",
        f"the OCSP responders of {whose}",
    )
    if old.revocation is not new.revocation:
        yield f"certificates of {whose} now need {_NEEDED[new.revocation]} instead of {_NEEDED[old.revocation]}"
    if old.grace != new.grace:
        before_s, after_s = (spell(entry.grace, "the default") for entry in (old, new))
        yield f"the grace hours after nextUpdate for CRLs of {whose} change from {before_s} to {after_s}"
    if old.list_limit != new.list_limit:
        before_s, after_s = (spell(entry.list_limit, "the default") for entry in (old, new))
        yield f"the largest size of a CRL of {whose} in MiB changes from {before_s} to {after_s}"


def device_ca_changes(old: OwnAuthority, new: OwnAuthority, read: tuple[Authority, Authority]) -> Iterator[str]:
    """List changes of the CAs that issue for devices, by certificate; file names are listed if they change."""
    before, after = ({DatedItem.of_certificate(ca).mark: ca for ca in authority.devices} for authority in read)
    yield from (f"device issuing CA {name_anchor(before[mark])} is removed" for mark in before if mark not in after)
    yield from (f"device issuing CA {name_anchor(after[mark])} is added" for mark in after if mark not in before)
    if old.devices != new.devices:
        named, instead = (tell_list(one.devices) or "no file" for one in (new, old))
        yield f"our device issuing CAs are named by {named} instead of {instead}"


def name_anchor(certificate: x509.Certificate) -> str:
    """Name an anchor by its subject and fingerprint."""
    dates = DatedItem.of_certificate(certificate)
    return f"{dates.subject} (SHA-256 {dates.mark[:16]})"
