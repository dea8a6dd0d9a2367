"""The home pools of users, as one server sees them: this pool, another pool of ours, or none."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final, Protocol

from sipmesh.routing.authentication.digest_sets import name_hash
from sipmesh.routing.events.watcher_rules import rule_for
from sipmesh.routing.identity.alias import alias_keys
from sipmesh.routing.identity.trunk_names import caller_of
from sipmesh.routing.numbers.e164 import is_global
from sipmesh.server.in_force.call_defaults import call_defaults, in_effect
from sipmesh.sip.tel import TEL
from sipmesh.topology.document.user_search import is_in
from sipmesh.topology.document.watching import Watching
from sipmesh.topology.home_pools import home_by_default
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from sipmesh.routing.authentication.digest_sets import Kind
    from sipmesh.routing.authentication.verifier import Verifier
    from sipmesh.routing.call_rules.call_rules import CallRules
    from sipmesh.routing.events.watcher_rules import WatcherRules
    from sipmesh.sip.fields import NameAddr
    from sipmesh.topology.view import ServerView

MOST_MATCHES: Final = 5_000
"""Names that are looked at in one search: whether their users may be found."""


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

    def call_rules(self, aor: str) -> CallRules | None:
        """Return the rules of the calls of *aor*; None if there are none.

        Of a group of another pool all rules are known, of a user the delegates, and whether a search finds the user.
        """

    def bosses(self, delegate: str) -> frozenset[str]:
        """Return the users who have named *delegate*, of all pools."""

    def matching(self, word: str, domains: Iterable[str]) -> Iterator[str]:
        """Return the users whose name before the ``@``, or an alias of theirs, contains *word*, which is in lower case."""

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
        self._call_defaults = call_defaults(view.loaded.topology)
        self._here, self._default = view.pool.name, home_by_default(view.loaded.topology)

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

    def found_by(self, searcher: str, word: str) -> Iterator[str]:
        """Return the users and groups whose name or alias contains *word*, and whom *searcher* may find.

        The topology says who may be found, and no one finds unlisted users. A user may come more than once.
        """
        scope = self._view.loaded.topology.user_search
        for aor in islice(self._users.matching(word, self._view.sip_domains), MOST_MATCHES):
            rules = self._users.call_rules(aor)
            if is_in(scope, searcher, aor, self.named) and (rules is None or not rules.unlisted):
                yield aor

    def number_of(self, aor: str, shown: NameAddr) -> str:
        """Return the global number of the user *aor*: the number in *shown*, or else the first; "" if the user has none."""
        numbers = [alias.removeprefix(TEL) for alias in self.aliases(aor) if alias.startswith(f"{TEL}+")]
        whole = [number for number in numbers if is_global(number)]
        if len(whole) > 1 and (named := caller_of(shown)) in whole:
            return named
        return whole[0] if whole else ""

    def watcher_rule(self, aor: str, watcher: str) -> Watching | None:
        """Return what *aor* lets *watcher* see of its presence; None if *aor* has no rule for *watcher*."""
        return rule_for(self._users.watcher_rules(aor), watcher)

    def call_rules(self, aor: str) -> CallRules | None:
        """Return the rules of the calls of *aor*; None if there are none."""
        rules = self._users.call_rules(aor)
        if rules is None and not self._call_defaults:
            return None
        return in_effect(rules, self._call_defaults.get(self.named(aor) or ""), aor)

    def group_rules(self, aor: str) -> CallRules | None:
        """Return the rules of the group *aor*, of any pool; None if it is no group."""
        rules = self._users.call_rules(aor)
        return rules if rules is not None and rules.is_group else None

    def is_delegate(self, user: str, boss: str) -> bool:
        """Return whether *user* may call for *boss*."""
        rules = self._users.call_rules(boss)
        return rules is not None and user in rules.delegates and self.of(user) is not None

    def bosses(self, user: str) -> list[str]:
        """Return the users for whom *user* may call, in the order of their addresses."""
        return sorted(boss for boss in self._users.bosses(user) if self.is_delegate(user, boss))

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
