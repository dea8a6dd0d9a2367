"""Compare new CRLs with the old: which accepted certificates are now revoked. In most cases there are only a few."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.trust.revocation.revocation_source import RevocationSource

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sipmesh.trust.authority import Authority
    from sipmesh.trust.revocation.crl import RevocationList
    from sipmesh.trust.revocation.crl_set import RevocationLists
    from sipmesh.trust.x509.certificate import CertificateId


def newly_revoked(authority: Authority, lists: RevocationLists, at: datetime) -> frozenset[CertificateId] | None:
    """Give the certificates that *lists* revoke at the instant *at*, and that the CRLs of *authority* do not revoke.

    Other certificates need no new judgement. None if serial numbers alone do not tell, so that all links must be judged again:

    - a CRL was removed, is not valid at *at*, or has another scope or another key
    - an issuer has several CRLs of one scope, or deltas, which are combined
    - OCSP responses are used for this authority too
    """
    if authority.source is not RevocationSource.LISTS:
        return None
    found: list[tuple[bytes, frozenset[int]]] = []
    for issuer, scope in {(crl.issuer_der, crl.scope) for crl in (*authority.lists, *lists)}:
        before, now = authority.lists.of_scope(issuer, scope), lists.of_scope(issuer, scope)
        if before == now:
            continue
        if len(before) > 1 or len(now) != 1 or not _replaces(now[0], before, at):
            return None
        known = before[0].serials if before else frozenset()
        found.append((issuer, now[0].serials - known))
    return frozenset(
        (issuer, serial) for issuer, serials in found for serial in serials
    )  # one pass: they may be 100,000


def _replaces(now: RevocationList, before: Sequence[RevocationList], at: datetime) -> bool:
    """Tell whether serial numbers are all that *now* changes; *before* is the CRL in force of its scope, or none."""
    return all(now.stands_in_for(crl, at) for crl in before) and now.this_update <= at
