#!/usr/bin/env python3
"""Draw every state table of the program as a diagram; prints the page docs/**/state-machines.md.

Usage: state_diagrams.py [--write]; with --write the page is replaced.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sipmesh.sip.transaction import client, server
from sipmesh.sip.transaction.state import TransactionState
from sipmesh.transport.link.state import TRANSITIONS, LinkState

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from enum import Enum

DOCS: Final = Path(__file__).resolve().parent.parent / "docs"
NAME: Final = "state-machines.md"

HEAD: Final = """\
# State machines

Each of these machines is a table in the source. `make diagrams` draws this page from the tables, and a test compares it with
them. An arrow bears the input and, behind a slash, what the caller does. Inputs that change nothing and need nothing are
left out. A pair that is not in the table is a fault of our own code, and raises `LocalError`.
"""

Drawn = tuple[str, str, str, "Mapping[Any, Any]", "Enum"]


def machines() -> Iterator[Drawn]:
    """Name each machine, its rule, its source, its table and its first state."""
    path = "sip/transaction"
    yield (
        "INVITE client transaction",
        "RFC 3261 17.1.1, RFC 6026 7.2",
        f"{path}/client.py",
        client.INVITE,
        TransactionState.CALLING,
    )
    yield (
        "non-INVITE client transaction",
        "RFC 3261 17.1.2",
        f"{path}/client.py",
        client.NON_INVITE,
        TransactionState.TRYING,
    )
    yield (
        "INVITE server transaction",
        "RFC 3261 17.2.1, RFC 6026 7.1",
        f"{path}/server.py",
        server.INVITE,
        TransactionState.PROCEEDING,
    )
    yield (
        "non-INVITE server transaction",
        "RFC 3261 17.2.2",
        f"{path}/server.py",
        server.NON_INVITE,
        TransactionState.TRYING,
    )
    yield "link", "rules R2 and R4", "transport/link/state.py", TRANSITIONS, LinkState.CONNECTING


def arrows(table: Mapping[Any, Any]) -> dict[tuple[str, str], list[str]]:
    """Gather the inputs of each arrow, each with what is done about it."""
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for (before, given), outcome in table.items():
        after, todo = outcome if isinstance(outcome, tuple) else (outcome, None)
        nothing = todo is None or todo.name == "NOTHING"
        if before is not after or not nothing:
            found[before.name, after.name].append(given.name if nothing else f"{given.name} / {todo.name}")
    return found


def diagram(table: Mapping[Any, Any], first: Enum) -> Iterator[str]:
    """Draw one table in the language of Mermaid."""
    yield "```mermaid"
    yield "stateDiagram-v2"
    yield f"    [*] --> {first.name}"
    for (before, after), inputs in arrows(table).items():
        yield f"    {before} --> {after}: {', '.join(inputs)}"
    yield "```"


def page() -> str:
    """Write the whole page."""
    parts = [HEAD]
    for name, rule, source, table, first in machines():
        parts.append(f"## {name[0].upper()}{name[1:]}\n\n{rule}; the table is in `src/sipmesh/{source}`.\n")
        parts.append("\n".join(diagram(table, first)) + "\n")
    return "\n".join(parts)


def main() -> int:
    """Print the page, or replace it."""
    if "--write" in sys.argv[1:]:
        place = next(DOCS.rglob(NAME), DOCS / NAME)
        place.write_text(page())
    else:
        sys.stdout.write(page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
