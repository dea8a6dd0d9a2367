"""`sipmesh directory token`: a token with which a SCIM client writes the users."""

from __future__ import annotations

from typing import Annotated

import typer

from sipmesh.cli.output import GOOD, say
from sipmesh.cli.place import HERE, Place, TopologyFile


def token(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name of the SCIM client, such as entra.")],
    *,
    topology: TopologyFile = HERE,
) -> None:
    """Add a SCIM client with a new token to the draft, and print the token once.

    The topology has the hash of the token only. The token allows SCIM alone, from the next publication on. To withdraw it, remove
    the client from `scim.tokens`, and publish.
    """
    import secrets

    from sipmesh.cli.topology.remote_servers import must_lead
    from sipmesh.server.console.access.secret_table import hash_of
    from sipmesh.topology.document import yaml_edit
    from sipmesh.topology.document.changes import edit

    place = Place(topology)
    must_lead(place)
    made = secrets.token_urlsafe(32)
    client = {"name": name, "token_sha256": hash_of(made)}
    edit(place.file, lambda text: yaml_edit.append(text, ("scim", "tokens"), client))
    say(f"The SCIM client {name} is in the draft. The token, which is not shown again:", style=GOOD)
    say(made)
    say("To put it in force: sipmesh topology publish -m WHY")
