"""`sipmesh user devices`: the devices of a user that have a password of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sipmesh.cli.control_client import tell_users_changed
from sipmesh.cli.output import GOOD, cell, say, say_json, show, table
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile
from sipmesh.cli.users.accounts import Address

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sipmesh.storage.users.device import Device


def devices(
    user: Address,
    *,
    revoke: Annotated[
        str,
        typer.Option(metavar="DEVICE", help="Revoke the password of this device. Its live links are closed at once."),
    ] = "",
    topology: TopologyFile = HERE,
    as_json: AsJson = False,
) -> None:
    """List the devices of a user that took an invitation: when, from which address, and as which client.

    The user's own password, and the passwords of other devices, stay valid after --revoke.
    """
    place = Place(topology)
    if revoke:
        with place.devices() as accounts:
            aor = accounts.revoke_device(user, revoke)
        tell_users_changed(place)
        say(f"The device {revoke} of {aor} can no longer log in.", style=GOOD)
        return
    with place.devices() as accounts:
        found = accounts.devices(user)
    if as_json:
        say_json(found)
    elif found:
        _show(found)
    else:
        say(f"No device has a password of its own. To invite one: sipmesh user invite {user}", style="dim")


def _show(found: Sequence[Device]) -> None:
    made = table("", "device", "client", "since", "from", "invitation")
    for one in found:
        values = (one.name, one.client, f"{one.created:%Y-%m-%d %H:%M}Z", one.address, one.invitation)
        made.add_row(*map(cell, values))
    show(made)
