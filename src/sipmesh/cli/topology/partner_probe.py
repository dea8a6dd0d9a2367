"""`sipmesh partner probe`: a link to a partner, from each of our edges that has its key on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from sipmesh.cli.output import WARN, say, say_json
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile
from sipmesh.errors import OperatorError

if TYPE_CHECKING:
    from sipmesh.cli.diagnosis.reports import AddressReport
    from sipmesh.topology.document.load import Loaded


@dataclass(frozen=True, slots=True)
class PartnerProbeReport:
    """What ``sipmesh partner probe --json`` prints: the result from each edge; *elsewhere* are edges of other machines."""

    partner: str
    good: bool
    edges: dict[str, AddressReport]
    elsewhere: tuple[str, ...]


def probe(
    domain: Annotated[str, typer.Argument(metavar="DOMAIN", help="A partner's domain, or its edge.")],
    *,
    edge: Annotated[
        str, typer.Option("--as", metavar="EDGE", help="The edge that connects. By default each one on this machine.")
    ] = "",
    topology: TopologyFile = HERE,
    as_json: AsJson = False,
) -> None:
    """Connect to a partner from our edges: TCP, TLS, our verdict, and a SIP request that shows the partner's verdict on us.

    Exit codes: 0 if every edge of this machine gets a response, 1 otherwise.
    """
    from sipmesh.cli.diagnosis.explain import probed, say_probed
    from sipmesh.cli.diagnosis.probe_target import Target

    place = Place(topology)
    here, elsewhere = edges_of(place.in_force(), edge.lower())
    found = {name: probed(Target(domain, name, (), ()), place) for name in here}
    good = all(report.good for report, _ in found.values())
    if as_json:
        reports = {name: report for name, (report, _) in found.items()}
        say_json(PartnerProbeReport(domain.lower(), good, reports, tuple(elsewhere)))
    else:
        for report, result in found.values():
            say_probed(report.what, result)
        if elsewhere:
            say(f"Not probed from {', '.join(elsewhere)}: run this command on their machines.", style=WARN)
    raise typer.Exit(0 if good else 1)


def edges_of(loaded: Loaded, named: str) -> tuple[list[str], list[str]]:
    """Return the edges with their key on this machine, and the others; raises `OperatorError` if none is here."""
    route = loaded.topology.pool(loaded.topology.federation.route)
    if route is None:
        raise OperatorError(
            "the topology has no edge pool for partners; to add a pool: sipmesh topology add pool --role edge"
        )
    servers = [server for server in route.servers if named in {"", server.name}]
    here = [server.name for server in servers if (loaded.folder / server.key_file).exists()]
    elsewhere = [server.name for server in servers if server.name not in here]
    if not here:
        names = ", ".join(elsewhere or [server.name for server in route.servers])
        raise OperatorError(
            f"this machine has the key of none of these edges: {names}; run this command on the machine of one"
        )
    return here, elsewhere
