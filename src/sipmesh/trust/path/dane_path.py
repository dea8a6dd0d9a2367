"""The path of a certificate where TLSA records count in place of a CA (RFC 7671 5.1, 5.2)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sipmesh.trust.dane.tlsa import DANE_EE, DANE_TA
from sipmesh.trust.path.chain import PRESENTED, Trail, find_path

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from cryptography import x509

    from sipmesh.trust.authority import Authority

NO_RECORD = "no secure TLSA record names the certificate, or a CA above it"


def asserted_path(
    leaf: x509.Certificate, pool: Sequence[x509.Certificate], authority: Authority, at: datetime
) -> Trail:
    """Find the path that the TLSA records of *authority* assert at the instant *at*.

    With usage 3 (DANE-EE) it is *leaf* alone. With usage 2 (DANE-TA) it ends at the CA that a record names, the only anchor. The
    peer presents it, or the topology has its certificate.
    """
    records = authority.tlsa.asserted(at) if authority.tlsa is not None else ()
    if any(record.usage == DANE_EE and record.matches((leaf,)) for record in records):
        return Trail((leaf,), authority)
    of_cas = [record for record in records if record.usage == DANE_TA]
    shown = (*pool[:PRESENTED], *authority.known) if of_cas else ()
    anchors = tuple(one for one in shown if any(record.matches((leaf, one)) for record in of_cas))
    if not anchors:
        return Trail(authority=authority, refusal=NO_RECORD)
    found = find_path(leaf, shown, replace(authority, anchors=anchors, by_dane=False), at)
    return Trail(found.path, authority, found.refusal)
