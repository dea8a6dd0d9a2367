"""The home pools of users, as one server sees them: this pool, another pool of ours, or none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.routing.events.watcher_rules import rule_for
from sipmesh.routing.identity.alias import alias_keys
from sipmesh.topology.home_pools import home_by_default
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sipmesh.routing.authentication.verifier import Verifier
    from sipmesh.server.proxy.login.user_stores import KnownUsers
    from sipmesh.topology.document.watching import Watching
    from sipmesh.topology.view import ServerView


class HomePools:
    """The known users, and the topology in force that names the default home pool."""

    def __init__(self, users: KnownUsers, view: ServerView) -> None:
        self._users = users
        self.apply_view(view)

    def __repr__(self) -> str:
        return f"<HomePools of {self._users!r}, here {self._here}>"

    def apply_view(self, view: ServerView) -> None:
        """Use *view* from now on."""
        self._here, self._default = view.pool.name, home_by_default(view.loaded.topology)
        self._is_front_end = view.role is Role.FRONT_END

    @property
    def has_users(self) -> bool:
        """Whether this server knows which users there are: front ends do."""
        return self._is_front_end

    @property
    def ready(self) -> bool:
        """Whether the users are known."""
        return self._users.ready

    def knows(self, aor: str) -> bool:
        """Return whether the users are known, and what is known of *aor* is not out of date: only then can a login be judged."""
        return self._users.ready and not self._users.is_withheld(aor)

    def of(self, aor: str) -> str | None:
        """Return the home pool of *aor*, which may be missing in the topology; None for an unknown user."""
        home = self._users.home(aor)
        return self._default if home == "" else home

    def known_home(self, aor: str) -> str:
        """Return the home pool of *aor*, "" if it is unknown, or if what is known may be out of date."""
        return (self.of(aor) or "") if self.knows(aor) else ""

    def owner_of(self, name: str) -> str:
        """Return the user whose name *name* is, "" if it is nobody's: an equal address, an alias, or one in another case.

        *name* is ``sip:user@host``. It may be of any domain: a telephone number is the same in all of them.
        """
        if self._users.home(name) is not None:
            return name
        for key in alias_keys(name):
            owner = key if self._users.home(key) is not None else self._users.owner(key)
            if owner:
                return owner
        return ""

    def aliases(self, aor: str) -> Sequence[str]:
        """Return the aliases of *aor*."""
        return self._users.aliases(aor)

    def watcher_rule(self, aor: str, watcher: str) -> Watching | None:
        """Return what *aor* lets *watcher* see of its presence; None if *aor* has no rule for *watcher*."""
        return rule_for(self._users.watcher_rules(aor), watcher)

    def elsewhere(self, aor: str) -> str:
        """Return the home pool of *aor* if it is another pool than ours; "" for our own and for unknown users."""
        home = self.of(aor)
        return home if home is not None and home != self._here else ""

    def verifier(self, aor: str) -> Verifier | None:
        """Return the password verifier of *aor*; None for an unknown user, and for a user of another pool."""
        return self._users.verifier(aor) if self.of(aor) == self._here else None
