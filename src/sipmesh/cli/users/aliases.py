"""`sipmesh user alias`: further names of a user, such as telephone numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from sipmesh.cli.control_client import tell_users_changed
from sipmesh.cli.output import GOOD, cell, say, say_json, show, table
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile
from sipmesh.cli.topology.remote_servers import note
from sipmesh.cli.users.accounts import Address, full_address, shown_name

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
    from sipmesh.storage.audit_act import AuditAct

    place = Place(topology)
    aor = full_address(user, place.in_force())
    with place.users() as users:
        key = users.add_alias(aor, _full_alias(alias, place))
    note(place, AuditAct.ALIAS, user=aor, added=key)
    tell_users_changed(place)
    say(f"{shown_name(key)} is an alias of {aor}.", style=GOOD)


@app.command()
def remove(user: Address, alias: Alias, *, topology: TopologyFile = HERE) -> None:
    """Take an alias from a user. From now on a call to it gets 404, and a message from it gets 403."""
    from sipmesh.storage.audit_act import AuditAct

    place = Place(topology)
    aor = full_address(user, place.in_force())
    with place.users() as users:
        key = users.remove_alias(aor, alias)
    note(place, AuditAct.ALIAS, user=aor, removed=key)
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
        found = [users.get(full_address(user, place.in_force()))] if user else users.list()
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


def _full_alias(alias: str, place: Place) -> str:
    """Return *alias*; raises `OperatorError` for a SIP name in a domain that the topology does not have."""
    if "@" in alias:
        scheme = "sip:" if alias.lower().startswith("sip:") else ""
        full_address(alias[len(scheme) :].partition(";")[0].partition("?")[0], place.in_force())
    return alias
