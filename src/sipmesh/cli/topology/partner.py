"""`sipmesh partner`: the organisations that may speak with us, and those that may not."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sipmesh.cli.control_client import links_of, say_closed
from sipmesh.cli.output import BAD, GOOD, WARN, cell, duration, say, say_json, say_problems, show, table
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile
from sipmesh.cli.topology.change import Change
from sipmesh.cli.topology.publish import WAIT_S, Wait, publish_block, unpublished
from sipmesh.errors import OperatorError
from sipmesh.topology.document.names import is_url
from sipmesh.trust.role import ClientUsage

if TYPE_CHECKING:
    from sipmesh.topology.document.load import Loaded
    from sipmesh.trust.authority import Authority

app = typer.Typer(help="Partners: other organisations that you federate with.", no_args_is_help=True)


@app.command()
def add(
    domains: Annotated[list[str], typer.Argument(metavar="DOMAIN...", help="The partner's SIP domains.")],
    *,
    ca: Annotated[
        list[Path],
        typer.Option(
            exists=True, dir_okay=False, metavar="FILE", help="Its root certificate (PEM). Repeat it for more roots."
        ),
    ],
    crl: Annotated[
        list[str],
        typer.Option(
            metavar="FILE|URL",
            help="A revocation list (file or URL) of a CA in its chain. Repeat it for each CA. Edges fetch URLs.",
        ),
    ],
    edge: Annotated[
        str, typer.Option(metavar="HOST[:PORT]", help="The name of its edge. By default found by DNS SRV.")
    ] = "",
    address: Annotated[
        str, typer.Option(metavar="ADDRESS", help="The IP address of its edge, where DNS is not to be asked.")
    ] = "",
    client_usage: Annotated[
        ClientUsage, typer.Option(help="Whether its edge may connect with a certificate for serverAuth only.")
    ] = ClientUsage.STRICT,
    third_party: Annotated[
        bool,
        typer.Option(
            "--third-party",
            help="Its CA issues for other organisations also, so that only the name identifies the partner.",
        ),
    ] = False,
    wait: Wait = WAIT_S,
    topology: TopologyFile = HERE,
) -> None:
    """Add a partner: its CA is trusted for the partner's own names only.

    Servers read its revocation lists again when their files change: keep the files up to date. In a network with management,
    files from other folders are copied to `partners`. The change is published at once if the draft has no other change.
    """
    from sipmesh.topology.document.changes import add_partner, edit

    place = Place(topology)
    change = Change(place)
    lists = _files_among(crl)  # before a file is copied
    ca, lists = change.files(domains[0], ca), change.files(domains[0], lists)
    files = iter(lists)
    entry = {
        "domains": domains,
        "edge": edge or None,
        "address": address or None,
        "anchors": [_named(file, place.folder) for file in ca],
        "crls": [one if is_url(one) else _named(next(files), place.folder) for one in crl],
        "client_usage": str(client_usage) if client_usage is not ClientUsage.STRICT else None,
        "third_party": True if third_party else None,
    }
    loaded = edit(topology, lambda text: add_partner(text, entry))
    say(f"{domains[0]} is a partner, through {loaded.topology.federation.route}.", style=GOOD)
    if loaded.faults:
        say("Some revocation lists cannot be used yet. Until then, certificates of their CAs are refused:", style=WARN)
        say_problems(loaded.faults)
    change.take_effect(f"{domains[0]} is a partner", wait)


def _files_among(lists: list[str]) -> list[Path]:
    """The lists that are files, which must be there."""
    found = [Path(one) for one in lists if not is_url(one)]
    for file in found:
        if not file.is_file():
            raise typer.BadParameter(f"the file '{file}' does not exist", param_hint="--crl")
    return found


def _named(file: Path, folder: Path) -> str:
    """The file as the topology should name it: relative where it lies beside the topology."""
    full, home = file.resolve(), folder.resolve()
    return os.fspath(full.relative_to(home)) if full.is_relative_to(home) else os.fspath(full)


@app.command("list")
def list_partners(*, topology: TopologyFile = HERE, as_json: AsJson = False) -> None:
    """List the partners in force, with their edges and the remaining time of their lists, and the blocked domains."""
    loaded = Place(topology).in_force()
    facts, blocked = _facts(loaded), loaded.topology.federation.blocked
    if as_json:
        say_json({"partners": facts, "blocked": list(blocked)})
        return
    made = table("", "partner", "reached by", "trusted by", "client usage", "lists", "left")
    for one in facts:
        left = one["left_s"]
        made.add_row(
            cell(", ".join(one["domains"])),
            cell(" at ".join(filter(None, (one["edge"], one["address"]))) or "SRV"),
            cell(", ".join(one["anchors"])),
            cell(one["client_usage"]),
            cell(", ".join(one["crls"])),
            cell(duration(left) if left is not None else "no list in force", BAD if left is None or left < 0 else GOOD),
        )
    if facts:
        show(made)
    else:
        say("There are no partners. To add one: sipmesh partner add --help", style="dim")
    say(*([f"Blocked: {', '.join(blocked)}"] if blocked else []))


def _facts(loaded: Loaded) -> list[dict[str, Any]]:
    now = datetime.now(UTC)
    return [
        {
            "domains": list(partner.domains),
            "edge": partner.edge,
            "address": partner.address,
            "anchors": list(partner.anchors),
            "crls": list(partner.crls),
            "client_usage": str(partner.client_usage),
            "third_party": partner.third_party,
            "left_s": _left(authority, now),
        }
        for partner, authority in zip(loaded.topology.federation.partners, loaded.partners, strict=True)
    ]


def _left(authority: Authority, now: datetime) -> int | None:
    """Seconds until the first of its lists is stale; None where one is missing."""
    ends = [held.next_update for held in authority.lists]
    return int((min(ends) - now).total_seconds()) if ends and not authority.lists.faults else None


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
    from sipmesh.topology.document.changes import block_partner, edit

    change = Change(place)
    loaded = edit(topology, lambda text: block_partner(text, name, topology))
    say(f"Blocked: {', '.join(loaded.topology.federation.blocked)}.", style=GOOD)
    change.take_effect(f"{name.lower()} is blocked", wait)


def _block_published(place: Place, name: str, wait: float) -> None:
    """Publish the block first: a draft that has problems must not hold it up."""
    before, left = links_of(place), 0
    try:
        publish_block(place, name, wait)
    except typer.Exit as end:  # published, and not yet in force everywhere
        left = end.exit_code
    say_closed(place, before)
    _block_in_draft(place, name)
    raise typer.Exit(left)


def _block_in_draft(place: Place, name: str) -> None:
    """Bring the draft in line, and tell what else it holds."""
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
