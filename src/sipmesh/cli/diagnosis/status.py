"""`sipmesh status`: every server of the network as it says of itself, against what management has published."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from sipmesh.cli.output import BAD, GOOD, MARKS, WARN, cell, duration, plural, say, say_json, show, table
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile
from sipmesh.cli.topology.publish import management_socket


def status(
    *,
    topology: TopologyFile = HERE,
    as_json: AsJson = False,
    links: Annotated[bool, typer.Option("--links", help="Show whom each server has refused lately.")] = False,
) -> None:
    """Show every server: what is wrong with it, the version it holds, its certificate, its links, and how long it could go on.

    It leaves with 1 where a server is cut off, behind, or has any other fault.
    """
    from sipmesh.server.control_socket import ask

    told = asyncio.run(ask(management_socket(Place(topology)), "network"))
    troubled = [one for one in (told["master"], *told["servers"]) if one["faults"]]
    if as_json:
        say_json({**told, "ok": not troubled})
    else:
        _say_faults(troubled)
        _show(told)
        for one in told["servers"]:
            if links and one.get("refused"):
                say(f"{one['server']} refused lately:", *(f"  {line}" for line in one["refused"]))
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


def _show(told: dict[str, Any]) -> None:
    version, now = told["version"], datetime.fromisoformat(told["at"])
    title = f"version {version}, published by {told['master']['server']}"
    made = table(title, "server", "role", "holds", "certificate ends", "could go on alone until", "links", "state")
    for one in sorted(told["servers"], key=lambda one: not one["faults"]):
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
    count = sum(1 for one in told["servers"] if not one["faults"])
    good = count == len(told["servers"])
    say(f"{count} of {plural(len(told['servers']), 'server')} in order.", style=GOOD if good else WARN)


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
    return cell(f"by {one['by']}" if one.get("by") else "in order", GOOD)
