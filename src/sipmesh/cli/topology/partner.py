"""`sipmesh partner`: add, list and block other organisations."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from sipmesh.cli.control_client import links_of, say_closed
from sipmesh.cli.output import BAD, GOOD, WARN, cell, duration, say, say_json, say_problems, show, table
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile
from sipmesh.cli.topology.change import Change
from sipmesh.cli.topology.publish import WAIT_S, Wait, publish_block, unpublished
from sipmesh.cli.topology.remote_servers import must_lead
from sipmesh.cli.topology.trusted_authority import Trusted
from sipmesh.errors import OperatorError
from sipmesh.regular_file import read_regular
from sipmesh.topology.document.identity_policy import IdentityPolicy
from sipmesh.topology.document.media_policy import MediaPolicy
from sipmesh.topology.document.names import is_url
from sipmesh.trust.role import ClientUsage

app = typer.Typer(help="Partners: other organisations that you federate with.", no_args_is_help=True)


@app.command()
def add(
    domains: Annotated[list[str], typer.Argument(metavar="DOMAIN...", help="The partner's SIP domains.")],
    *,
    ca: Annotated[
        list[Path] | None,
        typer.Option(
            exists=True, dir_okay=False, metavar="FILE", help="Its root certificate (PEM). Repeat it for more roots."
        ),
    ] = None,
    crl: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE|URL",
            help="A CRL (file or URL) of a CA in its chain. Repeat it for each CA. Edges fetch URLs.",
        ),
    ] = None,
    crl_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HOST[:PORT]", help="A host from which edges fetch the CRLs that its certificates name. Repeatable."
        ),
    ] = None,
    edge: Annotated[
        str, typer.Option(metavar="HOST[:PORT]", help="The name of its edge. By default found by DNS SRV.")
    ] = "",
    address: Annotated[str, typer.Option(metavar="ADDRESS", help="The IP address of its edge, in place of DNS.")] = "",
    client_usage: Annotated[
        ClientUsage | None,
        typer.Option(
            help="Whether its edge may connect with a certificate for serverAuth only. By default strict, or as the preset says."
        ),
    ] = None,
    third_party: Annotated[
        str,
        typer.Option(
            metavar="PRESET|other",
            help="Its CA issues for other organisations too, so only the name distinguishes the partner. The preset of a"
            " public CA (sipmesh partner presets) gives roots of this system and CRL hosts; other: give --ca and --crl.",
        ),
    ] = "",
    media: Annotated[
        MediaPolicy | None,
        typer.Option(help="Media of calls with it. By default the policy for calls of our own users."),
    ] = None,
    identity: Annotated[
        IdentityPolicy | None,
        typer.Option(help="Sign calls to it, verify its signatures too, or require them. By default none of it."),
    ] = None,
    gateway: Annotated[
        str, typer.Option(metavar="POOL", help="It is a telephone trunk, and this gateway pool has the links to it.")
    ] = "",
    asserts: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DIGITS", help="First digits of callers that a trunk may assert, such as +4930. Repeat it."
        ),
    ] = None,
    carries: Annotated[
        list[str] | None,
        typer.Option(metavar="DIGITS", help="First digits of numbers that users call through a trunk. Repeat it."),
    ] = None,
    further: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="A further key of the entry, such as trunk.channels=30 or trunk.login.user=493012340. Repeat it.",
        ),
    ] = None,
    wait: Wait = WAIT_S,
    topology: TopologyFile = HERE,
) -> None:
    """Add a partner, or with `--gateway` a telephone trunk: its CA is trusted for the partner's own names only.

    The command fetches each CRL with a URL once, and warns if it cannot be used. Servers read a changed file by
    themselves: keep the files up to date. In a network with management, files from other folders are copied to `partners`. The
    change is published at once if the draft has no other change. Then each edge fetches the lists with a URL too.

    Exit code 1: the partner is not in force on every server, or an edge cannot use a list.
    """
    from sipmesh.topology.builder.assignments import add_partner_with, read_of_partner

    read = read_of_partner(further or [])
    place = Place(topology)
    must_lead(place)
    change = Change(place)
    trusted = Trusted.of(ca or [], crl or [], crl_host or [], third_party)  # before a file is copied
    usage = client_usage or trusted.client_usage
    _warn_of_crls([name for name in trusted.crls if is_url(name)], trusted.roots, place)
    with change.whole():
        entry = {
            "domains": domains,
            "edge": edge or None,
            "address": address or None,
            **trusted.entry(change, domains[0], place.folder),
            "client_usage": str(usage) if usage is not ClientUsage.STRICT else None,
            "third_party": True if third_party else None,
            "media": str(media) if media is not None else None,
            "identity": str(identity) if identity is not None else None,
            "trunk": {"gateway": gateway, "asserts": asserts or [], "carries": carries or []} if gateway else None,
        }
        made = change.edited(lambda text: add_partner_with(text, entry, read))
        loaded = made.loaded
        through = gateway or loaded.topology.federation.route
        say(f"{domains[0]} is a {'trunk' if gateway else 'partner'}, through {through}.", style=GOOD)
        if loaded.faults:
            say("Some CRLs cannot be used yet. Until then, certificates of their CAs are refused:", style=WARN)
            say_problems(loaded.faults)
        change.take_effect(made, f"{domains[0]} is a partner", wait)


def _warn_of_crls(urls: list[str], roots: Sequence[Path], place: Place) -> None:
    """Say which CRLs this machine cannot fetch or use, before the partner is added. Each edge fetches for itself."""
    from cryptography import x509

    from sipmesh.cli.topology.crl_urls import faults_of

    topology = place.load().topology
    try:
        signers = [one for file in roots for one in x509.load_pem_x509_certificates(read_regular(file))]
    except (OSError, ValueError):
        return  # the draft is refused for it
    faults = faults_of(urls, topology.dns.servers if topology.dns is not None else (), signers, datetime.now(UTC))
    if faults:
        say(
            "From this machine, these CRLs cannot be fetched or read. Edges without them refuse the certificates of these CAs:",
            style=WARN,
        )
        say(*(f"  {fault}" for fault in faults))
        say("  to see what the edges have: sipmesh ca inventory", style="dim")


@app.command("list")
def list_partners(*, topology: TopologyFile = HERE, as_json: AsJson = False) -> None:
    """List the partners in force, with their edges and the remaining time of their CRLs, and the blocked domains."""
    from sipmesh.server.admin.partners_report import PartnersReport

    found = PartnersReport.of(Place(topology).in_force(), datetime.now(UTC))
    if as_json:
        say_json(found)
        return
    made = table("", "partner", "reached by", "trusted by", "client usage", "lists", "left")
    for partner in found.partners:
        left = partner.left_s
        made.add_row(
            cell(", ".join(partner.domains)),
            cell(" at ".join(filter(None, (partner.edge, partner.address))) or "SRV"),
            cell(", ".join(partner.anchors)),
            cell(partner.client_usage),
            cell(", ".join(partner.crls)),
            cell(duration(left) if left is not None else "no CRL in force", BAD if left is None or left < 0 else GOOD),
        )
    if found.partners:
        show(made)
    else:
        say("There are no partners. To add one: sipmesh partner add --help", style="dim")
    say(*([f"Blocked: {', '.join(found.blocked)}"] if found.blocked else []))


@app.command()
def block(
    name: Annotated[str, typer.Argument(metavar="DOMAIN", help="A partner's domain or edge, or any other domain.")],
    *,
    wait: Wait = WAIT_S,
    topology: TopologyFile = HERE,
) -> None:
    """Refuse an organisation with any certificate. Its live links are closed at once.

    In a network with management the version in force is published again with this one change. Other changes in the draft stay
    unpublished. The draft gets the same change.
    """
    from sipmesh.server.replication.topology_source import published_in

    place = Place(topology)
    if published_in(place.folder) is not None:
        _block_published(place, name.lower(), wait)
        return
    from sipmesh.topology.document.changes import block_partner

    change = Change(place)
    made = change.edited(lambda text: block_partner(text, name, topology))
    say(f"Blocked: {', '.join(made.loaded.topology.federation.blocked)}.", style=GOOD)
    change.take_effect(made, f"{name.lower()} is blocked", wait)


def _block_published(place: Place, name: str, wait: float) -> None:
    """Publish the block before the draft is read: a problem of the draft must not delay it."""
    before, left = links_of(place), 0
    try:
        publish_block(place, name, wait)
    except typer.Exit as end:  # published, but not yet in force on every server
        left = end.exit_code
    say_closed(place, before)
    _block_in_draft(place, name)
    raise typer.Exit(left)


def _block_in_draft(place: Place, name: str) -> None:
    """Block in the draft too, and print its other changes."""
    from sipmesh.topology.document.changes import block_partner, edit

    try:
        draft = edit(place.file, lambda text: block_partner(text, name, place.file))
        others = unpublished(place, draft).changes
    except OperatorError as wrong:
        say(f"The draft does not block {name}. To publish it would undo the block: {wrong.message}", style=WARN)
        say_problems(wrong.problems)
        return
    if others:
        say("The draft contains other changes, which are not published:", style=WARN)
        say(*(f"  {change}" for change in others))
