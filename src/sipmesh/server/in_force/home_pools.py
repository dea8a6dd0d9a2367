"""The home pools of users, as one server sees them: this pool, another pool of ours, or none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from sipmesh.routing.authentication.digest_sets import name_hash
from sipmesh.routing.events.watcher_rules import rule_for
from sipmesh.routing.identity.alias import alias_keys
from sipmesh.routing.identity.trunk_names import caller_of
from sipmesh.routing.numbers.e164 import is_global
from sipmesh.sip.tel import TEL
from sipmesh.topology.document.watching import Watching
from sipmesh.topology.home_pools import home_by_default
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sipmesh.routing.authentication.digest_sets import Kind
    from sipmesh.routing.authentication.verifier import Verifier
    from sipmesh.routing.events.watcher_rules import WatcherRules
    from sipmesh.sip.fields import NameAddr
    from sipmesh.topology.view import ServerView


class KnownUsers(Protocol):
    """What a running server needs to know of the users; see `storage.users.Users` for each method."""

    def verifier(self, aor: str) -> Verifier | None:
        """Return the password verifier of *aor*; None for an unknown user."""

    def kind(self, aor: str) -> Kind | None:
        """Return the home pool and the algorithms of *aor*, as a challenge shows them; None for an unknown user."""

    def alike(self, hashed: bytes) -> Kind:
        """Return the kind of some user, chosen by the keyed hash of an unknown name (`DigestSets`)."""

    @property
    def names_key(self) -> str:
        """The key of the organisation for that hash, in hexadecimal; "" if there is none."""

    def is_withheld(self, aor: str) -> bool:
        """Return whether *aor* may not log in yet: what is known of this user may be out of date."""

    def home(self, aor: str) -> str | None:
        """Return the home pool of *aor*, "" if none is set; None for an unknown user."""

    def unknown(self, aors: frozenset[str]) -> frozenset[str]:
        """Return those of *aors* who are no users, without those of whom it is not certain; quick also for 100,000 of them."""

    def owner(self, alias: str) -> str:
        """Return the user of *alias*, a key (`sipmesh.routing.identity.alias`); "" if no user has it."""

    def aliases(self, aor: str) -> Sequence[str]:
        """Return the aliases of *aor*."""

    def watcher_rules(self, aor: str) -> WatcherRules:
        """Return the rules about who may see the presence of *aor*."""

    @property
    def ready(self) -> bool:
        """Whether the users are known; before that, an unknown address may belong to a user."""

    def refresh(self) -> frozenset[str]:
        """Read what others have changed; returns the addresses of record that have changed."""

    def close(self) -> None:
        """Close the store."""


class HomePools:
    """The known *users*, and the topology *view* that names the default home pool.

    *taken* are the pools that this server has taken over: it serves their users too.
    """

    def __init__(self, users: KnownUsers, view: ServerView, taken: frozenset[str] = frozenset()) -> None:
        self._users, self._view, self.taken = users, view, taken
        self._here, self._default = view.pool.name, home_by_default(view.loaded.topology)

    def __repr__(self) -> str:
        return f"<HomePools of {self._users!r}, here {self._here}>"

    @property
    def has_users(self) -> bool:
        """Whether this server knows which users there are: front ends do."""
        return self._view.role is Role.FRONT_END

    @property
    def ready(self) -> bool:
        """Whether the users are known."""
        return self._users.ready

    def knows(self, aor: str) -> bool:
        """Return whether the users are known, and what is known of *aor* is not out of date: only then can a login be judged."""
        return self._users.ready and not self._users.is_withheld(aor)

    def unknown(self, aors: frozenset[str]) -> frozenset[str]:
        """Return those of *aors* who are certainly no users: for many addresses, much quicker than `knows` and `of` of each."""
        return self._users.unknown(aors)

    def taking_over(self, pools: frozenset[str]) -> HomePools:
        """Return the same where this server serves the users of *pools* too, and of no others: their servers do not answer."""
        return HomePools(self._users, self._view, pools)

    def of(self, aor: str) -> str | None:
        """Return the pool that serves *aor*: the home pool, or ours in its place; None for an unknown user.

        A home pool may be missing in the topology.
        """
        home = self.named(aor)
        return self._here if home in self.taken else home

    def named(self, aor: str) -> str | None:
        """Return the home pool of *aor*, which serves the user unless its servers are gone; None for an unknown user."""
        home = self._users.home(aor)
        return self._default if home == "" else home

    def known_home(self, aor: str) -> str:
        """Return the home pool of *aor*, "" if it is unknown, or if what is known may be out of date."""
        return (self.named(aor) or "") if self.knows(aor) else ""

    def is_guest(self, aor: str) -> bool:
        """Return whether *aor* is a user of another pool, which ours has taken over."""
        return self.named(aor) in self.taken

    def owner_of(self, name: str) -> str:
        """Return the user whose name *name* is, "" if no user has it: an equal address, an alias, or an address in another case.

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

    def number_of(self, aor: str, shown: NameAddr) -> str:
        """Return the global number of the user *aor*: the number in *shown*, or else the first; "" if the user has none."""
        numbers = [alias.removeprefix(TEL) for alias in self.aliases(aor) if alias.startswith(f"{TEL}+")]
        whole = [number for number in numbers if is_global(number)]
        named = caller_of(shown)
        return named if named in whole else next(iter(whole), "")

    def watcher_rule(self, aor: str, watcher: str) -> Watching | None:
        """Return what *aor* lets *watcher* see of its presence; None if *aor* has no rule for *watcher*."""
        return rule_for(self._users.watcher_rules(aor), watcher)

    def blocks_somebody(self, aor: str) -> bool:
        """Return whether a rule of *aor* hides its presence from a watcher."""
        return any(rule is not Watching.ALLOW for rule in self._users.watcher_rules(aor).values())

    def elsewhere(self, aor: str) -> str:
        """Return the home pool of *aor* if it is another pool than ours; "" for our own and for unknown users."""
        home = self.of(aor)
        return home if home is not None and home != self._here else ""

    def may_serve(self, pool: str, aor: str) -> bool:
        """Return whether *pool* is the home pool of *aor*, or the backup pool of it."""
        home = self.named(aor)
        return home is not None and pool in {home, self._view.backup_of(home)}

    def verifier(self, aor: str) -> Verifier | None:
        """Return the password verifier of *aor*, a user whom our pool serves; None for all others."""
        return self._users.verifier(aor) if self.of(aor) == self._here else None

    def challenged_as(self, aor: str, hash_of: Callable[[str], bytes]) -> Kind:
        """Return the pool that challenges *aor*, and the algorithms that it offers: for an unknown name, those of some user.

        Every front end of the organisation gives the same, and with the same work for each name. *hash_of* has the key of the
        pool, for an organisation whose users come from a release without a key of the organisation.
        """
        key = self._users.names_key
        alike = self._users.alike(name_hash(key, aor) if key else hash_of(aor))
        home, algorithms = self._users.kind(aor) or alike
        home = home or self._default
        return self._here if home in self.taken else home, algorithms

    def account_of(self, aor: str) -> int:
        """Return when the account of *aor* was created (`Verifier.created`); 0 if it is not known here."""
        verifier = self._users.verifier(aor)
        return verifier.created if verifier is not None else 0
