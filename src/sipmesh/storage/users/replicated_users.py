"""The users as a server of a managed network knows them: from documents that management signed, without a database."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Final

from sipmesh.errors import OperatorError
from sipmesh.routing.authentication.digest_sets import KIND_OF_NOBODY, USUAL, DigestSets, Kind
from sipmesh.routing.events.watcher_rules import NO_RULES, WatcherRules
from sipmesh.storage.alias_index import AliasIndex
from sipmesh.storage.delegate_index import DelegateIndex
from sipmesh.storage.users.user_document import UserDocument

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sipmesh.routing.authentication.verifier import Verifier
    from sipmesh.routing.call_rules.call_rules import CallRules
    from sipmesh.sip.digest import Algorithm

MOST_IN_PLACE: Final = 2_000
"""Changed addresses up to which the users in force are changed in place; with more of them, a thread makes a new set."""


@dataclass(slots=True)
class UserSet:
    """Users by their address: verifiers and rules of the pool's own users, home pools of all others, and aliases of all.

    *backups* are the verifiers of users of other pools whose backup pool this is. *algorithms* are those of users of other pools
    who do not have the `USUAL` algorithms. *names_key* is the key of the organisation for unknown names, "" if there is
    none.
    """

    pool: str
    number: int = 0
    verifiers: dict[str, Verifier] = field(default_factory=dict, repr=False)
    homes: dict[str, str] = field(default_factory=dict, repr=False)
    backups: dict[str, Verifier] = field(default_factory=dict, repr=False)
    aliases: AliasIndex = field(default_factory=AliasIndex, repr=False)
    watchers: dict[str, WatcherRules] = field(default_factory=dict, repr=False)
    calls: dict[str, CallRules] = field(default_factory=dict, repr=False)
    delegates: DelegateIndex = field(default_factory=DelegateIndex, repr=False)
    algorithms: dict[str, tuple[Algorithm, ...]] = field(default_factory=dict, repr=False)
    names_key: str = field(default="", repr=False)
    sets: DigestSets = field(default_factory=DigestSets, repr=False)

    def about(self, aor: str) -> tuple[Verifier | None, WatcherRules, CallRules | None]:
        """Return what concerns the links, the watchers and the phones of *aor*."""
        return self.verifier(aor), self.watchers.get(aor, NO_RULES), self.calls.get(aor)

    def verifier(self, aor: str) -> Verifier | None:
        """Return the verifier of a user of this pool, or of a pool whose backup pool this is."""
        return self.verifiers.get(aor) or self.backups.get(aor)

    def kind(self, aor: str) -> Kind | None:
        """Return the home pool and the algorithms of *aor*; None for an unknown user."""
        verifier, home = self.verifiers.get(aor), self.homes.get(aor)
        if verifier is not None:
            return self.pool, tuple(verifier.ha1)
        return None if home is None else (home, self.algorithms.get(aor, USUAL))

    def add(self, part: UserDocument) -> None:
        """Apply the changes of one part."""
        kinds = {aor: self.kind(aor) for aor in part.changed}
        for aor in kinds:
            self._forget(aor)
        self.verifiers |= part.verifiers
        self.homes |= part.homes
        self.backups |= part.backups
        self.watchers |= part.watchers
        self.calls |= part.calls
        for aor, rules in part.calls.items():
            self.delegates.put(aor, rules.delegates)
        self.algorithms |= part.algorithms
        for aor, before in kinds.items():
            self.aliases.put(aor, part.aliases.get(aor, ()))
            self.sets.change(before, self.kind(aor))
        self.names_key = part.names_key

    def _forget(self, aor: str) -> None:
        self.verifiers.pop(aor, None)
        self.homes.pop(aor, None)
        self.backups.pop(aor, None)
        self.watchers.pop(aor, None)
        self.calls.pop(aor, None)
        self.delegates.put(aor, ())
        self.algorithms.pop(aor, None)


@dataclass(frozen=True, slots=True)
class UserChange:
    """What a complete document changes: *parts* in place, or *users* replace those in force, of which *changed* differ."""

    number: int
    parts: Sequence[UserDocument] = ()
    users: UserSet | None = None
    changed: frozenset[str] = frozenset()


class ReplicatedUsers:
    """The users for the servers of one pool, with the methods of `Users`; before the first document no user is known.

    Only one thread at a time may call `plan`. All other methods belong to the thread of the event loop.
    """

    __slots__ = ("_organisation", "_parts", "_pool", "_until", "_users", "_withheld")

    def __init__(self, organisation: str, pool: str) -> None:
        self._organisation, self._pool = organisation, pool
        self._users: UserSet | None = None
        self._parts: dict[int, UserDocument] = {}
        self._withheld: frozenset[str] = frozenset()
        self._until = 0

    @property
    def number(self) -> int:
        """The version of the users that is in force, 0 before the first one; later changes are requested since this version."""
        return self._users.number if self._users is not None else 0

    @property
    def ready(self) -> bool:
        """Whether a document has arrived, now or before the last start."""
        return self._users is not None

    def accept_document(self, document: bytes) -> frozenset[str]:
        """Apply a document as `apply` does, from its octets."""
        return self.apply(UserDocument.decode(document))

    def apply(self, document_part: UserDocument) -> frozenset[str]:
        """Apply a document with a valid signature; returns the users of this pool that it adds, changes or removes.

        See `plan` for the documents that are refused.
        """
        return self.commit(self.plan(document_part))

    def plan(self, document_part: UserDocument) -> UserChange | None:
        """Return what a document with a valid signature changes, for `commit`; nothing changes yet.

        A document in several parts comes into force with its last part: None before that. Incomplete parts of another number
        are dropped. The number that is in force already changes nothing: None.

        Raises `OperatorError` in these cases: the document is for another organisation or pool; it is older than what is in
        force; or its changes start from a later number.
        """
        self._check(document_part)
        if document_part.number == self.number:
            return None
        if any(_series(document_part) != _series(part) for part in self._parts.values()):
            self._parts.clear()
        self._parts[document_part.part] = document_part
        if len(self._parts) < document_part.parts:
            return None
        parts = [self._parts[n] for n in sorted(self._parts)]
        self._parts.clear()
        return self._change(parts)

    def _change(self, parts: Sequence[UserDocument]) -> UserChange:
        number, before = parts[-1].number, self._users or UserSet(self._pool)
        if parts[0].since and sum(part.size for part in parts) <= MOST_IN_PLACE:
            return UserChange(number, parts)
        users = UserSet(self._pool, number)
        if parts[0].since:
            users.verifiers, users.homes = dict(before.verifiers), dict(before.homes)
            users.aliases, users.watchers = before.aliases.copy(), dict(before.watchers)
            users.backups, users.sets = dict(before.backups), before.sets.copy()
            users.delegates = before.delegates.copy()
            users.algorithms, users.calls = dict(before.algorithms), dict(before.calls)
        for part in parts:
            users.add(part)
        aors = before.verifiers.keys() | users.verifiers.keys() | before.backups.keys() | users.backups.keys()
        changed = frozenset(aor for aor in aors if before.about(aor) != users.about(aor))
        return UserChange(number, users=users, changed=changed)

    def commit(self, change: UserChange | None) -> frozenset[str]:
        """Put a *change* in force that `plan` has returned last; returns whose links, watchers or phones it may concern."""
        if change is None:
            return frozenset()
        if change.users is not None:
            self._users, changed = change.users, change.changed
        else:
            changed = self._change_in_place(change)
        if change.number >= self._until:
            self._withheld = frozenset()
        return changed

    def _change_in_place(self, change: UserChange) -> frozenset[str]:
        users = self._users = self._users or UserSet(self._pool)
        aors = [aor for part in change.parts for aor in part.changed]
        before = {aor: users.about(aor) for aor in aors}
        for part in change.parts:
            users.add(part)
        users.number = change.number
        return frozenset(aor for aor in aors if users.verifier(aor) is None or before[aor] != users.about(aor))

    def _check(self, document_part: UserDocument) -> None:
        if (document_part.organisation, document_part.pool) != (self._organisation, self._pool):
            raise OperatorError(
                f"rejected: users of {document_part.pool} of {document_part.organisation} were sent to {self._pool}"
            )
        if document_part.number < self.number:
            raise OperatorError(
                f"rejected: users of number {document_part.number} were sent after number {self.number}"
            )
        if document_part.since > self.number:  # changes since an earlier number contain those since ours
            raise OperatorError(
                f"rejected: changes since number {document_part.since} were sent, and number {self.number} is in force"
            )

    def withhold(self, possibly_changed: frozenset[str], until: int) -> None:
        """Refuse logins of the *possibly_changed* users until the users of number *until* or later are in force."""
        self._withheld, self._until = possibly_changed, until

    def kind(self, aor: str) -> Kind | None:
        """Return the home pool and the algorithms of *aor*; None for an unknown user."""
        return self._users.kind(aor) if self._users is not None else None

    def alike(self, hashed: bytes) -> Kind:
        """Return the kind of some user of the organisation, chosen by the keyed hash of an unknown name."""
        return self._users.sets.alike(hashed) if self._users is not None else KIND_OF_NOBODY

    @property
    def names_key(self) -> str:
        """The key of the organisation for unknown names, in hexadecimal; "" if there is none."""
        return self._users.names_key if self._users is not None else ""

    def is_withheld(self, aor: str) -> bool:
        """Return whether *aor* may not log in yet: what is known of this user may be out of date."""
        return aor in self._withheld

    def whole(self) -> UserDocument | None:
        """Return everything that is in force as one document, None before the first one; it is not signed."""
        users = self._users
        if users is None:
            return None
        return UserDocument(
            self._organisation,
            self._pool,
            users.number,
            verifiers=dict(users.verifiers),
            homes=dict(users.homes),
            backups=dict(users.backups),
            aliases={aor: users.aliases.of(aor) for aor in users.aliases.users()},
            watchers=dict(users.watchers),
            calls=dict(users.calls),
            algorithms=dict(users.algorithms),
            names_key=users.names_key,
        )

    def verifier(self, aor: str) -> Verifier | None:
        """Return the password verifier of *aor*, a user of this pool or of one whose backup pool this is; None for all others.

        None also for a withheld user.
        """
        if self._users is None or aor in self._withheld:
            return None
        return self._users.verifier(aor)

    def home(self, aor: str) -> str | None:
        """Return the home pool of *aor*; None for an unknown user."""
        users = self._users
        if users is None:
            return None
        return self._pool if aor in users.verifiers else users.homes.get(aor)

    def unknown(self, aors: frozenset[str]) -> frozenset[str]:
        """Return those of *aors* who are no users of any pool, without withheld users; none before the first document."""
        users = self._users
        if users is None:
            return frozenset()
        return aors.difference(users.verifiers).difference(users.homes) - self._withheld

    def owner(self, alias: str) -> str:
        """Return the user of *alias*, "" if no user has it."""
        return self._users.aliases.owner(alias) if self._users is not None else ""

    def aliases(self, aor: str) -> Sequence[str]:
        """Return the aliases of *aor*."""
        return self._users.aliases.of(aor) if self._users is not None else ()

    def matching(self, word: str, domains: Iterable[str]) -> Iterator[str]:
        """Return the users of all pools whose name or alias contains *word* (`AliasIndex.matching`)."""
        users = self._users
        return iter(()) if users is None else users.aliases.matching(chain(users.verifiers, users.homes), word, domains)

    def call_rules(self, aor: str) -> CallRules | None:
        """Return the rules of the calls of *aor*, None if there are none."""
        return self._users.calls.get(aor) if self._users is not None else None

    def bosses(self, delegate: str) -> frozenset[str]:
        """Return the users who have named *delegate*."""
        return self._users.delegates.bosses(delegate) if self._users is not None else frozenset()

    def watcher_rules(self, aor: str) -> WatcherRules:
        """Return the rules about who may see the presence of *aor*."""
        return self._users.watchers.get(aor, NO_RULES) if self._users is not None else NO_RULES

    def refresh(self) -> frozenset[str]:
        """Return the empty set: `take` returns the changes of a document at once."""
        return frozenset()

    def close(self) -> None:
        """Do nothing: there is no database."""


def _series(part: UserDocument) -> tuple[int, int, int]:
    return part.number, part.since, part.parts
