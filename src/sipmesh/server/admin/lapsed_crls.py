"""The CRLs in force that have expired or cannot be used, each as a fault of its CA or of the partner that has to renew it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.server.replication.link_fault import Cause
from sipmesh.server.replication.server_status import PeerFault, PeerKind, text
from sipmesh.topology.document.named_files.crl_files import NOT_SIGNED_BY
from sipmesh.trust.code import Code
from sipmesh.trust.formatting import tell_time
from sipmesh.trust.role import BORDERS, Role

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from sipmesh.topology.document.load import Loaded
    from sipmesh.trust.authority import Authority


def lapsed_crls(loaded: Loaded, role: Role, at: datetime) -> Iterator[PeerFault]:
    """Give the fault of our own CRLs and, on an edge or a gateway, that of the CRLs of each partner: only these use them.

    If the roots of a partner's entry have not signed its CRL, the roots are wrong: another CRL would change nothing.
    """
    named = [(loaded.topology.organisation, PeerKind.CA, loaded.authority)]
    if role in BORDERS:
        partners = zip(loaded.topology.federation.partners, loaded.partners, strict=True)
        named += [(partner.name, PeerKind.PARTNER, authority) for partner, authority in partners]
    for name, kind, authority in named:
        if why := "; ".join(_lapsed(authority, at)):
            is_of_other_root = kind is PeerKind.PARTNER and NOT_SIGNED_BY in why
            code = Code.UNTRUSTED_ISSUER if is_of_other_root else Cause.CRL_EXPIRED
            yield PeerFault(peer=name, kind=kind, why=text(why), code=str(code))


def _lapsed(authority: Authority, at: datetime) -> Iterator[str]:
    """Give the fault of each CRL; of several complete CRLs of one issuer the newest counts."""
    complete = (crl for crl in authority.lists if crl.base is None)
    newest = {crl.issuer: crl for crl in sorted(complete, key=lambda crl: crl.next_update)}
    for issuer, crl in newest.items():
        if crl.next_update < at:
            end, refuses = tell_time(crl.next_update), tell_time(crl.next_update + authority.grace)
            name = issuer.rfc4514_string()
            yield f"the CRL of {name} has expired at {end}; new links that need it are refused from {refuses} on"
    yield from (f"a CRL cannot be used: {fault}" for fault in authority.lists.faults)
