"""Where users are at home, as one server sees it: here, in another pool of ours, or nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.topology.home_pools import home_by_default

if TYPE_CHECKING:
    from sipmesh.routing.authentication.verifier import Verifier
    from sipmesh.server.proxy.login.user_stores import KnownUsers
    from sipmesh.topology.view import ServerView


class HomePools:
    """What is known of users, and the topology in force that says what their homes are."""

    def __init__(self, users: KnownUsers, view: ServerView) -> None:
        self._users = users
        self.apply_view(view)

    def __repr__(self) -> str:
        return f"<HomePools of {self._users!r}, here {self._here}>"

    def apply_view(self, view: ServerView) -> None:
        """Go by *view* from now on."""
        self._here, self._default = view.pool.name, home_by_default(view.loaded.topology)

    @property
    def ready(self) -> bool:
        """Whether it is known who the users are."""
        return self._users.ready

    def of(self, aor: str) -> str | None:
        """The pool where *aor* is at home, which the topology may have lost meanwhile; None for an unknown user."""
        home = self._users.home(aor)
        return self._default if home == "" else home

    def elsewhere(self, aor: str) -> str:
        """The pool where *aor* is at home if that is another than ours, "" for a user of ours and an unknown one."""
        home = self.of(aor)
        return home if home is not None and home != self._here else ""

    def verifier(self, aor: str) -> Verifier | None:
        """What proves *aor* here: nothing does for a user who is at home elsewhere."""
        return self._users.verifier(aor) if self.of(aor) == self._here else None
