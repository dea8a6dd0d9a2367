"""`sipmesh partner change`, `remove` and `unblock`: changes of a partner that is in the topology."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from sipmesh.cli.output import BAD, GOOD, say
from sipmesh.cli.place import HERE, Place, TopologyFile
from sipmesh.cli.topology.build import DryRun
from sipmesh.cli.topology.change import Change
from sipmesh.cli.topology.publish import WAIT_S, Force, Wait
from sipmesh.cli.topology.remote_servers import must_lead
from sipmesh.regular_file import read_regular

if TYPE_CHECKING:
    from sipmesh.topology.document.changes import Edit

Domain = Annotated[str, typer.Argument(metavar="DOMAIN", help="One of the partner's SIP domains.")]


def change(
    domain: Domain,
    changes: Annotated[
        list[str],
        typer.Argument(
            metavar="KEY=VALUE...",
            help="A key with its new value, such as edge=sip.partner.test. KEY+=ITEM adds to a list, KEY-=ITEM takes from it,"
            " KEY= removes the key.",
        ),
    ],
    *,
    dry_run: DryRun = False,
    wait: Wait = WAIT_S,
    topology: TopologyFile = HERE,
) -> None:
    """Change keys of a partner: domains, edge, address, anchors, crls, client_usage, media and others of the document.

    The change is published at once if the draft has no other change.
    """
    from sipmesh.topology.builder.assignments import assign, read_of_partner
    from sipmesh.topology.builder.outline import Outline

    read = read_of_partner(changes)

    def changed(text: str) -> str:
        return assign(text, Outline(text, topology).partner(domain), read)

    _apply(topology, changed, f"{domain.lower()} is changed", wait, dry_run=dry_run)


def remove(
    domain: Domain,
    *,
    force: Force = False,
    dry_run: DryRun = False,
    wait: Wait = WAIT_S,
    topology: TopologyFile = HERE,
) -> None:
    """Remove a partner. It is not blocked: `sipmesh partner block` refuses it with any certificate, and does not wait.

    The change is published at once if the draft has no other change.
    """
    from sipmesh.topology.builder.removal import remove_partner

    why = f"{domain.lower()} is no longer a partner"
    _apply(topology, lambda text: remove_partner(text, domain, topology), why, wait, dry_run=dry_run, force=force)


def unblock(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A blocked domain or edge.")],
    *,
    dry_run: DryRun = False,
    wait: Wait = WAIT_S,
    topology: TopologyFile = HERE,
) -> None:
    """Accept a blocked name again. A partner that was blocked is a partner again, with the entry that it had.

    The change is published at once if the draft has no other change.
    """
    from sipmesh.topology.builder.removal import blocked_names
    from sipmesh.topology.document.changes import unblock

    why = f"{name.lower()} is no longer blocked"
    _apply(topology, lambda text: unblock(text, name, topology), why, wait, dry_run=dry_run)
    if left := blocked_names(read_regular(topology).decode(), topology):
        say(f"Still blocked: {', '.join(left)}. Each name is unblocked by itself: sipmesh partner unblock NAME")


def _apply(
    topology: TopologyFile, edit: Callable[[str], str], why: str, wait: float, *, dry_run: bool, force: bool = False
) -> None:
    """Edit the draft and put it in force; if management refuses to publish it, the draft is as before."""
    place = Place(topology)
    change = Change(place)
    if not dry_run:
        must_lead(place)
    if not dry_run:
        with change.whole():
            _say_edit(made := change.edited(edit))
            say(f"{why}.", style=GOOD)
            change.take_effect(made, why, wait, force=force)
        return
    _say_edit(change.edited(edit, dry_run=True))
    say(f"{topology} is unchanged (--dry-run). The new draft would be valid.")


def _say_edit(made: Edit) -> None:
    for line in made.diff:
        say(line, style={"+": GOOD, "-": BAD}.get(line[:1], ""))
