"""`sipmesh user rules`: where the calls of a user go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sipmesh.cli.control_client import tell_users_changed
from sipmesh.cli.output import GOOD, cell, say, say_json, show, table
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile
from sipmesh.cli.users.accounts import Address
from sipmesh.routing.call_rules.call_rules import CallerRule
from sipmesh.routing.call_rules.rule_words import in_words
from sipmesh.topology.user_address import full_address

if TYPE_CHECKING:
    from collections.abc import Mapping


app = typer.Typer(help="Where the calls of a user go, and who may call.", no_args_is_help=True)


def _target(flag: str, says: str) -> Any:
    return typer.Option(flag, metavar="TARGET", help=says, show_default=False)


@dataclass(frozen=True, slots=True)
class CallRulesReport:
    """The rules of one user as ``sipmesh user rules show --json`` prints them."""

    user: str
    rules: Mapping[str, object]


@app.command("set")
def set_rules(
    user: Address,
    *,
    always: Annotated[str | None, _target("--always", "Forward all calls to this target.")] = None,
    busy: Annotated[str | None, _target("--busy", "Where calls go when the user is busy, or declines.")] = None,
    no_answer: Annotated[str | None, _target("--no-answer", "Where unanswered calls go.")] = None,
    away: Annotated[str | None, _target("--away", "Where calls go when no phone of the user is registered.")] = None,
    ring: Annotated[
        int | None,
        typer.Option(
            help="Seconds for which the phones ring, 5 to 180; 0 for as long as the caller waits.", show_default=False
        ),
    ] = None,
    also: Annotated[list[str] | None, _target("--also", "Rings at the same time; repeat it for more.")] = None,
    delegate: Annotated[
        list[str] | None,
        typer.Option(
            "--delegate",
            metavar="USER",
            help="A user who may call for this one; repeat it for more. They replace those of before.",
            show_default=False,
        ),
    ] = None,
    do_not_disturb: Annotated[
        bool | None, typer.Option(help="Answer calls as busy, except those of callers that a rule allows.")
    ] = None,
    unlisted: Annotated[
        bool | None,
        typer.Option(help="No user finds the user by a search; calls and messages reach the user as before."),
    ] = None,
    topology: TopologyFile = HERE,
) -> None:
    """Set rules of a user's calls; what is not named stays. They are in force within a second.

    TARGET is a user, an alias, a number, or a user of a partner. 'none' removes the rule, and 'never' keeps a default of the
    topology away. A call is forwarded with the rights of the user. A call to a number that the user may not call is refused.
    """
    asked = {
        "always": always,
        "busy": busy,
        "no_answer": no_answer,
        "away": away,
        "ring_s": ring,
        "also": also or None,
        "delegates": delegate or None,
        "do_not_disturb": do_not_disturb,
        "unlisted": unlisted,
    }
    if all(value is None for value in asked.values()):
        raise typer.BadParameter("name a rule, such as --no-answer bob; to see the rules: sipmesh user rules show USER")
    _change(topology, user, asked)


@app.command()
def caller(
    user: Address,
    who: Annotated[
        str,
        typer.Argument(
            metavar="CALLER",
            help="A user of yours or of a partner, a number, or all users of a domain (@example.com). 'anonymous' means callers "
            "who withhold their name, and '*' all callers.",
        ),
    ],
    rule: Annotated[
        str,
        typer.Argument(
            metavar="RULE",
            help="block: calls are declined. allow: calls ring, also while the user does not want to be disturbed. none: remove "
            "the rule.",
        ),
    ],
    *,
    topology: TopologyFile = HERE,
) -> None:
    """Block or allow a caller. The nearest rule counts: for the address or number, for its domain, and for all."""
    if rule not in {*map(str, CallerRule), "none"}:
        raise typer.BadParameter(f"{rule!r} is no rule; write allow, block or none", param_hint="RULE")
    _change(topology, user, {"callers": {who: rule}})


@app.command()
def clear(user: Address, *, topology: TopologyFile = HERE) -> None:
    """Remove all rules of a user's calls."""
    place = Place(topology)
    with place.accounts() as accounts:
        aor = accounts.clear_call_rules(user)
    tell_users_changed(place)
    say(f"{aor} has no rules any more.", style=GOOD)


@app.command("show")
def show_rules(
    user: Annotated[str, typer.Argument(metavar="[USER]", help="Only the rules of this user.")] = "",
    *,
    topology: TopologyFile = HERE,
    as_json: AsJson = False,
) -> None:
    """Show the rules of all users, or of one user."""
    place = Place(topology)
    loaded = place.in_force()
    with place.users() as users:
        found = [users.get(full_address(user, loaded.topology))] if user else users.list()
    rows = [CallRulesReport(one.aor.removeprefix("sip:"), one.calls.as_json()) for one in found]
    rows = [row for row in rows if row.rules or user]
    if as_json:
        say_json(rows)
        return
    made = table("", "user", "rule", "value")
    for row in rows:
        for name, value in in_words(row.rules).items():
            made.add_row(cell(row.user), cell(name), cell(value))
    if made.row_count:
        show(made)
    else:
        say("No rules: calls ring at all phones of a user for as long as the caller waits.", style="dim")


def _change(topology: Any, user: str, asked: Mapping[str, object]) -> None:
    place = Place(topology)
    with place.accounts() as accounts:
        aor, rules = accounts.change_call_rules(user, asked)
    tell_users_changed(place)
    found = [f"{name} {value}" for name, value in in_words(rules.as_json()).items()]
    say(f"{aor}: {'; '.join(found) or 'no rules'}.", style=GOOD)
