"""The users of a database in the memory of a server, so that a login takes the same time for known and unknown users."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.routing.authentication.digest_sets import DigestSets, Kind
from sipmesh.routing.call_rules.call_rules import NO_RULES as NO_CALL_RULES
from sipmesh.routing.events.watcher_rules import NO_RULES, WatcherRules
from sipmesh.storage.alias_index import AliasIndex
from sipmesh.storage.delegate_index import DelegateIndex
from sipmesh.storage.users.call_rule_rows import rules_for_servers
from sipmesh.storage.users.password_hashes import verifier_of
from sipmesh.storage.users.unusable_rows import usable_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from collections.abc import Set as AbstractSet

    from sipmesh.routing.authentication.verifier import Verifier
    from sipmesh.routing.call_rules.call_rules import CallRules
    from sipmesh.storage.users.stored_users import StoredUsers


class KnownUsers:
    """Verifiers, home pools, aliases and rules of all users, as of the *number* of the last change that was read."""

    __slots__ = ("_aliases", "_calls", "_delegates", "_homes", "_rules", "_verifiers", "names_key", "number", "sets")

    def __init__(self) -> None:
        self._verifiers: dict[str, Verifier] = {}
        self.sets = DigestSets()
        self._homes: dict[str, str] = {}
        self._aliases = AliasIndex()
        self._rules: dict[str, WatcherRules] = {}
        self._calls: dict[str, CallRules] = {}
        self._delegates = DelegateIndex()
        self.number, self.names_key = 0, ""

    def __len__(self) -> int:
        return len(self._verifiers)

    def replace(self, changed: AbstractSet[str], stored: StoredUsers, number: int, names_key: str) -> None:
        """Replace the users among *changed*; a reader in another thread may run between any two of the steps.

        A row that cannot be read is passed over: its user is unknown.
        """
        aliases, rules = stored.aliases, stored.rules
        rows, _ = usable_rows(stored.rows)
        kinds = {aor: self.kind(aor) for aor in changed | {row["aor"] for row in rows}}
        self._homes.update({row["aor"]: row["pool"] or "" for row in rows})
        verifiers = {row["aor"]: verifier_of(row) for row in rows}
        self._verifiers.update(verifiers)
        for aor in changed - verifiers.keys():
            self._verifiers.pop(aor, None)
            self._homes.pop(aor, None)
        for aor, before in kinds.items():
            self.sets.change(before, self.kind(aor))
        for aor in (*changed, *aliases.users()):
            self._aliases.put(aor, aliases.of(aor))
        for aor in changed - rules.keys():
            self._rules.pop(aor, None)
        self._rules.update(rules)
        calls = {row["aor"]: found for row in rows if (found := rules_for_servers(row)) is not NO_CALL_RULES}
        for aor in changed - calls.keys():
            self._calls.pop(aor, None)
        self._calls.update(calls)
        for aor in changed | calls.keys():
            self._delegates.put(aor, calls[aor].delegates if aor in calls else ())
        self.number, self.names_key = number, names_key

    def places(self) -> tuple[frozenset[str], frozenset[str]]:
        """Return the home pools of users ("" for users without one), and the domains of their addresses."""
        domains = {
            aor.rpartition("@")[2] for aor in list(self._verifiers)
        }  # a copy: another thread may refresh meanwhile
        return frozenset(self._homes.values()), frozenset(domains)

    def verifier(self, aor: str) -> Verifier | None:
        """Return the password verifier of *aor*; None for an unknown user."""
        return self._verifiers.get(aor)

    def kind(self, aor: str) -> Kind | None:
        """Return the home pool and the algorithms of *aor*; None for an unknown user."""
        verifier = self._verifiers.get(aor)
        return None if verifier is None else (self._homes.get(aor, ""), tuple(verifier.ha1))

    def home(self, aor: str) -> str | None:
        """Return the home pool of *aor*, "" if none is set; None for an unknown user."""
        return self._homes.get(aor, "") if aor in self._verifiers else None

    def unknown(self, aors: frozenset[str]) -> frozenset[str]:
        """Return those of *aors* who are no users."""
        return aors.difference(self._verifiers)

    def owner(self, alias: str) -> str:
        """Return the user of *alias*, "" if no user has it."""
        return self._aliases.owner(alias)

    def aliases(self, aor: str) -> Sequence[str]:
        """Return the aliases of *aor*."""
        return self._aliases.of(aor)

    def matching(self, word: str, domains: Iterable[str]) -> Iterator[str]:
        """Return the users whose name or alias contains *word* (`AliasIndex.matching`)."""
        return self._aliases.matching(list(self._verifiers), word, domains)

    def call_rules(self, aor: str) -> CallRules | None:
        """Return the rules of the calls of *aor*, None if there are none."""
        return self._calls.get(aor)

    def bosses(self, delegate: str) -> frozenset[str]:
        """Return the users who have named *delegate*."""
        return self._delegates.bosses(delegate)

    def watcher_rules(self, aor: str) -> WatcherRules:
        """Return the rules about who may see the presence of *aor*."""
        return self._rules.get(aor, NO_RULES)
