"""`sipmesh status`: the last report of every server, and what servers report of applications and partners."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from sipmesh.cli.control_client import ask_one
from sipmesh.cli.output import BAD, GOOD, MARKS, WARN, Cell, cell, duration, plural, say, say_json, show, table
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile
from sipmesh.cli.topology.publish import management_socket
from sipmesh.server.replication.server_status import PeerKind

if TYPE_CHECKING:
    from sipmesh.server.management.replies import NetworkReply, ServerReply
    from sipmesh.server.management.server_faults import Fault


def status(
    *,
    topology: TopologyFile = HERE,
    as_json: AsJson = False,
    links: Annotated[bool, typer.Option("--links", help="Show the latest refusals of each server.")] = False,
) -> None:
    """Show every server: its faults, its topology version, its certificate, its links, and how long it works offline.

    Applications, partners, stores and the CA are shown with the faults that servers have found. Each fault stands once, at its
    cause, with the servers that it hurts and the remedy.

    Exit code 1: a server is cut off, is behind, or has another fault; no link works to an application or a partner; a store
    cannot be used; or a CRL has expired.
    """
    from sipmesh.server.management.replies import NETWORK
    from sipmesh.typed_json import members

    network = ask_one(management_socket(Place(topology)), NETWORK)
    servers = [network.master, *network.servers]
    faults = faults_of(network)
    if as_json:
        say_json({**members(network), "ok": not faults})
    else:
        _say_faults(faults)
        _show(network, servers)
        for server in servers:
            if links and server.refused:
                say(f"{server.server} refused recently:", *(f"  {line}" for line in server.refused))
    if faults:
        raise typer.Exit(1)


def faults_of(network: NetworkReply) -> Sequence[tuple[Sequence[str], Fault]]:
    """Return each fault of the network once, with all servers and peers that have it."""
    named: list[tuple[str, Sequence[Fault]]] = [(one.server, one.faults) for one in (network.master, *network.servers)]
    named += [(one.peer, one.faults) for one in network.peers]
    found: dict[tuple[str, str], tuple[list[str], Fault]] = {}
    for name, faults in named:
        for fault in faults:
            found.setdefault((fault.what, fault.remedy), ([], fault))[0].append(name)
    return list(found.values())


def _say_faults(faults: Sequence[tuple[Sequence[str], Fault]]) -> None:
    for names, fault in faults:
        say(f"✗ {', '.join(names)}: {fault.what}", style=BAD)
        say(*([f"    → {fault.remedy}"] if fault.remedy else []), style=MARKS["→"])


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
        say(f"{manager.server} {part}: version {manager.version}, last report {manager.heard_s:.0f} s ago.")
    for server in servers:
        _say_trunks(server)
    _count("server", [server.faults for server in servers])
    for kind in PeerKind:
        _count(kind, [peer.faults for peer in network.peers if peer.kind is kind])


def _say_trunks(server: ServerReply) -> None:
    """Print what is used of each trunk of a gateway, and the users who have used half of a bound."""
    for one in server.trunks:
        used = f"{plural(one.calls, 'call')}, {plural(one.minutes, 'minute')} of our users in 24 hours"
        say(f"{server.server}: trunk {one.trunk} has {used}{', and fails' if one.fails else ''}.")
    for caller in server.callers:
        bounds = (
            ("calls", caller.calls, caller.most_calls),
            ("minutes in 24 hours", caller.minutes, caller.most_minutes),
            ("countries in 24 hours", caller.countries, caller.most_countries),
        )
        used = ", ".join(f"{count} of {most} {what}" for what, count, most in bounds if most is not None)
        say(f"{server.server}: {caller.user} has used {used}.")


def _count(what: str, faults: Sequence[Sequence[Fault]]) -> None:
    """Print how many have no fault; nothing where there are none of this kind."""
    good = sum(1 for some in faults if not some)
    if faults:
        style = GOOD if good == len(faults) else WARN
        say(f"{good} of {plural(len(faults), what)} without a fault.", style=style)


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
