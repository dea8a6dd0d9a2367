"""`sipmesh calls`: who called whom, when, for how long, and why a call has failed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from sipmesh.cli.output import WARN, say, say_json_lines
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile
from sipmesh.errors import OperatorError

if TYPE_CHECKING:
    from sipmesh.storage.call_records.call_query import CallQuery
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
        str, typer.Option("--call", metavar="ID", help="Only the call with this Call-ID or record id.")
    ] = "",
    utc: Annotated[bool, typer.Option("--utc", help="Times are in UTC, not in the local time zone.")] = False,
    most: Annotated[int, typer.Option("--most", min=1, max=10_000, help="At most so many records, the newest.")] = 100,
    topology: TopologyFile = HERE,
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    """Show records of calls and messages: who called whom, when, for how long, and why a call has failed.

    Servers make records if the topology has `call_records`. On the host of management these are those of the whole network;
    on another host, those of the servers that run there. --json prints one record on each line.
    """
    from sipmesh.cli.calls.instants import day, instant, zone
    from sipmesh.cli.calls.shown_calls import say_csv, show_calls
    from sipmesh.storage.call_records.call_query import CallQuery

    if yesterday and today:
        raise OperatorError("--yesterday and --today are two days; name one of them, or --since and --until")
    now = datetime.now(UTC) if utc else datetime.now().astimezone()
    begin, end = day(now, 1 if yesterday else 0) if yesterday or today else (None, None)
    place = Place(topology)
    query = CallQuery(
        names=frozenset(_names(place, user)),
        since=instant(since, now) if since else begin,
        until=instant(until, now) if until else end,
        failed=failed,
        up=up,
        only="MESSAGE" if messages else "",
        call=call,
        most=most,
    )
    records, has_more = _found(place, query)
    if as_json:
        say_json_lines(records)
    elif as_csv:
        say_csv(records)
    else:
        show_calls(records, now, zone(now), has_more=has_more)


def _names(place: Place, user: str) -> list[str]:
    """Give the names that *user* may mean: without a domain, the user of each of our domains."""
    if not user:
        return []
    wanted = user.lower().removeprefix("sips:").removeprefix("sip:")
    if "@" in wanted or "." in wanted:
        return [wanted]
    return [f"{wanted}@{domain}" for domain in place.in_force().topology.sip_domains]


def _found(place: Place, query: CallQuery) -> tuple[list[CallRecord], bool]:
    """Read the records of this machine's servers."""
    from sipmesh.storage.call_records.journal import found_in, servers_with_journals

    if place.in_force().topology.call_records is None:
        say("No records are made: write `call_records: {}` into the topology, and publish it.", style=WARN, error=True)
    servers = servers_with_journals(place.state)
    say(
        f"The records of {', '.join(servers) or 'no server'}, from their files on this machine.", style=WARN, error=True
    )
    return query.page(found_in(place.state, servers).values())
