"""Tables of registered devices and of failed logins."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sipmesh.cli.output import Grid, cell, duration, second, table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sipmesh.cli.control_client import FromServer
    from sipmesh.server.admin.replies import BindingReply, LoginFailureReply


def registrations_table(title: str, bindings: Iterable[BindingReply]) -> Grid:
    """Return a table of registered devices, each with the time until its registration expires."""
    made = table(title, "user", "server", "link", "contact", "user agent", "from", "expires in")
    for binding in bindings:
        facts = (binding.server, binding.link, binding.contact, binding.user_agent, binding.remote)
        left = duration(binding.expires - datetime.now(UTC)) if binding.expires is not None else None
        made.add_row(cell(binding.user, "bold"), *map(cell, facts), cell(left))
    return made


def failures_table(title: str, rows: Iterable[FromServer[LoginFailureReply]]) -> Grid:
    """Return a table of failed logins."""
    made = table(title, "last", "server", "user", "from", "user agent", "times", "why", "link closed")
    for row in rows:
        failure = row.value
        facts = (row.server, failure.user, failure.remote, failure.user_agent, failure.count, failure.flaw)
        closed = "yes" if failure.closed else "no"
        made.add_row(cell(second(failure.last_at)), *map(cell, facts), cell(closed))
    return made
