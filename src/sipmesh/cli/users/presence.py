"""`sipmesh user presence`: who may see the presence of a user."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from sipmesh.cli.control_client import tell_users_changed
from sipmesh.cli.output import GOOD, cell, say, say_json, show, table
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile
from sipmesh.cli.users.accounts import Address
from sipmesh.storage.users.account_report import shown_name
from sipmesh.topology.document.watching import Watching
from sipmesh.topology.user_address import full_address

app = typer.Typer(help="Who may see the presence of a user.", no_args_is_help=True)

Watcher = Annotated[
    str,
    typer.Argument(
        metavar="WATCHER",
        help="A user of yours or of a partner (carol@example.com), all users of a domain (@example.com), or '*' for all.",
    ),
]


@dataclass(frozen=True, slots=True)
class RuleReport:
    """One rule as ``sipmesh user presence list --json`` prints it."""

    user: str
    watcher: str
    rule: Watching


@app.command("set")
def set_rule(
    user: Address,
    watcher: Watcher,
    rule: Annotated[
        Watching,
        typer.Argument(
            metavar="RULE",
            help="allow: the watcher sees the user. block: the watcher is refused. polite-block: the watcher sees a user who "
            "is always offline.",
        ),
    ],
    *,
    topology: TopologyFile = HERE,
) -> None:
    """Set a rule. The nearest rule counts: for the address, for its domain, for all, and else that of the topology.

    Live subscriptions follow within a second.
    """
    _change(topology, user, watcher, str(rule))


@app.command()
def remove(user: Address, watcher: Watcher, *, topology: TopologyFile = HERE) -> None:
    """Remove a rule. Live subscriptions follow the next rule that counts within a second."""
    from sipmesh.storage.users.accounts import NO_RULE

    _change(topology, user, watcher, NO_RULE)


@app.command("list")
def list_rules(
    user: Annotated[str, typer.Argument(metavar="[USER]", help="Only the rules of this user.")] = "",
    *,
    topology: TopologyFile = HERE,
    as_json: AsJson = False,
) -> None:
    """List the rules of all users, or of one user, and the default of the topology."""
    place = Place(topology)
    loaded = place.in_force()
    with place.users() as users:
        found = [users.get(full_address(user, loaded.topology))] if user else users.list()
    rows = [
        RuleReport(one.aor.removeprefix("sip:"), shown_name(key), rule)
        for one in found
        for key, rule in one.watchers.items()
    ]
    if as_json:
        say_json(rows)
        return
    made = table("", "user", "watcher", "rule")
    for row in rows:
        made.add_row(cell(row.user), cell(row.watcher), cell(str(row.rule)))
    if rows:
        show(made)
    default = loaded.topology.presence
    say(f"Without a rule: {default.inside} for users of your domains, {default.partners} for partners.", style="dim")


def _change(topology: Path, user: str, watcher: str, rule: str) -> None:
    place = Place(topology)
    with place.accounts() as accounts:
        aor, what = accounts.change_watcher(user, watcher, rule)
    tell_users_changed(place)
    say(f"{aor} is {what}.", style=GOOD)
