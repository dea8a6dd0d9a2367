"""What `topology check` says of a CA with ML-DSA-44: most phones, and some partners, cannot verify what it has signed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

from sipmesh.topology.document.listeners import PORTS_OF
from sipmesh.trust.role import BORDERS, Role

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cryptography import x509

    from sipmesh.errors import Problem
    from sipmesh.topology.document.model import Topology
    from sipmesh.topology.document.report import ProblemReport


def ml_dsa_warnings(
    topology: Topology, anchors: Iterable[x509.Certificate], report: ProblemReport
) -> Iterator[Problem]:
    """Give a warning for each server without another certificate for phones, and for each partner and application.

    *anchors* are those of our own authority.
    """
    if not any(isinstance(anchor.public_key(), MLDSA44PublicKey) for anchor in anchors):
        return
    for n, pool in enumerate(topology.pools):
        has_phones = "client" in PORTS_OF[pool.role] or bool(pool.remote_users)
        without = [server.name for server in pool.servers if not server.client_certificates]
        if has_phones and without:
            yield report.problem(
                ("pools", n, "servers"),
                f"{', '.join(without)}: phones of linphone, of pjsua2, and others without OpenSSL 3.5 get no link, because the "
                "certificate is of ML-DSA-44",
                "give phones a certificate of a CA that they know: `client_certificates`",
            )
        if pool.role is Role.APPLICATION:
            yield report.problem(
                ("pools", n),
                f"{pool.name} needs OpenSSL 3.5, or another TLS 1.3 with ML-DSA-44",
                "try it: sipmesh explain, with its address",
            )
    edges = [server for pool in topology.pools if pool.role in BORDERS for server in pool.servers]
    given = {one.partner for server in edges for one in server.partner_certificates}
    has_other = bool(edges) and all(server.outside is not None and server.outside.certificate for server in edges)
    for n, partner in enumerate(topology.federation.partners):
        if not has_other and given.isdisjoint(partner.domains):
            yield report.problem(
                ("federation", "partners", n),
                f"{partner.name} needs OpenSSL 3.5, or another TLS 1.3 with ML-DSA-44, to accept our certificate",
                "give edges and gateways another certificate for partners: `partner_certificates`",
            )
