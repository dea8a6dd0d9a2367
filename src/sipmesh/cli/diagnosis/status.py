"""`sipmesh status`: every server of the network as it says of itself, against what management has published."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from sipmesh.cli.output import BAD, GOOD, MARKS, WARN, cell, duration, plural, say, say_json, show, table
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile
from sipmesh.cli.topology.publish import management_socket
from sipmesh.trust.role import Role


def status(
    *,
    topology: TopologyFile = HERE,
    as_json: AsJson = False,
    links: Annotated[bool, typer.Option("--links", help="Show the latest refusals of each server.")] = False,
) -> None:
    """Show every server: its faults, its topology version, its certificate, its links, and how long it works offline.

    Exit code 1: a server is cut off, is behind, or has another fault.
    """
    from sipmesh.server.control_socket import ask

    told = asyncio.run(ask(management_socket(Place(topology)), "network"))
    servers = [{**told["master"], "role": Role.MANAGEMENT}, *told["servers"]]
    troubled = [one for one in servers if one["faults"]]
    if as_json:
        say_json({**told, "ok": not troubled})
    else:
        _say_faults(troubled)
        _show(told, servers)
        for one in servers:
            if links and one.get("refused"):
                say(f"{one['server']} refused recently:", *(f"  {line}" for line in one["refused"]))
    if troubled:
        raise typer.Exit(1)


def _say_faults(troubled: list[dict[str, Any]]) -> None:
    """What is wrong comes first; a fault that several servers have is told once."""
    servers: dict[tuple[str, str], list[str]] = {}
    for one in troubled:
        for fault in one["faults"]:
            servers.setdefault((fault["what"], fault["remedy"]), []).append(one["server"])
    for (what, remedy), names in servers.items():
        say(f"✗ {', '.join(names)}: {what}", style=BAD)
        say(*([f"    → {remedy}"] if remedy else []), style=MARKS["→"])


def _show(told: dict[str, Any], servers: list[dict[str, Any]]) -> None:
    """A table of the *servers*, management first among those without a fault; faults come before."""
    version, now = told["version"], datetime.fromisoformat(told["at"])
    title = f"version {version}, published by {told['master']['server']}"
    made = table(title, "server", "role", "version", "certificate expires", "works offline until", "links", "state")
    for one in sorted(servers, key=lambda one: not one["faults"]):
        made.add_row(
            cell(one["server"], "bold"),
            cell(one["role"]),
            _held(one, version),
            cell(_when((one.get("certificate") or {}).get("ends"), now)),
            cell(_when(one.get("refuses_from"), now) or one.get("refuses_because", "")),
            cell(_links(one)),
            _state(one),
        )
    show(made)
    count = sum(1 for one in servers if not one["faults"])
    style = GOOD if count == len(servers) else WARN
    say(f"{count} of {plural(len(servers), 'server')} without a fault.", style=style)


def _held(one: dict[str, Any], version: int) -> Any:
    number = one["number"]
    if number is None:
        return cell("?", BAD)
    if number == version:
        return cell(number, GOOD)
    return cell(f"{number} ({abs(version - number)} {'behind' if number < version else 'ahead'})", BAD)


def _when(instant: str | None, now: datetime) -> str:
    if not instant:
        return ""
    ends = datetime.fromisoformat(instant).astimezone(UTC)
    return f"{ends:%Y-%m-%d %H:%M}Z ({duration(ends - now)})"


def _links(one: dict[str, Any]) -> str:
    links = one.get("links") or {}
    return ", ".join(f"{count} {kind}" for kind, count in links.items() if count)


def _state(one: dict[str, Any]) -> Any:
    if one["faults"]:
        return cell("; ".join(fault["what"] for fault in one["faults"]), BAD)
    return cell(f"good, reported by {one['by']}" if one.get("by") else "good", GOOD)
