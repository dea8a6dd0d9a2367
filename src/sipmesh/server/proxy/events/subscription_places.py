"""How many subscriptions each watcher, each user and the server may have: those that have ended count until they are answered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeVar

from sipmesh.routing.events.watcher_rules import watcher_key
from sipmesh.server.quotas.principals import answers_for

if TYPE_CHECKING:
    from sipmesh.server.quotas.usage import Usage

Key = TypeVar("Key")

MOST_OF_WATCHER: Final = 500
"""Subscriptions of one user, or of one partner with all its users, at all processes of this server."""

MOST_OF_USER: Final = 500
"""Subscriptions of others to one user: each change of the user is a NOTIFY to each of them."""

MOST_OF_PAIR: Final = 50
"""Subscriptions of one user, or of one partner, to one user: a watcher cannot take the places of others."""

MOST_OF_ONE: Final = 250
"""Subscriptions of one user of a partner: a user without any right there leaves its colleagues their places."""

MOST_OF_ONE_PAIR: Final = 10
"""Subscriptions of one user of a partner to one user: a phone or two, with the subscriptions that they had before a restart."""

MOST: Final = 50_000
"""Subscriptions at one server; each takes a few KiB."""


class SubscriptionPlaces:
    """Counts the subscriptions of one server; *partner_of* returns the partner of a domain, "" if there is none.

    *use_of* returns the account of a watcher, with the limit if it is a new one. It also has the subscriptions at the
    other processes of this server: each of them is the notifier of other users.

    A subscription has its place until its last NOTIFY is answered, or its time is over (timer F). So a watcher who ends
    subscriptions, and answers no NOTIFY, has the server keep no more than the limits below.
    """

    def __init__(self, partner_of: Callable[[str], str], use_of: Callable[[str, int], Usage]) -> None:
        self._partner_of, self._use_of = partner_of, use_of
        self.most_of_watcher, self.most_of_user, self.most_of_pair = MOST_OF_WATCHER, MOST_OF_USER, MOST_OF_PAIR
        self.most_of_one, self.most_of_one_pair = MOST_OF_ONE, MOST_OF_ONE_PAIR
        self._count = 0
        self._principals: Counter[str] = Counter()
        self._of_pair: Counter[tuple[str, str]] = Counter()
        self._of_user: Counter[str] = Counter()  # those of others
        self._of_one_pair: Counter[tuple[str, str]] = Counter()

    def __len__(self) -> int:
        return self._count

    def principal_of(self, watcher: str) -> str:
        """Return who answers for *watcher*: the user, or its partner."""
        return answers_for(watcher, self._partner_of)

    def is_full(self, aor: str, watcher: str) -> bool:
        """Tell whether *watcher* may have no further subscription to *aor*. Others take no place of the user's own."""
        principal = self.principal_of(watcher)
        return (
            self._count >= MOST
            or self._has(principal, self.most_of_watcher)
            or self._of_pair.get((principal, aor), 0) >= self.most_of_pair
            or (watcher != aor and self._of_user.get(aor, 0) >= self.most_of_user)
            or (principal != watcher and self._has_enough(watcher_key(watcher), aor))
        )

    def _has_enough(self, one: str, aor: str) -> bool:
        """Tell whether *one* of the users of a partner has as many places as it may take from the others."""
        return self._has(one, self.most_of_one) or self._of_one_pair.get((one, aor), 0) >= self.most_of_one_pair

    def _has(self, watcher: str, most: int) -> bool:
        """Tell whether *watcher* has as many subscriptions as it may have."""
        use = self._use_of(watcher, most)
        return use.branches + use.branches_elsewhere >= most

    def add(self, principal: str, watcher: str, aor: str) -> None:
        """Count a subscription of *watcher* to *aor* that was granted; *principal* answers for the watcher."""
        self._change(principal, watcher, aor, 1)

    def remove(self, principal: str, watcher: str, aor: str) -> None:
        """Stop counting a subscription: it has ended, and waits for no answer."""
        self._change(principal, watcher, aor, -1)

    def _change(self, principal: str, watcher: str, aor: str, by: int) -> None:
        self._count += by
        _add(self._principals, principal, by)
        self._use_of(principal, self.most_of_watcher).add(by, 0)
        _add(self._of_pair, (principal, aor), by)
        if watcher != aor:
            _add(self._of_user, aor, by)
        if principal != watcher:
            self._use_of(watcher_key(watcher), self.most_of_one).add(by, 0)
            _add(self._of_one_pair, (watcher_key(watcher), aor), by)


def _add(counts: Counter[Key], key: Key, by: int) -> None:
    counts[key] += by
    if not counts[key]:
        del counts[key]
