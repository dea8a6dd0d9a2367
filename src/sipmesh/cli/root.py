"""`sipmesh ca root`: another root for the whole network, step by step and under traffic; and a root that is kept elsewhere."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import typer

from sipmesh.cli.output import GOOD, WARN, cell, say, say_json, show, table
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile
from sipmesh.cli.publish import management_socket
from sipmesh.errors import OperatorError

if TYPE_CHECKING:
    from pathlib import Path

    from sipmesh.pki.authority import EnterpriseCa

app = typer.Typer(
    help="Another root for the network: prepare, publish, activate, switch, publish, retire.", no_args_is_help=True
)


@app.command()
def status(*, topology: TopologyFile = HERE, as_json: AsJson = False) -> None:
    """Show every generation of the CA, and the step that comes next."""
    generations = Place(topology).generations()
    facts = [
        {
            "generation": number,
            "root": generations.open(number).root.subject.rfc4514_string(),
            "ends": generations.open(number).root.not_valid_after_utc.isoformat(),
            "state": _state(number, generations.number, generations.old),
        }
        for number in generations.numbers
    ]
    following = _following(Place(topology))
    if as_json:
        say_json({"generations": facts, "next": following, "crossed": generations.is_crossed})
        return
    made = table("", "generation", "root", "ends", "state")
    for one in facts:
        made.add_row(*map(cell, (one["generation"], one["root"], one["ends"], one["state"])))
    show(made)
    say(following)


def _state(number: int, current: int, old: list[int]) -> str:
    if number == current:
        return "issues"
    if number > current:
        return "prepared"
    return "trusted, issues nothing" if number in old else "retired"


def _following(place: Place) -> str:
    """What to do next."""
    generations = place.generations()
    if generations.next is not None:
        return "Publish the draft that names the new root; then, once all have it in force: sipmesh ca root activate"
    if generations.is_crossed:
        return "Give the new root to phones and partners; then: sipmesh ca root switch"
    if generations.old:
        return "Let go of the old root: sipmesh ca root retire"
    return "Nothing is under way."


@app.command()
def prepare(*, topology: TopologyFile = HERE) -> None:
    """Make another root with an issuing CA under it, which the present root vouches for as well; the draft names both.

    Nothing is issued by it yet. What comes next is said at the end, and by `ca root status`.
    """
    from sipmesh.topology.edit import add_root, edit

    place = Place(topology)
    made = place.generations().prepare(datetime.now(UTC))
    anchor, crls = _names(place, made)
    edit(place.file, lambda text: add_root(text, anchor, crls))
    say(f"{made.root.subject.rfc4514_string()} is prepared, in {made.folder}.", style=GOOD)
    say(f"The draft {place.file} trusts it beside the present root. Next:")
    say('  sipmesh topology publish -m "a new root"', "  sipmesh ca root activate")


@app.command()
def activate(*, topology: TopologyFile = HERE) -> None:
    """Have the new CA issue, once every server trusts its root: all servers then renew their certificates by themselves."""
    told = _ask(Place(topology), "activate")
    say(f"Generation {told['generation']} issues from now on; servers renew by themselves: sipmesh status", style=GOOD)
    say("Its certificates lead to the old root as well. Give the new one to phones and partners:")
    say(f"  {Place(topology).ca().folder / 'root.pem'}", "Then: sipmesh ca root switch")


@app.command()
def switch(*, topology: TopologyFile = HERE) -> None:
    """Have servers lead to the new root alone; who knows only the old one refuses them from then on."""
    told = _ask(Place(topology), "switch")
    say(f"Servers lead to {told['root']} alone from now on. Next: sipmesh ca root retire", style=GOOD)


@app.command()
def retire(*, topology: TopologyFile = HERE) -> None:
    """Trust the old root no more: the first time the draft lets go of it, and once that is published, so does the CA."""
    from sipmesh.topology.edit import edit, remove_root

    place = Place(topology)
    generations = place.generations()
    if generations.next is not None or generations.is_crossed or not generations.old:
        raise OperatorError(f"there is no root to retire now. {_following(place)}")
    named = place.load().topology.authority
    for number in generations.old:
        anchor, crls = _names(place, generations.open(number))
        if anchor in named.anchors:
            edit(place.file, lambda text, a=anchor, c=crls: remove_root(text, a, c, place.file))  # type: ignore[misc]
            say(f"The draft {place.file} names {anchor} no more. Next:", style=WARN)
            say('  sipmesh topology publish -m "the old root goes"', "  sipmesh ca root retire")
            return
    told = _ask(place, "retire")
    say(f"Retired: generation {', '.join(map(str, told['retired']))}.", style=GOOD)


def _names(place: Place, ca: EnterpriseCa) -> tuple[str, tuple[str, ...]]:
    """The files of a generation, as the topology names them."""

    def name(file: Path) -> str:
        return os.fspath(file.relative_to(place.folder))

    return name(ca.folder / "root.pem"), (name(ca.folder / "root.crl"), name(ca.folder / "issuing.crl"))


def _ask(place: Place, step: str) -> Any:
    from sipmesh.server.control import ask

    return asyncio.run(ask(management_socket(place), "root", timeout_s=30.0, step=step))
