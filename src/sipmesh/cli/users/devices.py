"""`sipmesh user devices`: the devices of a user that have a password or a certificate of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sipmesh.cli.ca.devices import revoke_devices_of
from sipmesh.cli.control_client import ask_all, tell_users_changed
from sipmesh.cli.output import GOOD, cell, say, say_json, second, show, table
from sipmesh.cli.place import HERE, AsJson, Place, TopologyFile
from sipmesh.cli.users.accounts import Address
from sipmesh.cli.users.reports import DeviceLine
from sipmesh.topology.user_address import full_address

if TYPE_CHECKING:
    from collections.abc import Sequence


def devices(
    user: Address,
    *,
    revoke: Annotated[
        str,
        typer.Option(
            metavar="DEVICE",
            help="Revoke the password and the certificates of this device. Its links are closed at once.",
        ),
    ] = "",
    topology: TopologyFile = HERE,
    as_json: AsJson = False,
) -> None:
    """List the devices of a user that have a password or a certificate of their own, with their last login.

    They took an invitation, or were given a password by `sipmesh user password --device`. The last login is that at a server of
    this machine since its start.

    The user's own password, and the passwords of other devices, stay valid after --revoke.
    """
    from sipmesh.server.admin.last_logins import last_logins
    from sipmesh.server.admin.replies import USER

    place = Place(topology)
    if revoke:
        with place.devices() as accounts:
            aor = accounts.revoke_device(user, revoke)
        revoke_devices_of(place, aor, revoke)
        tell_users_changed(place)
        say(f"The device {revoke} of {aor} can no longer log in.", style=GOOD)
        return
    with place.devices() as accounts:
        known = accounts.devices(user)
    aor = full_address(user, place.in_force().topology)
    seen = last_logins(answer.reply for answer in ask_all(place, USER, user=f"sip:{aor}") if answer.reply is not None)
    found = [DeviceLine.of(one, seen.get(one.name)) for one in known]
    if as_json:
        say_json(found)
    elif found:
        _show(found)
    else:
        say(f"No device has taken an invitation. To invite one: sipmesh user invite {user}", style="dim")


def _show(found: Sequence[DeviceLine]) -> None:
    made = table("", "device", "client", "logs in by", "since", "from", "invitation", "last login", "last from")
    for one in found:
        proof = "certificate" if one.certificate else "password"
        login = second(one.last_login) if one.last_login is not None else ""
        since = f"{one.created:%Y-%m-%d %H:%M}Z"
        made.add_row(
            *map(cell, (one.name, one.client, proof, since, one.address, one.invitation, login, one.last_remote))
        )
    show(made)
