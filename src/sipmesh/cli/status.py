"""`sipmesh status`: every server of the network as it says of itself, against what management has published."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from sipmesh.cli.output import BAD, GOOD, WARN, cell, duration, plural, say, say_json, show, table
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile
from sipmesh.cli.publish import management_socket

SILENT_S = 30.0
"""A server speaks every ten seconds; one that has not for this long is cut off."""

CLOCKS_DIFFER_S = 5.0
BEHIND_S = 60.0


def status(
    *,
    topology: TopologyFile = HERE,
    as_json: AsJson = False,
    links: Annotated[bool, typer.Option("--links", help="Show what each server was refused lately.")] = False,
) -> None:
    """Show every server: the version it holds, its certificate, its links, and until when it could go on alone.

    It leaves with 1 where a server is cut off, behind, or has an error.
    """
    from sipmesh.server.control import ask

    told = asyncio.run(ask(management_socket(Place(topology)), "network"))
    troubled = [one for one in told["servers"] if _trouble(one, told["version"])]
    if as_json:
        say_json({**told, "ok": not troubled})
    else:
        _show(told)
        for one in told["servers"]:
            if links and one.get("refused"):
                say(f"{one['server']} refused lately:", *(f"  {line}" for line in one["refused"]))
    if troubled:
        raise typer.Exit(1)


def _show(told: dict[str, Any]) -> None:
    version, now = told["version"], datetime.fromisoformat(told["at"])
    title = f"version {version}, published by {told['master']['server']}"
    made = table(title, "server", "role", "holds", "certificate ends", "could go on alone until", "links", "state")
    for one in told["servers"]:
        made.add_row(
            cell(one["server"], "bold"),
            cell(one["role"]),
            _held(one, version),
            cell(_when(one.get("certificate", {}).get("ends"), now)),
            cell(_when(one.get("refuses_from"), now) or one.get("refuses_because", "")),
            cell(_links(one)),
            _state(one, version),
        )
    show(made)
    count = sum(1 for one in told["servers"] if not _trouble(one, version))
    good = count == len(told["servers"])
    say(f"{count} of {plural(len(told['servers']), 'server')} in order.", style=GOOD if good else WARN)


def _held(one: dict[str, Any], version: int) -> Any:
    number = one["number"]
    if number is None:
        return cell("?", BAD)
    return cell(number, GOOD) if number == version else cell(f"{number} ({version - number} behind)", BAD)


def _when(instant: str | None, now: datetime) -> str:
    if not instant:
        return ""
    ends = datetime.fromisoformat(instant).astimezone(UTC)
    return f"{ends:%Y-%m-%d %H:%M}Z ({duration(ends - now)})"


def _links(one: dict[str, Any]) -> str:
    links = one.get("links") or {}
    return ", ".join(f"{count} {kind}" for kind, count in links.items() if count)


def _state(one: dict[str, Any], version: int) -> Any:
    trouble = _trouble(one, version)
    if trouble:
        return cell("; ".join(trouble), BAD)
    return cell(f"by {one['by']}" if one.get("by") else "in order", GOOD)


def _trouble(one: dict[str, Any], version: int) -> list[str]:
    """What is wrong with a server, in plain words."""
    if one["number"] is None:
        return [f"never heard of: {one['why_not'] or 'not reached yet'}"]
    found = []
    if one["heard_s"] > SILENT_S:
        found.append(f"cut off, last heard {duration(one['heard_s'])} ago: {one['why_not'] or 'it says nothing'}")
    elif one["why_not"] and not one["linked"]:
        found.append(f"no link to it: {one['why_not']}")
    if one["number"] != version and one["behind_s"] > BEHIND_S:
        found.append(f"behind for {duration(one['behind_s'])}")
    if one["error"]:
        found.append(one["error"])
    if one.get("certificate_fault"):
        found.append(f"new certificate not taken: {one['certificate_fault']}")
    clock = one.get("clock_s")
    if clock is not None and abs(clock) > CLOCKS_DIFFER_S:
        found.append(f"its clock is {abs(clock):.0f} s {'ahead' if clock > 0 else 'behind'}")
    return found
