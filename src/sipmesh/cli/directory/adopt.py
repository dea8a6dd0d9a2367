"""`sipmesh directory adopt`: a local user becomes the user of an entry, and no phone notices."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from sipmesh.cli.directory.opened import opened
from sipmesh.cli.output import GOOD, plural, say
from sipmesh.cli.place import HERE, Place, TopologyFile
from sipmesh.errors import OperatorError
from sipmesh.topology.user_address import full_address


def adopt(
    user: Annotated[str, typer.Argument(metavar="[USER]", help="The user, such as alice@example.com.")] = "",
    *,
    everyone: Annotated[
        bool, typer.Option("--all", help="Each local user who has the name of one entry of the directory.")
    ] = False,
    topology: TopologyFile = HERE,
) -> None:
    """Let a local user come from the entry of the same name. Password, devices, aliases and links stay as they are.

    From then on the directory decides: who is disabled there is disabled here. Adopt a user again whose entry has got a new id.
    """
    if bool(user) == everyone:
        raise OperatorError("name one user, or give --all")
    place, at = Place(topology), datetime.now(UTC)
    with opened(place) as sync, sync.alone():
        name = full_address(user, place.in_force().topology) if user else ""
        adopted = sync.adopt_all(at) if everyone else [sync.adopt(name, at)]
    for entry in adopted[:1] if everyone else adopted:
        say(f"{entry.aor.removeprefix('sip:')} comes from {entry.dn or 'SCIM'}.")
    say(f"{plural(len(adopted), 'user')} adopted.", style=GOOD)
