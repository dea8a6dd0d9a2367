"""The client of control sockets: it asks the servers that run on this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from sipmesh.cli.management_socket import managers, running_management
from sipmesh.cli.output import BAD, GOOD, WARN, Cell, Grid, cell, duration, plural, say, show, table
from sipmesh.errors import SipmeshError

if TYPE_CHECKING:
    from sipmesh.cli.place import Place
    from sipmesh.server.admin.local_servers import ServerAnswer
    from sipmesh.server.admin.replies import LinkReply
    from sipmesh.server.control_socket import ControlCommand
    from sipmesh.server.refresh.reload_result import ReloadResult
    from sipmesh.typed_json import Json

T = TypeVar("T")

USERS_S: Final = 5.0
"""Seconds for front ends to put changes of users in force; mostly it takes some hundredths of a second."""


@dataclass(frozen=True, slots=True)
class FromServer(Generic[T]):
    """One value that a server has reported; as JSON, the members of the value with ``server`` in front."""

    server: str
    value: T

    def to_json(self) -> Json:
        """Return the members of the JSON object."""
        from sipmesh.typed_json import members

        return {"server": self.server, **members(self.value)}


def ask_all(
    place: Place, command: ControlCommand[T], timeout_s: float = 5.0, /, **given: object
) -> list[ServerAnswer[T]]:
    """Ask every server that runs here, all at the same time; the socket of a killed server has no answer.

    *timeout_s* is in seconds. A server that refuses, or does not answer in time, is an answer with a fault.
    """
    from sipmesh.server.admin.local_servers import ask_running

    return asyncio.run(ask_running(place.state, command, given, timeout_s))


def ask_one(path: Path, command: ControlCommand[T], timeout_s: float = 5.0, /, **given: object) -> T:
    """Ask the server behind the control socket *path*; raises `SipmeshError`, and `OperatorError` if the server refuses."""
    return asyncio.run(command.ask(path, timeout_s, **given))


def links_of(place: Place) -> list[LinkReply]:
    """Return every live link of every server that runs here."""
    from sipmesh.server.admin.replies import LINKS

    return [link for answer in ask_all(place, LINKS) for link in answer.reply or ()]


@dataclass(slots=True)
class Reloaded:
    """The result of a reload on all servers of this machine.

    *taken* are the servers that use the new files, *refused* those that do not, with the reason. *closed* are the links that
    went down.
    """

    taken: list[str] = field(default_factory=list)
    refused: list[FromServer[str]] = field(default_factory=list)
    closed: list[LinkReply] = field(default_factory=list)

    @property
    def servers(self) -> list[str]:
        """Every server that has answered."""
        return [*self.taken, *(refusal.server for refusal in self.refused)]


def reload(place: Place, before: Sequence[LinkReply], *, changed_only: bool = False) -> Reloaded:
    """Have every running server read its files again; *before* are the links from before the change.

    With *changed_only* a server reads only the files that have changed. A server also sees a changed file itself, and may have
    closed a link before it is asked.
    """
    from sipmesh.server.admin.replies import FILES_CHANGED, RELOAD

    reloaded = Reloaded()
    named: set[tuple[str, str]] = set()
    for answer in ask_all(place, FILES_CHANGED if changed_only else RELOAD):
        result = answer.reply
        if result is not None and result.taken:
            named |= {(answer.server, link) for link in result.closed}
        _record(reloaded, answer)
    now = _keys(links_of(place))
    reloaded.closed = [link for link in before if _went_down(link, named, now)]
    return reloaded


def _record(reloaded: Reloaded, answer: ServerAnswer[ReloadResult]) -> None:
    result = answer.reply
    if result is None or not result.taken:
        reloaded.refused.append(FromServer(answer.server, result.why if result is not None else answer.fault))
        return
    reloaded.taken.append(answer.server)
    kept = (f"the server keeps its old certificate: {why}" for why in result.kept)
    reloaded.refused += (FromServer(answer.server, why) for why in kept)


def say_closed(place: Place, before: Sequence[LinkReply]) -> None:
    """Print which links of *before* are down now."""
    now = _keys(links_of(place))
    _say_down([link for link in before if _went_down(link, set(), now)])


def _keys(links: Iterable[LinkReply]) -> set[tuple[str, str]]:
    """Return what identifies each link on this machine: a link id is unique on its server only."""
    return {(link.server, link.id) for link in links}


def _went_down(link: LinkReply, named: set[tuple[str, str]], now: set[tuple[str, str]]) -> bool:
    """Tell whether a change has closed *link*; a client's link that no server has *named* may have ended by itself."""
    key = (link.server, link.id)
    return key in named or (key not in now and link.kind != "client")


