"""What `topology check` says of trunks that protect less than others: it is allowed, and must not be overlooked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.topology.document.parts.trunk import Keying

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipmesh.errors import Problem
    from sipmesh.topology.document.model import Topology
    from sipmesh.topology.document.report import ProblemReport


def trunk_warnings(topology: Topology, report: ProblemReport) -> Iterator[Problem]:
    """Give a warning for each trunk with media in the clear, and for each one without a certificate."""
    for n, partner in enumerate(topology.federation.partners):
        if partner.trunk is not None and partner.trunk.keying is Keying.NONE:
            yield report.problem(
                ("federation", "partners", n, "trunk", "keying"),
                f"calls with {partner.name} are not encrypted between the gateway and the trunk",
                "ask the trunk for SRTP, and write `keying: sdes` or `keying: dtls`",
            )
        if partner.trunk is not None and partner.trunk.challenge is not None:
            yield report.problem(
                ("federation", "partners", n, "trunk", "challenge"),
                f"{partner.name} connects without a certificate: who has its password, and one of its addresses, makes "
                "calls in its name",
                "ask the trunk for mutual TLS, and remove `challenge`",
            )
