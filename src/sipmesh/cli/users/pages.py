"""A part of a long list of users: how many, and after which user."""

from __future__ import annotations

from typing import Annotated

import typer

from sipmesh.cli.output import say

Limit = Annotated[int, typer.Option("--limit", min=0, metavar="N", help="At most N of them; 0 means all.")]
After = Annotated[
    str, typer.Option("--after", metavar="USER", help="Only users after this address, such as alice@example.com.")
]


def say_next(limit: int, shown: int, command: str) -> None:
    """Print the command for the next part, if there may be one."""
    if limit and shown >= limit:
        say(f"More users: {command}", style="dim")
