"""The steps between the users here and the entries of the directory, and the conflicts: pure decisions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sipmesh.routing.identity.alias import folded
from sipmesh.storage.users.directory_entry import (
    ACTIVE,
    DAY,
    LOG_OUT,
    DirectoryEntry,
    DirectoryLink,
    DirectoryStep,
    Ended,
    StepKind,
)

if TYPE_CHECKING:
    from sipmesh.server.directory.entry_reader import Answer
    from sipmesh.storage.users.directory_links import HeldUser, HeldUsers


@dataclass(frozen=True, slots=True)
class Conflict:
    """Why the entry of *user* is not taken as it is; *remedy* mends it."""

    user: str
    reason: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Loss:
    """How many of *users* lose their access now (*lost*), and have lost it by syncs of the last day (*before*)."""

    users: int
    lost: int
    before: int

    def is_beyond(self, percent: int) -> bool:
        """Tell whether more than *percent* of the users lose their access in a day; one user alone never does."""
        gone = self.lost + self.before
        return self.lost > 0 and gone > 1 and gone * 100 > percent * (self.users + self.before)


@dataclass(frozen=True, slots=True)
class Comparison:
    """The *steps* that make the users here those of the directory, the *conflicts*, and the *loss* by the steps."""

    steps: Sequence[DirectoryStep]
    conflicts: Sequence[Conflict]
    loss: Loss


class _Compared:
    """One comparison: what the directory has, what we hold, and whose each name is."""

    def __init__(self, answer: Answer, held: HeldUsers) -> None:
        self._answer, self._held = answer, held
        self._entries = {entry.id: entry for entry in answer.entries}
        self._logins = Counter(folded(entry.aor) for entry in answer.entries)
        self._aliases = Counter(alias for entry in answer.entries for alias in {*entry.aliases, folded(entry.aor)})
        self._linked = {link.aor: link for link in held.links.values()}
        self._owners = {alias: user.aor for user in held.users.values() for alias in user.aliases}
        self.conflicts: list[Conflict] = []

    def steps(self) -> Iterator[DirectoryStep]:
        """Yield the steps: who loses access first, since names become free by it."""
        yield from self._gone()
        for entry in sorted(self._answer.entries, key=lambda one: one.id):
            link = self._held.links.get(entry.id)
            if link is None:
                yield from self._new(entry)
            else:
                yield from self._known(entry, link)

    def _user(self, aor: str) -> HeldUser | None:
        return self._held.users.get(folded(aor))

    def _gone(self) -> Iterator[DirectoryStep]:
        """Disable users whose entry is gone, unless another entry has their name: that may be the same person."""
        unlinked = {
            folded(entry.aor): entry
            for entry in self._answer.entries
            if entry.id not in self._held.links and not entry.ended_by
        }
        for link in self._held.links.values():
            if link.id in self._entries:
                continue
            if (unusable := self._answer.unusable.get(link.id)) is not None:
                if unusable.ended_by and (not link.ended_by or self._is_enabled(link)):
                    yield DirectoryStep(StepKind.DISABLE, None, link, unusable.ended_by)
                continue
            if folded(link.aor) in unlinked and not link.ended_by:
                reason = f"its entry has another id than before, {unlinked[folded(link.aor)].id}; nothing is changed"
                self._conflict(link.aor, reason, f"if it is the same person: sipmesh directory adopt {link.aor[4:]}")
            elif not link.ended_by or self._is_enabled(link):
                yield DirectoryStep(StepKind.DISABLE, None, link, Ended.REMOVED)

    def _is_enabled(self, link: DirectoryLink) -> bool:
        user = self._user(link.aor)
        return user is not None and not user.is_disabled

    def _new(self, entry: DirectoryEntry) -> Iterator[DirectoryStep]:
        held = self._user(entry.aor)
        if entry.ended_by:
            return
        if self._logins[folded(entry.aor)] > 1:
            self._twice(entry)
        elif held is not None:
            linked = self._linked.get(held.aor)
            if linked is None or linked.ended_by:
                whose = (
                    "is a local user, who stays as before" if linked is None else "is a user of an entry that is gone"
                )
                remedy = (
                    f"if it is the same person: sipmesh directory adopt {entry.aor[4:]}; if not, rename one of them"
                )
                self._conflict(entry.aor, whose, remedy)
        elif owner := self._owners.get(folded(entry.aor)):
            remedy = f"to remove it: sipmesh user alias remove {owner[4:]} {entry.aor[4:]}"
            self._conflict(entry.aor, f"is an alias of {owner[4:]}", remedy)
        else:
            adds = self._free(entry, entry.aor, entry.aliases, ())
            yield DirectoryStep(StepKind.ADD, entry, None, adds=adds, pool=entry.pool)

    def _known(self, entry: DirectoryEntry, link: DirectoryLink) -> Iterator[DirectoryStep]:
        held = self._user(link.aor)
        if held is None:  # an earlier release has removed the user, and left the link
            self._conflict(link.aor, "was removed here", f"to add the user again: sipmesh user add {link.aor[4:]}")
            return
        wanted = () if entry.ended_by else self._free(entry, link.aor, entry.aliases, held.aliases)
        adds = tuple(alias for alias in wanted if alias not in held.aliases or alias not in link.aliases)
        drops = () if entry.ended_by else tuple(alias for alias in link.aliases if alias not in entry.aliases)
        if entry.ended_by:
            if not link.ended_by or not held.is_disabled:
                yield DirectoryStep(StepKind.DISABLE, entry, link, entry.ended_by)
            return
        if link.ended_by:
            yield DirectoryStep(StepKind.ENABLE, entry, link, adds=adds, drops=drops)
            return
        if folded(entry.aor) != folded(link.aor) and self._may_rename(entry, link):
            drops = tuple(dict.fromkeys((*drops, *(a for a in link.aliases if a == folded(entry.aor)))))
            yield DirectoryStep(
                StepKind.RENAME, entry, link, adds=tuple(a for a in adds if a != folded(entry.aor)), drops=drops
            )
            return
        pool = entry.pool if entry.pool is not None and entry.pool != held.pool else None
        is_same = (entry.dn, entry.name, entry.mail, entry.classes) == (link.dn, link.name, link.mail, link.classes)
        if adds or drops or pool is not None or not is_same:
            yield DirectoryStep(StepKind.UPDATE, entry, link, adds=adds, drops=drops, pool=pool)

    def _may_rename(self, entry: DirectoryEntry, link: DirectoryLink) -> bool:
        if self._logins[folded(entry.aor)] > 1:
            self._twice(entry)
            return False
        other = self._user(entry.aor)
        holder = other.aor if other is not None else self._owners.get(folded(entry.aor), link.aor)
        if holder != link.aor:
            reason = (
                f"is to be renamed to {entry.aor[4:]}, which is a name of {holder[4:]}; the user keeps the old name"
            )
            self._conflict(
                link.aor, reason, "give one of them another name in the directory, or remove the user or alias here"
            )
        return holder == link.aor

    def _free(self, entry: DirectoryEntry, aor: str, aliases: Sequence[str], own: Sequence[str]) -> tuple[str, ...]:
        """Return those of *aliases* that the user has, or may get: no name of another user, and in no other entry."""
        found = []
        for alias in aliases:
            holder = self._owners.get(alias) or (user.aor if (user := self._user(alias)) is not None else "")
            if alias in own or holder == aor:
                found.append(alias)
            elif holder:
                self._conflict(aor, f"{alias} is a name of {holder[4:]}, who keeps it", "correct one of the entries")
            elif self._aliases[alias] > 1:
                self._conflict(aor, f"{alias} is in several entries: none gets it", "correct all entries but one")
            else:
                found.append(alias)
        return tuple(alias for alias in found if alias != folded(entry.aor))

    def _twice(self, entry: DirectoryEntry) -> None:
        self._conflict(entry.aor, f"several entries have this name, such as {entry.dn}", "rename all of them but one")

    def _conflict(self, aor: str, reason: str, remedy: str) -> None:
        self.conflicts.append(Conflict(aor.removeprefix("sip:"), reason, remedy))


def compare(answer: Answer, held: HeldUsers, at: datetime) -> Comparison:
    """Compare the whole *answer* of the directory with the users that we have, at the instant *at*."""
    compared = _Compared(answer, held)
    steps = list(compared.steps())
    links: Mapping[str, DirectoryLink] = held.links
    users = sum(link.ended_by == ACTIVE for link in links.values())
    lost = [step.changed[0] for step in steps if step.kind in LOG_OUT]
    leaving = frozenset(lost)
    others = (link for link in links.values() if link.aor not in leaving)  # a user is lost once, by several steps too
    before = sum(link.is_loss and link.since > at - DAY for link in others)
    return Comparison(steps, list(dict.fromkeys(compared.conflicts)), Loss(users, len(lost), before))
