"""The users that one server knows: it reads changes, and closes links whose login is no longer valid."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sipmesh.errors import OperatorError
from sipmesh.server.process.off_loop import off_loop
from sipmesh.storage.users.replicated_users import ReplicatedUsers

if TYPE_CHECKING:
    from sipmesh.server.in_force.home_pools import KnownUsers
    from sipmesh.server.log import Log
    from sipmesh.server.proxy.events.event_server import EventServer
    from sipmesh.server.proxy.login.digest_auth import DigestAuth
    from sipmesh.server.proxy.outside import Outside
    from sipmesh.storage.users.user_document import UserDocument


class UserUpdates:
    """Applies changes of *users*, from their database or from a signed document; *events* follow the users who have changed."""

    def __init__(
        self,
        users: KnownUsers,
        logins: DigestAuth,
        events: EventServer,
        outside: Outside,
        log: Log,
    ) -> None:
        self._users, self._logins, self._events = users, logins, events
        self._outside, self._log = outside, log

    @property
    def number(self) -> int:
        """The number of the users that management has sent, 0 if it has sent none."""
        return self._users.number if isinstance(self._users, ReplicatedUsers) else 0

    def whole(self) -> UserDocument | None:
        """Return all users that management has sent, None if it has sent none."""
        return self._users.whole() if isinstance(self._users, ReplicatedUsers) else None

    def accept_document(self, document: UserDocument) -> int:
        """Apply a users' document from management; returns how many links that closed.

        Raises `OperatorError`, and changes nothing, for a document that is not for us or does not follow our version.
        """
        if not isinstance(self._users, ReplicatedUsers):
            return 0
        return self._applied(document, self._users.apply(document))

    async def accept_large_document(self, document: UserDocument) -> int:
        """Apply a document as `accept_document` does; a thread computes what changes."""
        if not isinstance(self._users, ReplicatedUsers):
            return 0
        return self._applied(document, self._users.commit(await off_loop(self._users.plan, document)))

    def _applied(self, document: UserDocument, changed: frozenset[str]) -> int:
        self._outside.follower.users_changed(document)
        return self._close(changed)

    async def refresh(self) -> int:
        """Read changes of users, and close the links whose login is no longer valid; returns how many links that closed.

        If the database cannot be read, the known users stay in force, and the log says so.
        """
        try:
            changed = await asyncio.to_thread(self._users.refresh)
        except OperatorError as wrong:
            self._log.warning("user database cannot be read: the known users stay in force", why=str(wrong))
            return 0
        return self._close(changed)

    def _close(self, changed: frozenset[str]) -> int:
        if not changed:
            return 0
        self._events.users_changed(changed)
        return len(self._logins.close_changed(changed))
