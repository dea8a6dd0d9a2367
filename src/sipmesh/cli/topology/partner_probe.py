"""`sipmesh partner probe`: a link to a partner, from each of our edges that has its key on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from sipmesh.cli.diagnosis.edges_here import edges_of
from sipmesh.cli.output import WARN, say, say_json
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile
from sipmesh.trust.formatting import tell_time

if TYPE_CHECKING:
    from sipmesh.cli.diagnosis.reports import AddressReport
    from sipmesh.topology.document.load import Loaded


@dataclass(frozen=True, slots=True)
class PartnerProbeReport:
    """What ``sipmesh partner probe --json`` prints: the result from each edge; *elsewhere* are edges of other machines.

    *shown* has the SHA-256 of the certificate that each edge has shown.
    """

    partner: str
    good: bool
    edges: dict[str, AddressReport]
    elsewhere: tuple[str, ...]
    shown: dict[str, str]


def probe(
    domain: Annotated[
        str, typer.Argument(metavar="DOMAIN", help="A partner's domain, or its edge; or the name of a trunk.")
    ],
    *,
    edge: Annotated[
        str,
        typer.Option(
            "--as",
            metavar="EDGE",
            help="The edge or gateway server that connects. By default each one on this machine.",
        ),
    ] = "",
    topology: TopologyFile = HERE,
    as_json: AsJson = False,
) -> None:
    """Connect to a partner from our edges, or a trunk from its gateway: TCP, TLS, our verdict, and a SIP request.

    The answer to the request shows the verdict of the partner on us.

    If the partner refuses us, the SHA-256 of our certificate is printed. The partner finds its own verdict by it: a server says
    nothing but a TLS alert to a peer that it refuses.

    Exit codes: 0 if every edge of this machine gets a response, 1 otherwise.
    """
    from sipmesh.cli.diagnosis.explain import probed, say_probed
    from sipmesh.cli.diagnosis.probe_target import Target

    place = Place(topology)
    loaded = place.in_force()
    here, elsewhere = edges_of(loaded, edge.lower(), domain.lower())
    shown = {name: shown_to_partners(loaded, name, domain.lower()) for name in here}
    found = {name: probed(Target(domain, name, (), ()), place) for name in here}
    good = all(report.good for report, _ in found.values())
    if as_json:
        reports = {name: report for name, (report, _) in found.items()}
        say_json(PartnerProbeReport(domain.lower(), good, reports, tuple(elsewhere), shown))
    else:
        for name, (report, result) in found.items():
            say_probed(report.what, result)
            if not report.good:
                _say_what_to_ask(domain, name, shown[name], datetime.now(UTC))
        if elsewhere:
            say(f"Not probed from {', '.join(elsewhere)}: run this command on their machines.", style=WARN)
    raise typer.Exit(0 if good else 1)


def shown_to_partners(loaded: Loaded, edge: str, partner: str) -> str:
    """Return the SHA-256 of the certificate that an edge shows to a partner, as verdicts show it, empty without a file."""
    from cryptography.hazmat.primitives.hashes import SHA256

    from sipmesh.topology.document.named_files.read import UnusableFileError
    from sipmesh.topology.document.named_files.trust_anchors import read_certificates
    from sipmesh.topology.view import view
    from sipmesh.trust.evidence import LinkKind

    try:
        leaf = read_certificates(view(loaded, edge).identity(LinkKind.PARTNER, partner)[0])[0]
    except UnusableFileError:
        return ""
    return leaf.fingerprint(SHA256()).hex(":").upper()


def _say_what_to_ask(partner: str, edge: str, sha256: str, at: datetime) -> None:
    """Print what the operators of the partner need, to find the verdict of their edge."""
    say(f"Tell {partner}: {edge} has connected at {tell_time(at)}, with the certificate with the SHA-256")
    say(f"  {sha256 or 'unknown: its file cannot be read'}")
    say("If the partner runs sipmesh, this shows its verdict, and why: sipmesh links --refused", style="dim")
