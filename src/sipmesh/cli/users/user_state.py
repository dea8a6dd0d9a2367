"""`sipmesh user disable` and `enable`: a user who cannot log in for some time, and keeps account, aliases and password."""

from __future__ import annotations

from datetime import UTC, datetime

from sipmesh.cli.control_client import tell_users_changed
from sipmesh.cli.output import GOOD, say
from sipmesh.cli.place import HERE, Place, TopologyFile
from sipmesh.cli.topology.remote_servers import note
from sipmesh.cli.users.accounts import Address, full_address
from sipmesh.storage.audit_act import AuditAct


def disable(user: Address, *, topology: TopologyFile = HERE) -> None:
    """Keep a user from logging in. The user's live links are closed at once. Account, aliases and password are kept.

    Others see the user as away: calls get 480, and messages are stored.
    """
    place = Place(topology)
    aor = full_address(user, place.in_force())
    with place.users() as users:
        users.disable(aor, datetime.now(UTC))
    note(place, AuditAct.USER, disabled=aor)
    tell_users_changed(place)
    say(f"{aor} is disabled. To enable the user again: sipmesh user enable {aor}", style=GOOD)


def enable(user: Address, *, topology: TopologyFile = HERE) -> None:
    """Let a disabled user log in again, with the password from before."""
    place = Place(topology)
    aor = full_address(user, place.in_force())
    with place.users() as users:
        users.enable(aor)
    note(place, AuditAct.USER, enabled=aor)
    tell_users_changed(place)
    say(f"{aor} may log in again.", style=GOOD)
