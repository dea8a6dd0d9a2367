"""`sipmesh calls`: who called whom, when, for how long, and why a call has failed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

import typer

from sipmesh.cli.output import GOOD, WARN, say, say_json_lines
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile
from sipmesh.errors import OperatorError

ASK_S: Final = 30.0
"""Seconds for an answer of management, whose database may be slow."""

if TYPE_CHECKING:
    from sipmesh.storage.call_records.call_query import CallQuestion
    from sipmesh.storage.call_records.call_record import CallRecord


def calls(
    *,
    user: Annotated[
        str, typer.Option("--user", help="Only calls of or to this user, with or without domain; or of this domain.")
    ] = "",
    yesterday: Annotated[
        bool, typer.Option("--yesterday", help="Only those of yesterday, in the local time zone.")
    ] = False,
    today: Annotated[bool, typer.Option("--today", help="Only those of today, in the local time zone.")] = False,
    since: Annotated[
        str,
        typer.Option(
            "--since",
            metavar="TIME",
            help="Only those that began then or later: 2026-11-30, 2026-11-30T14:00, or so long ago: 30min, 2h, 7d.",
        ),
    ] = "",
    until: Annotated[str, typer.Option("--until", metavar="TIME", help="Only those that began before then.")] = "",
    failed: Annotated[
        bool, typer.Option("--failed", help="Only calls without an answer, and refused messages.")
    ] = False,
    up: Annotated[bool, typer.Option("--up", help="Only calls that are up.")] = False,
    messages: Annotated[bool, typer.Option("--messages", help="Only messages.")] = False,
    call: Annotated[
        str,
        typer.Option(
            "--call", metavar="ID", help="Only calls with this Call-ID, record id, or reference of a refusal."
        ),
    ] = "",
    end: Annotated[
        str,
        typer.Option("--end", metavar="ID", help="End the call that is up with this record id. The audit log says so."),
    ] = "",
    utc: Annotated[bool, typer.Option("--utc", help="Times are in UTC, not in the local time zone.")] = False,
    most: Annotated[int, typer.Option("--most", min=1, max=10_000, help="At most so many records, the newest.")] = 100,
    topology: TopologyFile = HERE,
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    """Show records of calls and messages: who called whom, when, for how long, and why a call has failed.

    Servers make records if the topology has `call_records`. On the host of management these are those of the whole network,
    and the audit log says who has read them. On another host, they are those of the servers that run there. With --json, each
    record is on one line.
    """
    from sipmesh.cli.calls.shown_calls import say_csv, show_calls
    from sipmesh.cli.instants import day, instant, zone
    from sipmesh.storage.call_records.call_query import CallQuestion
    from sipmesh.storage.call_records.call_record import LONGEST_TEXT

    if end:
        _end(Place(topology), end)
        return
    if yesterday and today:
        raise OperatorError("--yesterday and --today are two days; name one of them, or --since and --until")
    now = datetime.now(UTC) if utc else datetime.now().astimezone()
    begin, stop = day(now, 1 if yesterday else 0) if yesterday or today else (None, None)
    place = Place(topology)
    if len(call) > LONGEST_TEXT or " " in call or not (call.isascii() and call.isprintable()):
        raise OperatorError(
            f"{call!a} is no Call-ID, record id or reference: these have 1 to {LONGEST_TEXT} visible ASCII characters, "
            "and no space"
        )
    question = CallQuestion(
        user=user,
        since=instant(since, now) if since else begin,
        until=instant(until, now) if until else stop,
        failed=failed,
        up=up,
        only="MESSAGE" if messages else "",
        call=call,
    )
    records, has_more = found_records(place, question, most)
    if as_json:
        say_json_lines(records)
    elif as_csv:
        say_csv(records)
    else:
        show_calls(records, now, zone(now), has_more=has_more, ids=up)


def _end(place: Place, call: str) -> None:
    """End a call, and say which call it was."""
    from sipmesh.cli.control_client import ask_all, ask_one
    from sipmesh.cli.management_socket import running_management
    from sipmesh.server.admin.replies import END_CALL
    from sipmesh.server.management.replies import END_NETWORK_CALL

    place.in_force()
    socket = running_management(place)
    if socket is not None:
        over = ask_one(socket, END_NETWORK_CALL, ASK_S, id=call)
        say(f"The call from {over.caller} to {over.callee} has ended.", style=GOOD)
        return
    answers = ask_all(place, END_CALL, ASK_S, id=call)
    if not any(answer.reply is not None and answer.reply.ended for answer in answers):
        faults = [f"{answer.server}: {answer.fault}" for answer in answers if answer.fault]
        raise OperatorError(
            "; ".join(faults) or f"no server of this machine has a call {call}; see: sipmesh calls --up"
        )
    say(f"The call {call} has ended.", style=GOOD)


def found_records(place: Place, question: CallQuestion, most: int) -> tuple[list[CallRecord], bool]:
    """Ask management for the records of the network; where it does not run, read those of the servers of this machine.

    Servers of which records may be missing are printed.
    """
    from sipmesh.cli.control_client import ask_one
    from sipmesh.cli.management_socket import running_management
    from sipmesh.server.management.replies import CALLS
    from sipmesh.storage.call_records.call_pages import CallPages

    place.in_force()
    socket = running_management(place)
    if socket is None:
        return _found_here(place, question, most)
    asked, pages = question.model_dump(mode="json"), CallPages(most)
    while not pages.is_complete:
        reply = ask_one(socket, CALLS, ASK_S, **{**asked, **pages.wanted})
        pages.add(reply.records, has_more=reply.has_more)
    if reply.missing:
        say(f"Note: {reply.told_missing}; see: sipmesh status", style=WARN, error=True)
    return pages.records, pages.has_more


def _found_here(place: Place, question: CallQuestion, most: int) -> tuple[list[CallRecord], bool]:
    from sipmesh.storage.call_records.call_query import query_of
    from sipmesh.storage.call_records.journal import found_in, servers_with_journals

    loaded = place.in_force()
    if loaded.topology.call_records is None:
        say("No records are made: write `call_records: {}` into the topology, and publish it.", style=WARN, error=True)
    servers = servers_with_journals(place.state)
    say(
        f"The records of {', '.join(servers) or 'no server'}, from their files on this machine: management does not run here.",
        style=WARN,
        error=True,
    )
    query = replace(query_of(question, loaded), most=most)
    return query.page(found_in(place.state, servers).values())
