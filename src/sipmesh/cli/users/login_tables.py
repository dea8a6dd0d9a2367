"""Tables of registered devices and of failed logins."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sipmesh.cli.output import Grid, cell, duration, second, table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sipmesh.cli.control_client import FromServer
    from sipmesh.server.admin.replies import BindingReply, LoginFailureReply, LoginReply, TlsReply


def registrations_table(title: str, bindings: Iterable[BindingReply]) -> Grid:
    """Return a table of registered devices, each with the time until its registration expires."""
    made = table(title, "user", "server", "link", "contact", "user agent", "from", "TLS", "digest", "expires in")
    for binding in bindings:
        facts = (binding.server, binding.link, binding.contact, binding.user_agent, binding.remote)
        left = duration(binding.expires - datetime.now(UTC)) if binding.expires is not None else None
        security = (_tls(binding.tls), binding.digest)
        made.add_row(cell(binding.user, "bold"), *map(cell, (*facts, *security)), cell(left))
    return made


def _tls(facts: TlsReply | None) -> str:
    return f"{facts.version} {facts.cipher}" if facts is not None else ""


def logins_table(title: str, rows: Iterable[FromServer[LoginReply]]) -> Grid:
    """Return a table of logins that succeeded."""
    made = table(title, "at", "server", "link", "from", "user agent", "digest", "offered")
    for row in rows:
        login = row.value
        facts = (row.server, login.link, login.remote, login.user_agent, login.digest, ", ".join(login.offered))
        made.add_row(cell(second(login.at)), *map(cell, facts))
    return made


def why_digest(login: LoginReply) -> str:
    """Say why a phone has logged in with its algorithm: it takes the strongest of those that are offered and that it knows."""
    if len(login.offered) == 1:
        return f"Digest {login.digest}: the only algorithm of this user."
    if login.offered and login.digest == login.offered[0]:
        return f"Digest {login.digest}: the strongest that was offered."
    return f"Digest {login.digest}: the phone has not used {login.offered[0] if login.offered else 'a stronger one'}."


def failures_table(title: str, rows: Iterable[FromServer[LoginFailureReply]]) -> Grid:
    """Return a table of failed logins."""
    made = table(title, "last", "server", "user", "from", "user agent", "times", "why", "link closed")
    for row in rows:
        failure = row.value
        facts = (row.server, failure.user, failure.remote, failure.user_agent, failure.count, failure.flaw)
        closed = "yes" if failure.closed else "no"
        made.add_row(cell(second(failure.last_at)), *map(cell, facts), cell(closed))
    return made
