"""What the operator types on the host of the management server that leads, after a refusal on another host."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final

from sipmesh.cli.output import say

if TYPE_CHECKING:
    from collections.abc import Sequence

TOPOLOGY: Final = ("--topology", "-t")
DRAFT: Final = {
    "topology": {"publish", "apply", "change", "add", "remove", "rename"},
    "partner": {"add", "change", "remove", "unblock"},
}
"""Commands that publish the draft, by their group."""


def say_where_to_run(leader: str, arguments: Sequence[str]) -> None:
    """Print the command with these *arguments* for the host of *leader*; nothing if the leader is not known."""
    if not leader:
        return
    typed = _without_topology(arguments)
    say(f"  → on the host of {leader}: {shlex.join(['sipmesh', *typed])}", error=True)
    if set(typed[1:2]) & DRAFT.get(typed[0] if typed else "", set()):
        say("    It publishes the draft on that host. Copy your changes there first.", error=True)


def _without_topology(arguments: Sequence[str]) -> list[str]:
    """Return the arguments without the topology file, whose place on the other host may be another one."""
    kept: list[str] = []
    is_value = False
    for argument in arguments:
        if is_value:
            is_value = False
        elif argument in TOPOLOGY:
            is_value = True
        elif not argument.startswith(f"{TOPOLOGY[0]}="):
            kept.append(argument)
    return kept
