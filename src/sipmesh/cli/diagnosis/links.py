"""`sipmesh links`: what is connected with the running servers of this machine, and who was refused."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from sipmesh.cli.control_client import ServerAnswer, ask_all, links_table
from sipmesh.cli.output import BAD, cell, plural, say, say_json, show, table
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile
from sipmesh.cli.users.login_tables import failures_table
from sipmesh.errors import OperatorError


def links(
    *,
    refused: Annotated[
        bool, typer.Option("--refused", help="Show the latest refusals instead: of links, messages and logins.")
    ] = False,
    topology: TopologyFile = HERE,
    as_json: AsJson = False,
) -> None:
    """Show the live links of the servers that run here, each with its verdict."""
    place = Place(topology)
    if refused:
        _show_refused(place, as_json=as_json)
        return
    answers = answers_of(place, "links")
    found = [link for answer in answers for link in answer.result]
    if as_json:
        say_json(found)
        return
    for answer in answers:
        say(f"{answer.server}: {plural(len(answer.result), 'link')}", style="bold")
    if found:
        show(links_table("", found))
        say("Why is a peer accepted? sipmesh explain LINK", style="dim")


def answers_of(place: Place, command: str, server: str = "", **given: Any) -> list[ServerAnswer]:
    """The answers of the servers that run here (or of *server*); raises `OperatorError` where there are none."""
    place.in_force()
    answers = [one for one in ask_all(place, command, **given) if server in {"", one.server}]
    if not answers:
        who = server or "no server of this topology"
        raise OperatorError(
            f"{who} {'does not run' if server else 'runs'} on this machine; start it: sipmesh serve NAME"
        )
    faults = [f"{one.server}: {one.fault}" for one in answers if one.fault]
    if len(faults) == len(answers):
        raise OperatorError("; ".join(faults))
    for fault in faults:
        say(fault, style=BAD)
    return [one for one in answers if not one.fault]


def _show_refused(place: Place, *, as_json: bool) -> None:
    peers = [{"server": one.server, **verdict} for one in answers_of(place, "refused") for verdict in one.result]
    messages = [{"server": one.server, **told} for one in answers_of(place, "refused-messages") for told in one.result]
    logins = [{"server": one.server, **told} for one in answers_of(place, "login-failures") for told in one.result]
    if as_json:
        say_json({"links": peers, "messages": messages, "logins": logins})
        return
    if peers:
        show(_peers_table(peers))
    if messages:
        show(_messages_table(messages))
    if logins:
        show(failures_table("Failed logins", logins))
        say("Why can a user not log in? sipmesh explain USER@DOMAIN", style="dim")
    if not peers and not messages and not logins:
        say("The servers have refused no link, message or login since they started.", style="dim")


def _peers_table(peers: list[dict[str, Any]]) -> Any:
    made = table("Refused links", "when", "server", "from or to", "code", "saw", "remedy")
    for one in peers:
        reason = next((finding["saw"] for finding in one["findings"] if finding["code"] == one["code"]), "")
        remedy = one["remedies"][0] if one["remedies"] else ""
        link = f"{one['direction']} {one['kind']} {one['remote']}"
        when = one["at"][:19].replace("T", " ") + "Z"
        made.add_row(cell(when), cell(one["server"]), cell(link), cell(one["code"], BAD), cell(reason), cell(remedy))
    return made


def _messages_table(messages: list[dict[str, Any]]) -> Any:
    made = table("Refused messages", "server", "reference", "from", "method", "answer", "code", "why")
    for one in messages:
        told = (one["server"], one["reference"], one["peer"], one["method"], one["status"])
        made.add_row(*map(cell, told), cell(one["code"], BAD), cell(one["why"]))
    return made
