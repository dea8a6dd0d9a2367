"""The bindings that one server has in memory: all of its own flows, and those of other servers that it has asked for lately.

Rows of our own flows are kept until they end, and are right even if the store says otherwise. Rows of other servers
count while the rows of their address of record are unchanged, which the store's versions tell.

A client that can write to the store may remove rows, and replace them by old rows. So a row of ours ends by the store
only if a REGISTER has removed it. A row that was replaced by that of another server is kept aside: it counts again if
that row is gone without a REGISTER (`displaced_rows`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from heapq import nsmallest
from typing import TYPE_CHECKING, Final

from sipmesh.routing.authentication.verifier import user_of
from sipmesh.routing.registrar.binding import Binding, BindingKey
from sipmesh.routing.registrar.device import contact_address, has_name_of
from sipmesh.server.proxy.due_times import DueTimes
from sipmesh.server.proxy.registrar.displaced_rows import DisplacedRows
from sipmesh.sip.uri import SipUri
from sipmesh.storage.location_service.locations import NOTHING_YET

if TYPE_CHECKING:
    from sipmesh.server.proxy.other_processes import OtherProcesses
    from sipmesh.storage.location_service.locations import StoredRows, WriteResult

MOST_KEPT: Final = 10_000
"""Users without a flow of ours whose rows are kept; each takes about 1 KiB."""

UNKNOWN: Final = -1
"""No version: the rows have to be read before they count."""


class KnownRows:
    """The rows of one address of record, in the order in which they are tried; *version* is that of its *slot*."""

    __slots__ = ("rows", "slot", "version")

    def __init__(self, slot: int, version: int, rows: list[Binding]) -> None:
        self.slot, self.version, self.rows = slot, version, rows


class KnownBindings:
    """What *server* knows of the bindings of its pool; times are in seconds of the loop's clock.

    *versions* are the store's, by the slot that *slot_of* gives. At most *most_kept* addresses of record without a flow of
    ours are kept; the oldest read gives way. *is_behind* is for a store whose news can be late: while it is true,
    all rows are read again, and a user without rows is looked up each time. *siblings* get each Contact of ours, and know
    theirs.
    """

    def __init__(
        self,
        server: str,
        versions: Sequence[int],
        slot_of: Callable[[str], int],
        siblings: OtherProcesses,
        most_kept: int = MOST_KEPT,
        is_behind: Callable[[], bool] | None = None,
    ) -> None:
        self._server, self._versions, self._slot_of, self._most_kept = server, versions, slot_of, most_kept
        self._siblings, self._is_behind = siblings, is_behind
        self._here: dict[str, KnownRows] = {}
        self._elsewhere: dict[str, KnownRows] = {}
        self._flows: dict[int, list[str]] = {}
        self._ends: DueTimes[BindingKey] = DueTimes()  # when each row of ours is looked at
        self._aors_at: dict[str, list[str]] = {}  # by the address of a Contact of ours: one for each row
        self._displaced = DisplacedRows()

    def __len__(self) -> int:
        return len(self._ends)

    def of(self, aor: str, now: float) -> Sequence[Binding] | None:
        """Give the live rows of *aor*; None if they have to be read."""
        if self._is_behind is not None:
            return self._of_late_store(aor, now)
        return self._of(aor, now)

    def _of_late_store(self, aor: str, now: float) -> Sequence[Binding] | None:
        """Give rows that are surely of now, and never that there are none: that is for the store to say."""
        if self._is_behind is not None and self._is_behind():
            return None
        return self._of(aor, now) or None

    def _of(self, aor: str, now: float) -> Sequence[Binding] | None:
        known = self._here.get(aor)
        if known is None:
            known = self._elsewhere.get(aor)
            if known is None:
                return () if self._versions[self._slot_of(aor)] == NOTHING_YET else None
        if self._versions[known.slot] != known.version:
            return None
        for row in known.rows:
            if row.expires_at <= now:
                return [row for row in known.rows if row.expires_at > now]
        return known.rows

    def kept(self, aor: str, now: float) -> list[Binding]:
        """Give the live rows of *aor* as they were read last, even if another server has changed them since."""
        known = self._here.get(aor) or self._elsewhere.get(aor)
        return [row for row in known.rows if row.expires_at > now] if known is not None else []

    def ours(self, aor: str, now: float) -> list[Binding]:
        """Give the live rows of *aor* on flows of ours, also if others were removed."""
        known = self._here.get(aor)
        return [row for row in known.rows if self._is_ours(row) and row.expires_at > now] if known is not None else []

    def is_current(self, aor: str, stored: StoredRows) -> bool:
        """Tell whether the rows of *aor* are unchanged since they were read."""
        return self._versions[self._slot_of(aor)] == stored.version

    def accept_stored(self, aor: str, stored: StoredRows, now: float) -> list[Binding]:
        """Keep what was read at the instant *now*. Gives the rows of ours that have to be stored again.

        A row of ours that is missing there was replaced by another server, or removed by a REGISTER. If neither can be
        seen, another client has removed it.
        """
        before = self._here.get(aor)
        own = [row for row in before.rows if self._is_ours(row)] if before is not None else []
        rows = self._merged(stored, own)
        missing = [row for row in own if row not in rows]
        again = self._put_aside(stored, missing) if stored.removed is not None else []
        for row in missing:
            if row not in again:
                self._forget_row(row)
        back = self._displaced.come_back(aor, stored, rows, now)
        for row in back:
            self._add(row)
        if again or back:
            rows = sorted([*rows, *again, *back], key=_preference)
        self._keep(aor, KnownRows(self._slot_of(aor), stored.version, rows))
        return [*again, *back]

    def _put_aside(self, stored: StoredRows, missing: Sequence[Binding]) -> list[Binding]:
        """Put rows of ours aside that another server has replaced; gives those that were neither replaced nor removed."""
        taken = {row.key for row in stored.rows if not self._is_ours(row)}
        removed = stored.removed or frozenset()
        for row in missing:
            if row.key in taken and row.key.name not in removed:
                self._displaced.add(row)
        return [row for row in missing if row.key not in taken and row.key.name not in removed]

    def _merged(self, stored: StoredRows, own: Sequence[Binding]) -> list[Binding]:
        """Put our rows as we know them in place of what is stored of them; rows that are about to be dropped go."""
        rows: list[Binding] = []
        for row in stored.rows:
            if not self._is_ours(row):
                rows.append(row)
                continue
            same = find_row(own, row.key, row.token)
            if same is not None:
                rows.append(same)
        if not stored.remembered:
            taken = {row.key for row in rows}
            rows += [row for row in own if row.key not in taken]
        return rows

    def accept_written(
        self, aor: str, put: Sequence[Binding], drop: Sequence[Binding], result: WriteResult
    ) -> list[Binding]:
        """Follow a write of ours; gives the rows of *put* that were stored."""
        known = self._here.get(aor) or self._elsewhere.get(aor)
        if known is None:
            version = NOTHING_YET if result.before == NOTHING_YET else UNKNOWN
            known = KnownRows(self._slot_of(aor), version, [])
        made = [row for row in put if row.key not in result.lost]
        keys = {row.key for row in made}
        kept = [row for row in known.rows if row.key not in keys and find_row(drop, row.key, row.token) is None]
        for row in known.rows:
            if self._is_ours(row) and row not in kept:
                self._forget_row(row)
        is_right = (known.version == result.before or known.version == result.after) and not result.lost  # noqa: PLR1714 - no set
        rows = sorted([*made, *kept], key=_preference) if kept or len(made) > 1 else made
        for row in made:
            self._add(row)
        self._keep(aor, KnownRows(known.slot, result.after if is_right else UNKNOWN, rows))
        return made

    def registered(self, aor: str, rows: Iterable[Binding]) -> None:
        """Forget what was put aside of *rows*: a REGISTER has put them, or has removed them."""
        self._displaced.discard(aor, {row.key for row in rows})

    def _add(self, row: Binding) -> None:
        """Look at a new row of ours when it ends, and when its flow closes."""
        aors = self._flows.setdefault(row.flow, [])
        if row.aor not in aors:
            aors.append(row.aor)
        address = address_of(row)
        if address:
            self._aors_at.setdefault(address, []).append(row.aor)
            self._siblings.contact_changed(address, row.aor, is_added=True)
        self._ends.put(row.key, row.expires_at)

    def refresh(self, row: Binding) -> None:
        """Put *row* in place of the row of ours that it renews."""
        known = self._here[row.aor]
        key = row.key
        known.rows = [row if held.key == key else held for held in known.rows]
        self._ends.advance(key, row.expires_at)

    def remove(self, rows: Sequence[Binding]) -> None:
        """Stop giving out *rows*, such as those of a flow that is gone; each only if it is still that row."""
        for row in rows:
            known = self._here.get(row.aor) or self._elsewhere.get(row.aor)
            held = find_row(known.rows, row.key, row.token) if known is not None else None
            if known is not None and held is not None:
                known.rows = [one for one in known.rows if one is not held]
                if self._is_ours(held):
                    self._forget_row(held)
                self._keep(row.aor, known)

    def close_flow(self, flow: int) -> dict[str, list[Binding]]:
        """Remove the rows of a flow that has closed, and give them by their address of record."""
        found: dict[str, list[Binding]] = {}
        for aor in self._flows.pop(flow, ()):
            self._displaced.close_flow(aor, flow)
            known = self._here.get(aor)
            rows = [row for row in known.rows if self._is_ours(row) and row.flow == flow] if known is not None else []
            if rows:
                self.remove(rows)
                found[aor] = rows
        return found

    def expire(self, now: float) -> dict[str, list[Binding]]:
        """Remove the rows of ours that have ended by *now*, and give them by their address of record."""
        found: dict[str, list[Binding]] = {}
        for key in self._ends.due(now):
            self._look(key, now, found)
        return found

    def _look(self, key: BindingKey, now: float, found: dict[str, list[Binding]]) -> None:
        """Remove a row that has ended; a renewed row is looked at again at its new end."""
        for row in self._here[key.aor].rows:
            if row.key == key and self._is_ours(row):
                if row.expires_at > now:
                    self._ends.put(key, row.expires_at)
                else:
                    self.remove([row])
                    found.setdefault(key.aor, []).append(row)
                return

    def _forget_row(self, row: Binding) -> None:
        """Stop looking at a row of ours, and find no user by its Contact."""
        self._ends.discard(row.key)
        address = address_of(row)
        aors = self._aors_at.get(address)
        if aors is None or row.aor not in aors:
            return
        aors.remove(row.aor)
        if not aors:
            del self._aors_at[address]
        self._siblings.contact_changed(address, row.aor, is_added=False)

    def owner_at(self, address: str) -> str:
        """Give the address of record whose Contact on a flow of ours has *address* (`contact_address`); "" if there is none.

        "" too if several users have one: two users of different domains with one name. The flow may be one of another process
        of this server.
        """
        aors = {*self._aors_at.get(address, ()), *self._siblings.aors_at(address)}
        return aors.pop() if len(aors) == 1 else ""

    def contacts(self) -> list[tuple[str, str]]:
        """Give the address of each Contact of ours, with its user."""
        return [(address, aor) for address, aors in self._aors_at.items() for aor in aors]

    def own_rows(self, most: int, after: tuple[str, str] = ("", "")) -> list[Binding]:
        """Give the rows of ours in the order of their keys, *most* at most, from behind the key *after* on."""
        rows = (row for known in self._here.values() for row in known.rows if self._is_ours(row) and row.key > after)
        return nsmallest(most, rows, key=_key_of)

    def aors(self) -> list[str]:
        """Give the addresses of record that have rows of ours."""
        return list(self._here)

    def has_rows_of(self, aor: str) -> bool:
        """Tell whether *aor* has rows of ours, or had some that another server has replaced."""
        return aor in self._here or aor in self._displaced

    def _is_ours(self, row: Binding) -> bool:
        return row.server == self._server

    def _keep(self, aor: str, known: KnownRows) -> None:
        """Keep the rows of *aor*: for good where one of them is ours, else until the place is needed."""
        if any(self._is_ours(row) for row in known.rows):
            self._elsewhere.pop(aor, None)
            self._here[aor] = known
            return
        self._here.pop(aor, None)
        if aor not in self._elsewhere and len(self._elsewhere) >= self._most_kept:
            del self._elsewhere[next(iter(self._elsewhere))]
        self._elsewhere[aor] = known


def address_of(row: Binding) -> str:
    """Give the address of the Contact of a row; "" if the Contact does not have the name of its user."""
    address = contact_address(SipUri.parse(row.contact))
    return address if has_name_of(address, user_of(row.aor)) else ""


def find_row(rows: Sequence[Binding], key: BindingKey, token: str) -> Binding | None:
    """Find the row with *key*, if it is still the row of *token*."""
    for row in rows:
        if row.token == token and row.key == key:
            return row
    return None


def _preference(row: Binding) -> float:
    return -row.q


def _key_of(row: Binding) -> BindingKey:
    return row.key
