"""What an operator has to confirm: an act of the CA that can cut off servers, phones and partners at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sipmesh.cli.output import WARN, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sipmesh.cli.place import Place

Yes = Annotated[bool, typer.Option("--yes", help="Do it without asking.")]


def ask_first(place: Place, told: Sequence[str], *, yes: bool) -> None:
    """Say what will happen, and which links with partners work now, and ask; raises `typer.Abort` if the answer is no."""
    say(*told, style=WARN)
    if not yes:
        _try_partners(place)
        typer.confirm("Go on?", abort=True)


def _try_partners(place: Place) -> None:
    """Open one link from each edge to each partner: a link that fails now must not be taken for a result of the act."""
    from sipmesh.cli.management_socket import running_management
    from sipmesh.cli.topology.planning.verification import run_checks, say_checks
    from sipmesh.server.management.publishing.link_checks import Check

    topology = place.in_force().topology
    route = topology.pool(topology.federation.route)
    partners = topology.federation.partners
    if route is None or not partners:
        say("There are no partners.")
        return
    checks = [Check(edge.name, partner.name) for edge in route.servers for partner in partners]
    results = run_checks(place, checks, running_management(place))
    say_checks(results)
    if not all(result.passed for result in results) or len(results) < len(checks):
        say("Mend these links first, or you cannot see what this step breaks: sipmesh partner probe NAME", style=WARN)
