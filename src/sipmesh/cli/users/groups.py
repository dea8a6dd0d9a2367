"""`sipmesh group`: addresses whose calls ring at several users."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sipmesh.cli.control_client import tell_users_changed
from sipmesh.cli.output import GOOD, cell, plural, say, say_json, show, table
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile
from sipmesh.routing.call_rules.call_rules import GroupOrder
from sipmesh.routing.call_rules.rule_words import in_words
from sipmesh.topology.user_address import full_address

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


app = typer.Typer(help="Groups: addresses whose calls ring at several users.", no_args_is_help=True)

GroupName = Annotated[
    str,
    typer.Argument(metavar="GROUP", help="The group, such as sales@example.com; sales is enough in your one domain."),
]
Order = Annotated[
    GroupOrder | None,
    typer.Option(
        help="all: members ring at the same time. in-turn: one after the other, from the first. longest-idle: from the one whom "
        "the group has not called for longest.",
        show_default=False,
    ),
]
Ring = Annotated[
    int | None,
    typer.Option(help="Seconds for which the group rings in all, 5 to 180; 60 by default.", show_default=False),
]
MemberRing = Annotated[
    int | None,
    typer.Option(
        "--member-ring", help="Seconds for which each member rings in turn; 15 by default.", show_default=False
    ),
]


def _users(flag: str, says: str) -> Any:
    return typer.Option(flag, metavar="USER", help=says, show_default=False)


def _target(flag: str, says: str) -> Any:
    return typer.Option(flag, metavar="TARGET", help=says, show_default=False)


Overflow = Annotated[
    str | None,
    _target(
        "--overflow", "Where calls go when no member answers, or when all members are busy or away; 'none' for nowhere."
    ),
]


@dataclass(frozen=True, slots=True)
class GroupReport:
    """One group as ``sipmesh group list --json`` prints it."""

    group: str
    rules: Mapping[str, object]


@app.command()
def add(
    group: GroupName,
    *,
    member: Annotated[list[str] | None, _users("--member", "A member; repeat it for more.")] = None,
    order: Order = None,
    ring: Ring = None,
    member_ring: MemberRing = None,
    overflow: Overflow = None,
    pool: Annotated[str, typer.Option(metavar="POOL", help="The home pool of the group.")] = "",
    topology: TopologyFile = HERE,
) -> None:
    """Add a group. No device logs in as a group. To give it a number: sipmesh user alias add GROUP NUMBER."""
    place = Place(topology)
    asked = {"order": order and str(order), "add": member, **_times(ring, member_ring), "overflow": overflow}
    with place.accounts() as accounts:
        aor, rules = accounts.add_group(group, _given(asked), pool)
    tell_users_changed(place)
    _say(aor, rules.as_json())


@app.command("set")
def set_group(
    group: GroupName,
    *,
    add: Annotated[list[str] | None, _users("--add", "A user who becomes a member; repeat it for more.")] = None,
    leave: Annotated[list[str] | None, _users("--leave", "A member who leaves; repeat it for more.")] = None,
    order: Order = None,
    ring: Ring = None,
    member_ring: MemberRing = None,
    overflow: Overflow = None,
    topology: TopologyFile = HERE,
) -> None:
    """Change a group; what is not named stays. To forward all its calls, or block callers: sipmesh user rules --help."""
    asked = {
        "order": order and str(order),
        "add": add,
        "leave": leave,
        **_times(ring, member_ring),
        "overflow": overflow,
    }
    given = _given(asked)
    if not given:
        raise typer.BadParameter("name a change, such as --add bob; to see the group: sipmesh group show GROUP")
    place = Place(topology)
    with place.accounts() as accounts:
        aor, rules = accounts.change_group(group, given)
    tell_users_changed(place)
    _say(aor, rules.as_json())


@app.command()
def remove(group: GroupName, *, topology: TopologyFile = HERE) -> None:
    """Remove a group with its numbers. Its members stay."""
    place = Place(topology)
    with place.accounts() as accounts:
        aor = accounts.remove_group(group)
    tell_users_changed(place)
    say(f"{aor} is removed.", style=GOOD)


@app.command("list")
def list_groups(*, topology: TopologyFile = HERE, as_json: AsJson = False) -> None:
    """List the groups."""
    rows = _groups(Place(topology))
    if as_json:
        say_json(rows)
        return
    made = table("", "group", "order", "members")
    for row in rows:
        made.add_row(cell(row.group), cell(str(row.rules["order"])), cell(str(len(_members(row)))))
    if rows:
        show(made)
    else:
        say("There are no groups. To add one: sipmesh group add sales --member alice --member bob", style="dim")


@app.command("show")
def show_group(group: GroupName, *, topology: TopologyFile = HERE, as_json: AsJson = False) -> None:
    """Show one group: its members, in their order, and its rules."""
    place = Place(topology)
    rows = _groups(place, full_address(group, place.in_force().topology))
    if as_json:
        say_json(rows[0])
        return
    made = table("", "rule", "value")
    for name, value in in_words(rows[0].rules).items():
        made.add_row(cell(name), cell(value))
    show(made)


def _groups(place: Place, only: str = "") -> Sequence[GroupReport]:
    with place.users() as users:
        found = [users.group(only)] if only else users.list()
    return [GroupReport(one.aor.removeprefix("sip:"), one.calls.as_json()) for one in found if one.calls.is_group]


def _members(row: GroupReport) -> Sequence[object]:
    members = row.rules.get("members", ())
    return members if isinstance(members, (list, tuple)) else ()


def _times(ring: int | None, member_ring: int | None) -> dict[str, object]:
    return {"ring_s": ring, "member_s": member_ring}


def _given(asked: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in asked.items() if value}


def _say(group: str, rules: Mapping[str, object]) -> None:
    count = len(members) if isinstance(members := rules.get("members"), list) else 0
    others = {name: value for name, value in rules.items() if name != "members"}
    told = "; ".join(f"{name} {value}" for name, value in in_words(others).items())
    say(f"{group} has {plural(count, 'member')}: {told}.", style=GOOD)
