"""Asking the running servers of this machine, by the control sockets beside the topology."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sipmesh.cli.output import BAD, GOOD, WARN, cell, duration, plural, say, show, table
from sipmesh.errors import SipmeshError

if TYPE_CHECKING:
    from sipmesh.cli.place import Place

Link = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ServerAnswer:
    """What one server answered; *fault* says why there is no *result*."""

    server: str
    result: Any = None
    fault: str = ""


def ask_all(place: Place, command: str, **given: Any) -> list[ServerAnswer]:
    """Ask every running server the same; a socket that a killed server left behind answers for nobody."""
    return asyncio.run(_ask_all(place.state, command, given))


async def _ask_all(state: Path, command: str, given: dict[str, Any]) -> list[ServerAnswer]:
    from sipmesh.server.control_socket import running

    answers = await asyncio.gather(*(_ask(socket, command, given) for socket in running(state)))
    return [answer for answer in answers if answer is not None]


async def _ask(socket: Path, command: str, given: dict[str, Any]) -> ServerAnswer | None:
    from sipmesh.server.control_socket import SOCKET_SUFFIX, ask

    server = socket.name.removesuffix(SOCKET_SUFFIX)
    try:
        return ServerAnswer(server, await ask(socket, command, **given))
    except SipmeshError as wrong:
        gone = isinstance(wrong.__cause__, ConnectionRefusedError | FileNotFoundError)
        return None if gone else ServerAnswer(server, fault=str(wrong))


def links_of(place: Place) -> list[Link]:
    """Every live link of every running server."""
    return [link for answer in ask_all(place, "links") for link in answer.result or ()]


@dataclass(slots=True)
class Reloaded:
    """What came of having the running servers read their files anew; *closed* are the links that went down by it."""

    taken: list[str] = field(default_factory=list)
    refused: list[ServerAnswer] = field(default_factory=list)
    closed: list[Link] = field(default_factory=list)


def reload(place: Place, before: list[Link], command: str = "reload") -> Reloaded:
    """Have every running server read its files anew; *before* are the links from before the change.

    With ``files-changed`` as *command* they read what has changed. A server hears of that by itself as well, and may have
    closed a link already when it is asked.
    """
    told = Reloaded()
    named: set[tuple[str, str]] = set()
    for answer in ask_all(place, command):
        result = answer.result or {"taken": False, "why": answer.fault}
        if result["taken"]:
            told.taken.append(answer.server)
            named |= {(answer.server, link) for link in result["closed"]}
            kept = [f"the server keeps its old certificate: {why}" for why in result.get("kept", ())]
            told.refused += (ServerAnswer(answer.server, fault=why) for why in kept)
        else:
            told.refused.append(ServerAnswer(answer.server, fault=result["why"]))
    now = {(link["server"], link["id"]) for link in links_of(place)}
    told.closed = [link for link in before if _went_down(link, named, now)]
    return told


def say_closed(place: Place, before: list[Link]) -> None:
    """Tell which of the links from before a change are there no more."""
    now = {(link["server"], link["id"]) for link in links_of(place)}
    closed = [link for link in before if _went_down(link, set(), now)]
    if closed:
        show(links_table(plural(len(closed), "link") + " went down", closed))


def _went_down(link: Link, named: set[tuple[str, str]], now: set[tuple[str, str]]) -> bool:
    key = (link["server"], link["id"])
    return key in named or (key not in now and link["kind"] != "client")


def say_reloaded(told: Reloaded) -> None:
    """Tell which servers took a change over, which did not, and which links went down."""
    if not told.taken and not told.refused:
        say("No server runs here.", style="dim")
        return
    if told.taken:
        say(f"In force on {', '.join(told.taken)}.", style=GOOD)
    for answer in told.refused:
        say(f"NOT in force on {answer.server}: {answer.fault}", style=BAD)
    if told.closed:
        show(links_table(plural(len(told.closed), "link") + " went down", told.closed))


def links_table(title: str, links: list[Link]) -> Any:
    """Live links as people read them."""
    made = table(title, "server", "link", "kind", "peer", "remote", "verdict", "TLS", "up", "messages in/out")
    for link in links:
        tls = link["tls"]
        made.add_row(
            cell(link["server"]),
            cell(link["id"], "bold"),
            cell(f"{link['direction']} {link['kind']}"),
            cell(link["peer"]),
            cell(link["remote"]),
            _verdict_cell(link),
            cell(" ".join(filter(None, (tls["version"], tls["group"])))),
            cell(duration(link["age_s"])),
            cell(f"{link['messages_in']}/{link['messages_out']}"),
        )
    return made


def _verdict_cell(link: Link) -> Any:
    if link["code"] is None:
        return cell(link["state"], "yellow")
    if link["code"] != "accepted":
        return cell(link["code"], BAD)
    return cell("accepted", GOOD) if link["confirmed"] else cell("accepted, unconfirmed", "yellow")


def tell_users_changed(place: Place) -> None:
    """Have running servers take changes of users over at once, and tell how many links that closed."""
    answers = ask_all(place, "users-changed")
    closed = sum(answer.result["closed"] for answer in answers if answer.result)
    if closed:
        say(f"{plural(closed, 'live link')} of this user closed.")
    for answer in answers:
        if answer.fault:
            say(f"{answer.server} could not be notified: {answer.fault}", style=WARN, error=True)
