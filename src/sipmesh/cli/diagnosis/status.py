"""`sipmesh status`: the last report of every server, compared with the newest version."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from sipmesh.cli.control_client import ask_one
from sipmesh.cli.output import BAD, GOOD, MARKS, WARN, Cell, cell, duration, plural, say, say_json, show, table
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile
from sipmesh.cli.topology.publish import management_socket

if TYPE_CHECKING:
    from sipmesh.server.management.replies import NetworkReply, ServerReply


def status(
    *,
    topology: TopologyFile = HERE,
    as_json: AsJson = False,
    links: Annotated[bool, typer.Option("--links", help="Show the latest refusals of each server.")] = False,
) -> None:
    """Show every server: its faults, its topology version, its certificate, its links, and how long it works offline.

    Exit code 1: a server is cut off, is behind, or has another fault.
    """
    from sipmesh.server.management.replies import NETWORK
    from sipmesh.server.typed_json import members

    network = ask_one(management_socket(Place(topology)), NETWORK)
    servers = [network.master, *network.servers]
    faulty = [server for server in servers if server.faults]
    if as_json:
        say_json({**members(network), "ok": not faulty})
    else:
        _say_faults(faulty)
        _show(network, servers)
        for server in servers:
            if links and server.refused:
                say(f"{server.server} refused recently:", *(f"  {line}" for line in server.refused))
    if faulty:
        raise typer.Exit(1)


def _say_faults(faulty: Sequence[ServerReply]) -> None:
    """Print each fault once, with all servers that have it."""
    names: dict[tuple[str, str], list[str]] = {}
    for server in faulty:
        for fault in server.faults:
            names.setdefault((fault.what, fault.remedy), []).append(server.server)
    for (what, remedy), servers in names.items():
        say(f"✗ {', '.join(servers)}: {what}", style=BAD)
        say(*([f"    → {remedy}"] if remedy else []), style=MARKS["→"])


def _show(network: NetworkReply, servers: Sequence[ServerReply]) -> None:
    """Print a table of *servers*: those with a fault first, then management, then the others."""
    title = f"version {network.version}, published by {network.master.server}"
    made = table(title, "server", "role", "version", "certificate expires", "works offline until", "links", "state")
    for server in sorted(servers, key=lambda server: not server.faults):
        expires = server.certificate.ends if server.certificate is not None else None
        made.add_row(
            cell(server.server, "bold"),
            cell(server.role),
            _version(server.number, network.version),
            cell(_until(expires, network.at)),
            cell(_until(server.refuses_from, network.at) or server.refuses_because),
            cell(", ".join(f"{count} {kind}" for kind, count in server.links.items() if count)),
            _state(server),
        )
    show(made)
    for manager in network.managers:
        part = f"leads the management pool, with fencing number {manager.fencing}" if manager.fencing else "follows"
        say(f"{manager.server} {part}: version {manager.version}, heard {manager.heard_s:.0f} s ago.")
    good = sum(1 for server in servers if not server.faults)
    style = GOOD if good == len(servers) else WARN
    say(f"{good} of {plural(len(servers), 'server')} without a fault.", style=style)


def _version(number: int | None, newest: int) -> Cell:
    if number is None:
        return cell("?", BAD)
    if number == newest:
        return cell(number, GOOD)
    return cell(f"{number} ({abs(newest - number)} {'behind' if number < newest else 'ahead'})", BAD)


def _until(instant: datetime | None, now: datetime) -> str:
    if instant is None:
        return ""
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M}Z ({duration(instant - now)})"


def _state(server: ServerReply) -> Cell:
    if server.faults:
        return cell("; ".join(fault.what for fault in server.faults), BAD)
    return cell(f"good, reported by {server.by}" if server.by else "good", GOOD)
