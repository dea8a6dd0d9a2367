"""What `topology check` says of trunks that protect less than others, or leave all channels to one user: both are allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.topology.document.parts.trunk import Keying

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipmesh.errors import Problem
    from sipmesh.topology.document.model import Topology
    from sipmesh.topology.document.report import ProblemReport


def trunk_warnings(topology: Topology, report: ProblemReport) -> Iterator[Problem]:
    """Give the warnings of each trunk: media are in the clear, it has no certificate, one user can hold all its channels."""
    per_user = topology.numbers.per_user if topology.numbers is not None else None
    calls = per_user.calls if per_user is not None else None
    for n, partner in enumerate(topology.federation.partners):
        trunk = partner.trunk
        if trunk is None:
            continue
        if trunk.keying is Keying.NONE:
            yield report.problem(
                ("federation", "partners", n, "trunk", "keying"),
                f"calls with {partner.name} are not encrypted between the gateway and the trunk",
                "ask the trunk for SRTP, and write `keying: sdes` or `keying: dtls`",
            )
        if trunk.challenge is not None:
            yield report.problem(
                ("federation", "partners", n, "trunk", "challenge"),
                f"{partner.name} connects without a certificate: who has its password, and one of its addresses, makes "
                "calls in its name",
                "ask the trunk for mutual TLS, and remove `challenge`",
            )
        if trunk.channels is not None and trunk.channels > 1 and (calls is None or calls >= trunk.channels):
            yield report.problem(
                ("federation", "partners", n, "trunk", "channels"),
                f"one user can hold all {trunk.channels} channels of {partner.name}: `numbers` bounds the calls of each user "
                + ("not at all" if calls is None else f"at {calls}"),
                "write fewer `calls` into `numbers: {per_user: …}`, such as 4",
            )
