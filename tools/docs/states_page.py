"""The reference of the state machines, made from the tables that the code uses."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any

from sipmesh.sip.transaction import client, server

Table = Mapping[tuple[Any, Any], tuple[Any, Any]]

HEAD = """# State tables

The code of these state machines is a table: state and input give the new state and the action. This page is made from
these tables. An empty cell cannot happen: it is an error of our own code that names both. On reliable links timers D, I, J
and K are zero (RFC 3261 section 17), so the states that wait for them are left out.

| action | what the caller does |
| --- | --- |
| `SEND` | send the response that came with this input |
| `RESEND` | send the last response again |
| `PASS` | pass the message to the proxy, the registrar or our own client |
| `ACK` | send an ACK, then pass the response |
| `FAIL` | say that no response comes: 408 after a timer, 503 after a lost link |
"""
TABLES: dict[str, Table] = {
    "INVITE server transaction (RFC 3261 figure 7, RFC 6026)": server.INVITE,
    "Non-INVITE server transaction (RFC 3261 figure 8)": server.NON_INVITE,
    "INVITE client transaction (RFC 3261 figure 5, RFC 6026)": client.INVITE,
    "Non-INVITE client transaction (RFC 3261 figure 6)": client.NON_INVITE,
}


def page() -> str:
    """Give the page as Markdown: one matrix for each table."""
    return "\n".join([HEAD, *(section(title, table) for title, table in TABLES.items())])


def section(title: str, table: Table) -> str:
    """Give the matrix of one table: a row for each input, a column for each state."""
    states = sorted({state for state, _ in table})
    inputs = sorted({given for _, given in table})
    head = f"| input | {' | '.join(state.name for state in states)} |"
    rows = [f"| {given.name} | {' | '.join(cell(table, state, given) for state in states)} |" for given in inputs]
    return "\n".join([f"## {title}", "", head, f"|{' --- |' * (len(states) + 1)}", *rows, ""])


def cell(table: Table, state: IntEnum, given: IntEnum) -> str:
    """Give the new state, where it is another one, and the action, where there is one."""
    if (state, given) not in table:
        return ""
    after, do = table[state, given]
    told = [f"→ {after.name}"] if after is not state else []
    told += [f"`{do.name}`"] if do.name != "NOTHING" else []
    return ", ".join(told) or "stays"
