"""What new revocation lists mean for those who were accepted under the old ones: mostly a few serials, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.trust.revocation.crl import RevocationSource

if TYPE_CHECKING:
    from datetime import datetime

    from sipmesh.trust.authority import Authority
    from sipmesh.trust.revocation.crl import RevocationLists
    from sipmesh.trust.x509.certificate import CertificateId


def newly_revoked(authority: Authority, lists: RevocationLists, at: datetime) -> frozenset[CertificateId] | None:
    """Name the certificates that *lists* revoke at the instant *at* and those of *authority* so far do not.

    Nobody else is judged otherwise by them. None where that cannot be told from serials, so that everybody has to be
    judged again: a list is gone, not in force, of another scope or not by the same key; an issuer has several, or
    deltas, which count together; or it is not lists alone that speak for this authority.
    """
    if authority.source is not RevocationSource.LISTS:
        return None
    found: set[CertificateId] = set()
    for issuer in {held.issuer_der for held in (*authority.lists, *lists)}:
        before, now = authority.lists.of(issuer), lists.of(issuer)
        if before == now:
            continue
        if len(before) > 1 or len(now) != 1 or (before and not now[0].stands_in_for(before[0], at)):
            return None
        known = before[0].serials if before else frozenset()
        found |= {(issuer, serial) for serial in now[0].serials - known}
    return frozenset(found)
