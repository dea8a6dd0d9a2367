"""`sipmesh links`: the live links of the servers that run here, and the latest refusals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import typer

from sipmesh.cli.control_client import FromServer, ask_all, links_table
from sipmesh.cli.output import BAD, MARKS, Grid, cell, plural, say, say_json, second, show, table
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile
from sipmesh.cli.users.client_links import client_refusals_table, link_remedies
from sipmesh.cli.users.login_tables import failures_table
from sipmesh.errors import OperatorError

if TYPE_CHECKING:
    from sipmesh.cli.diagnosis.reports import Refusals
    from sipmesh.server.admin.replies import LinkReply
    from sipmesh.server.control_socket import ControlCommand
    from sipmesh.server.proxy.refused_message import RefusedMessage
    from sipmesh.trust.judgement.verdict_report import VerdictReport

T = TypeVar("T")


def links(
    *,
    refused: Annotated[
        bool, typer.Option("--refused", help="Show the latest refusals instead: of links, messages and logins.")
    ] = False,
    tls: Annotated[
        Literal["1.2", "1.3"] | None,
        typer.Option(
            "--tls",
            help="Only links with this version of TLS. 1.2 shows the peers that need an update before you require 1.3.",
        ),
    ] = None,
    topology: TopologyFile = HERE,
    as_json: AsJson = False,
) -> None:
    """Show the live links of the servers that run here, each with its verdict."""
    from sipmesh.server.admin.replies import LINKS

    place = Place(topology)
    if refused:
        _show_refused(_refusals(place), as_json=as_json)
        return
    answers = [_with_tls(answer, tls) for answer in answers_of(place, LINKS)]
    found = [link for answer in answers for link in answer.value]
    if as_json:
        say_json(found)
        return
    for answer in answers:
        say(f"{answer.server}: {plural(len(answer.value), 'link')}", style="bold")
    if found:
        show(links_table("", found))
        say("Why is a peer accepted? sipmesh explain LINK", style="dim")


def _with_tls(answer: FromServer[list[LinkReply]], version: str | None) -> FromServer[list[LinkReply]]:
    if version is None:
        return answer
    return FromServer(answer.server, [link for link in answer.value if link.tls.version == f"TLSv{version}"])


def answers_of(place: Place, command: ControlCommand[T], server: str = "", **given: object) -> list[FromServer[T]]:
    """Return the replies of the servers that run here, or of *server* only.

    Raises `OperatorError` if no such server runs here, or none of them replies. A server without a reply is printed.
    """
    place.in_force()
    answers = [answer for answer in ask_all(place, command, **given) if server in {"", answer.server}]
    if not answers:
        who = server or "no server of this topology"
        raise OperatorError(
            f"{who} {'does not run' if server else 'runs'} on this machine; start it: sipmesh serve NAME"
        )
    faults = [f"{answer.server}: {answer.fault}" for answer in answers if answer.fault]
    if len(faults) == len(answers):
        raise OperatorError("; ".join(faults))
    for fault in faults:
        say(fault, style=BAD)
    return [FromServer(answer.server, answer.reply) for answer in answers if answer.reply is not None]


def each(answers: list[FromServer[list[T]]]) -> list[FromServer[T]]:
    """Return every value of every server, each with its server."""
    return [FromServer(answer.server, value) for answer in answers for value in answer.value]


def _refusals(place: Place) -> Refusals:
    from sipmesh.cli.diagnosis.reports import Refusals
    from sipmesh.server.admin.replies import CLIENT_REFUSALS, LOGIN_FAILURES, REFUSED, REFUSED_MESSAGES

    return Refusals(
        links=each(answers_of(place, REFUSED)),
        messages=[row for row in each(answers_of(place, REFUSED_MESSAGES)) if row.value.code],
        logins=each(answers_of(place, LOGIN_FAILURES)),
        clients=each(answers_of(place, CLIENT_REFUSALS)),
    )


def _show_refused(refusals: Refusals, *, as_json: bool) -> None:
    if as_json:
        say_json(refusals)
        return
    if refusals.links:
        show(_peers_table(refusals.links))
    if refusals.clients:
        show(client_refusals_table("Failed client links, by network and reason", refusals.clients))
        say(*(f"  → {remedy}" for remedy in link_remedies(refusals.clients)), style=MARKS["→"])
    if refusals.messages:
        show(_messages_table(refusals.messages))
    if refusals.logins:
        show(failures_table("Failed logins", refusals.logins))
        say("Why can a user not log in? sipmesh explain USER@DOMAIN", style="dim")
    if not (refusals.links or refusals.clients or refusals.messages or refusals.logins):
        say("The servers have refused no link, message or login since they started.", style="dim")


def _peers_table(rows: list[FromServer[VerdictReport]]) -> Grid:
    made = table("Refused links", "when", "server", "from or to", "code", "saw", "remedy")
    for row in rows:
        verdict = row.value
        saw = verdict.reason.saw if verdict.reason is not None else ""
        remedy = verdict.remedies[0] if verdict.remedies else ""
        link = f"{verdict.direction} {verdict.kind} {verdict.remote}"
        made.add_row(
            cell(second(verdict.at)), cell(row.server), cell(link), cell(verdict.code, BAD), cell(saw), cell(remedy)
        )
    return made


def _messages_table(rows: list[FromServer[RefusedMessage]]) -> Grid:
    made = table("Refused messages", "server", "reference", "from", "method", "answer", "code", "why")
    for row in rows:
        message = row.value
        facts = (row.server, message.reference, message.peer, message.method, message.status)
        made.add_row(*map(cell, facts), cell(message.code, BAD), cell(message.why))
    return made
