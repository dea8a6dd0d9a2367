"""The users with which a managed server starts, before management is reached."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.storage.users.replicated_users import ReplicatedUsers

if TYPE_CHECKING:
    from sipmesh.server.in_force.home_pools import KnownUsers
    from sipmesh.server.log import Log
    from sipmesh.server.replication.stored_users import StoredUsers


def load_users(stored: StoredUsers, users: KnownUsers, log: Log) -> None:
    """Put the *stored* documents in force, and withhold the users who may have changed since; the log says what is missing."""
    held = stored.open()
    if not isinstance(users, ReplicatedUsers):
        return
    for document in held.documents:
        users.apply(document)
    if held.possibly_changed:
        users.withhold(held.possibly_changed, held.wanted)
    if held.fault:
        log.error(
            "stored users are incomplete: a new password may be missing, so logins are refused until management sends it",
            file=str(stored.file),
            why=held.fault,
            refused=sorted(held.possibly_changed) if held.possibly_changed is not None else "all users",
        )
