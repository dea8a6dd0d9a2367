"""`sipmesh directory explain`: what the directory has of a user, what we have, and what a sync makes of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from sipmesh.cli.directory.opened import opened
from sipmesh.cli.output import BAD, GOOD, WARN, say, say_json
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile
from sipmesh.storage.users.account_report import shown_name
from sipmesh.topology.user_address import full_address
from sipmesh.trust.formatting import tell_time

if TYPE_CHECKING:
    from sipmesh.server.directory.explain_report import ExplainReport


def explain(
    user: Annotated[str, typer.Argument(metavar="USER", help="The user, such as alice@example.com.")],
    *,
    topology: TopologyFile = HERE,
    as_json: AsJson = False,
) -> None:
    """Show the entry of a user in the directory, the user here, and what a sync makes of both.

    Exit code 1: no user here comes from it.
    """
    from sipmesh.server.directory.explain_report import ExplainReport

    place = Place(topology)
    name = full_address(user, place.in_force().topology)
    with opened(place) as sync:
        found = ExplainReport.of(sync.explain(name, datetime.now(UTC)))
    if as_json:
        say_json(found)
    else:
        _say(found)
        remedy = [f"  → {found.remedy}"] if found.remedy else []
        say(found.verdict, *remedy, style=WARN if remedy else GOOD)
    if found.link is None:
        raise typer.Exit(1)


def _say(found: ExplainReport) -> None:
    for entry in found.entries:
        names = ", ".join(map(shown_name, entry.aliases)) or "none"
        about = [
            f"id {entry.id}",
            f"name {entry.name or 'none'}",
            f"aliases {names}",
            f"access {entry.ended_by or 'yes'}",
        ]
        say(
            f"{found.server} has {entry.dn or found.user}",
            *(f"  {line}" for line in about),
            f"  pool {entry.pool or 'the default'}",
        )
    if not found.entries:
        say(f"{found.server} has no usable entry of {found.user}.", style=BAD)
    say(*found.unusable, style=WARN)
    if found.link is not None:
        state = f"disabled: {found.link.ended_by} there" if found.link.ended_by else "with access"
        since, link = tell_time(found.link.since), found.link
        say(f"Here {link.aor[4:]} comes from {link.dn or found.server},", f"  id {link.id}, {state} since {since}.")
    elif found.is_user:
        say(f"Here {found.user} is a local user.")
    else:
        say(f"Here {found.user} is not a user.")
