"""`sipmesh user disable` and `enable`: a user who cannot log in for some time, and keeps account, aliases and password."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

from sipmesh.cli.control_client import tell_users_changed
from sipmesh.cli.output import GOOD, say
from sipmesh.cli.place import HERE, Place, TopologyFile
from sipmesh.cli.users.accounts import Address


def disable(user: Address, *, topology: TopologyFile = HERE) -> None:
    """Keep a user from logging in. The user's live links are closed at once. Account, aliases and password are kept.

    Others see the user as away: calls get 480, and messages are stored. The certificates of the user's devices are revoked: the
    devices need new certificates later.
    """
    from sipmesh.cli.ca.devices import end_devices_of, revoke_devices_of

    place = Place(topology)
    with place.accounts(partial(end_devices_of, place)) as accounts:
        aor = accounts.disable(user, datetime.now(UTC))
    tell_users_changed(place)
    revoke_devices_of(place, aor, ended=accounts.ended)
    say(f"{aor} is disabled. To enable the user again: sipmesh user enable {aor}", style=GOOD)


def enable(user: Address, *, topology: TopologyFile = HERE) -> None:
    """Let a disabled user log in again, with the password from before."""
    place = Place(topology)
    with place.accounts() as accounts:
        aor = accounts.enable(user)
    tell_users_changed(place)
    say(f"{aor} may log in again.", style=GOOD)