def _say_down(closed: Sequence[LinkReply]) -> None:
    if closed:
        show(links_table(plural(len(closed), "link") + " went down", closed))


def say_reloaded(reloaded: Reloaded) -> None:
    """Print which servers use the new files, which do not, and which links went down."""
    if not reloaded.servers:
        say("No server runs here.", style="dim")
        return
    if reloaded.taken:
        say(f"In force on {', '.join(reloaded.taken)}.", style=GOOD)
    for refusal in reloaded.refused:
        say(f"NOT in force on {refusal.server}: {refusal.value}", style=BAD)
    _say_down(reloaded.closed)


def links_table(title: str, links: Iterable[LinkReply]) -> Grid:
    """Return a table of live links."""
    made = table(title, "server", "link", "kind", "peer", "remote", "verdict", "TLS", "up", "messages in/out")
    for link in links:
        made.add_row(
            cell(link.server),
            cell(link.id, "bold"),
            cell(f"{link.direction} {link.port or link.kind}"),
            cell(link.peer),
            cell(link.remote),
            _verdict_cell(link),
            cell(" ".join(filter(None, (link.tls.version, link.tls.group)))),
            cell(duration(link.age_s)),
            cell(f"{link.messages_in}/{link.messages_out}"),
        )
    return made


def _verdict_cell(link: LinkReply) -> Cell:
    if link.code is None:
        return cell(link.state, "yellow")
    if link.code != "accepted":
        return cell(link.code, BAD)
    return cell("accepted", GOOD) if link.confirmed else cell("accepted, unconfirmed", "yellow")


def tell_users_changed(place: Place) -> None:
    """Have running servers read the changes of users at once, and print how many links this has closed.

    A front end that does not have the changes yet is printed.
    """
    from sipmesh.server.admin.replies import USERS_CHANGED

    answers = ask_all(place, USERS_CHANGED)
    closed = sum(answer.reply.closed for answer in answers if answer.reply is not None)
    if closed:
        say(f"{plural(closed, 'live link')} of this user closed.")
    for answer in answers:
        if answer.fault:
            say(f"{answer.server} could not be notified: {answer.fault}", style=WARN, error=True)
    _say_users_in_force(place)


def _say_users_in_force(place: Place) -> None:
    """Say on which front ends the changes of users are not in force; a network without management has no such servers."""
    from sipmesh.server.management.replies import USERS_IN_FORCE

    socket = running_management(place)
    if socket is not None:
        try:
            held = ask_one(socket, USERS_IN_FORCE, 2 * USERS_S, wait_s=USERS_S)
        except SipmeshError as wrong:  # such as a management server that ends meanwhile, or is of an older release
            say(f"Management does not say which front ends have the change: {wrong}", style=WARN, error=True)
            return
        if held.missing:
            at = f"In force at {held.servers - len(held.missing)} of {plural(held.servers, 'front end')}."
            say(f"{at} NOT yet at {', '.join(held.missing)}; see: sipmesh status", style=WARN, error=True)
    elif place.in_force().number:
        say(f"Servers get this when management runs: sipmesh serve {managers(place)[0]}", style="dim", error=True)
