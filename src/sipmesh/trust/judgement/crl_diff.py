"""Compare new CRLs with the old: which accepted certificates are now revoked. In most cases there are only a few."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.trust.revocation.revocation_source import RevocationSource

if TYPE_CHECKING:
    from datetime import datetime

    from sipmesh.trust.authority import Authority
    from sipmesh.trust.revocation.crl_set import RevocationLists
    from sipmesh.trust.x509.certificate import CertificateId


def newly_revoked(authority: Authority, lists: RevocationLists, at: datetime) -> frozenset[CertificateId] | None:
    """Give the certificates that *lists* revoke at the instant *at*, and that the CRLs of *authority* do not revoke.

    Other certificates need no new judgement. None if serial numbers alone do not tell, so that all links must be judged again:

    - a CRL was removed, is not valid at *at*, or has another scope or another key
    - an issuer has several CRLs, or deltas, which are combined
    - OCSP responses are used for this authority too
    """
    if authority.source is not RevocationSource.LISTS:
        return None
    found: list[tuple[bytes, frozenset[int]]] = []
    for issuer in {crl.issuer_der for crl in (*authority.lists, *lists)}:
        before, now = authority.lists.of(issuer), lists.of(issuer)
        if before == now:
            continue
        if len(before) > 1 or len(now) != 1 or (before and not now[0].stands_in_for(before[0], at)):
            return None
        known = before[0].serials if before else frozenset()
        found.append((issuer, now[0].serials - known))
    return frozenset(
        (issuer, serial) for issuer, serials in found for serial in serials
    )  # one pass: they may be 100,000
