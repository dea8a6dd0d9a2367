"""`sipmesh user presence`: who may see the presence of a user."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from sipmesh.cli.control_client import tell_users_changed
from sipmesh.cli.output import GOOD, cell, say, say_json, show, table
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile
from sipmesh.cli.topology.remote_servers import must_lead, note
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
    from sipmesh.storage.audit_act import AuditAct

    place = Place(topology)
    must_lead(place)
    aor = full_address(user, place.in_force().topology)
    with place.users() as users:
        key = users.set_watcher(aor, watcher, rule)
    note(place, AuditAct.PRESENCE, user=aor, watcher=key, rule=str(rule))
    tell_users_changed(place)
    say(f"{shown_name(key)} watches {aor}: {rule}.", style=GOOD)


@app.command()
def remove(user: Address, watcher: Watcher, *, topology: TopologyFile = HERE) -> None:
    """Remove a rule. Live subscriptions follow the next rule that counts within a second."""
    from sipmesh.storage.audit_act import AuditAct

    place = Place(topology)
    must_lead(place)
    aor = full_address(user, place.in_force().topology)
    with place.users() as users:
        key = users.remove_watcher(aor, watcher)
    note(place, AuditAct.PRESENCE, user=aor, watcher=key, removed=True)
    tell_users_changed(place)
    say(f"{aor} has no rule for {shown_name(key)} any more.", style=GOOD)


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
