"""Registered devices and failed logins as tables."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sipmesh.cli.output import cell, duration, table


def registrations_table(title: str, rows: list[dict[str, Any]]) -> Any:
    """Registered devices as people read them."""
    made = table(title, "user", "server", "link", "contact", "user agent", "from", "expires in")
    for one in rows:
        ends = one["expires"]  # known to the server that has the link
        left = duration(datetime.fromisoformat(ends) - datetime.now(UTC)) if ends is not None else None
        told = (one["server"], one["link"], one["contact"], one["user_agent"], one["remote"])
        made.add_row(cell(one["user"], "bold"), *map(cell, told), cell(left))
    return made


def failures_table(title: str, rows: list[dict[str, Any]]) -> Any:
    """Failed logins as people read them."""
    made = table(title, "last", "server", "user", "from", "user agent", "times", "why", "link closed")
    for one in rows:
        told = (one["server"], one["user"], one["remote"], one["user_agent"], one["count"], one["flaw"])
        closed = "yes" if one["closed"] else "no"
        made.add_row(cell(f"{one['last_at'][:19].replace('T', ' ')}Z"), *map(cell, told), cell(closed))
    return made
