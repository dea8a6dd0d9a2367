"""`sipmesh user alias`: further names of a user, such as telephone numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from sipmesh.cli.control_client import tell_users_changed
from sipmesh.cli.output import GOOD, cell, say, say_json, show, table
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile
from sipmesh.cli.users.accounts import Address
from sipmesh.storage.users.account_report import shown_name
from sipmesh.topology.user_address import full_address

app = typer.Typer(help="Further names of a user: telephone numbers, or other SIP names.", no_args_is_help=True)

Alias = Annotated[
    str,
    typer.Argument(
        metavar="ALIAS",
        help="A number (+493012345, tel:+493012345), a local number (42), or a SIP name (info, info@example.com).",
    ),
]


@dataclass(frozen=True, slots=True)
class AliasReport:
    """One alias as ``sipmesh user alias list --json`` prints it."""

    user: str
    alias: str


@app.command()
def add(user: Address, alias: Alias, *, topology: TopologyFile = HERE) -> None:
    """Give a user an alias. Others reach the user under it, and only this user may send under it."""
    place = Place(topology)
    with place.accounts() as accounts:
        aor, key = accounts.add_alias(user, alias)
    tell_users_changed(place)
    say(f"{shown_name(key)} is an alias of {aor}.", style=GOOD)


@app.command()
def remove(user: Address, alias: Alias, *, topology: TopologyFile = HERE) -> None:
    """Take an alias from a user. From now on a call to it gets 404, and a message from it gets 403."""
    place = Place(topology)
    with place.accounts() as accounts:
        aor, key = accounts.remove_alias(user, alias)
    tell_users_changed(place)
    say(f"{shown_name(key)} is no alias of {aor} any more.", style=GOOD)


@app.command("list")
def list_aliases(
    user: Annotated[str, typer.Argument(metavar="[USER]", help="Only the aliases of this user.")] = "",
    *,
    topology: TopologyFile = HERE,
    as_json: AsJson = False,
) -> None:
    """List the aliases of all users, or of one user."""
    place = Place(topology)
    with place.users() as users:
        found = [users.get(full_address(user, place.in_force().topology))] if user else users.list()
    rows = [AliasReport(one.aor.removeprefix("sip:"), shown_name(key)) for one in found for key in one.aliases]
    if as_json:
        say_json(rows)
        return
    made = table("", "alias", "user")
    for row in rows:
        made.add_row(cell(row.alias), cell(row.user))
    if rows:
        show(made)
    else:
        say("There are no aliases. To add one: sipmesh user alias add alice +493012345", style="dim")
