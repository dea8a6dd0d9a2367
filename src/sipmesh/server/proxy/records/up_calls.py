"""The calls that are up and will have a record: by their dialogs, and by their client links."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sipmesh.server.proxy.flow import ProxiedRequest, SentBranch
    from sipmesh.sip.message import Response
    from sipmesh.storage.call_records.journal_entry import JournalEntry

LOST_S: Final = 60.0
"""Seconds in which a phone whose link was lost comes back: it registers again within half a minute (RFC 5626 section 4.5)."""


class UpCall:
    """A call that is up: *entry* is its record, *answered* the Unix time of its 2xx.

    *dialogs* are the keys of its dialogs (`dialog_of`): more than one if several phones have answered a forked INVITE. A call
    that was up before this process has started has the short key of its Call-ID in their place.

    It has the INVITE, branch and 2xx by which it can be ended; they are None for a call that was up before this process has
    started. *links* are the numbers of client links, *lost_at* is the loop time at which the first of them, of the user
    *lost_for*, has closed; 0 while all are open.
    """

    __slots__ = ("answered", "dialogs", "entry", "invite", "links", "lost_at", "lost_for", "response", "sent")

    def __init__(
        self,
        entry: JournalEntry,
        key: str,
        answered: float,
        links: tuple[int, ...] = (),
        invite: ProxiedRequest | None = None,
        sent: SentBranch | None = None,
        response: Response | None = None,
    ) -> None:
        self.entry, self.dialogs, self.answered, self.links = entry, [key], answered, links
        self.invite, self.sent, self.response = invite, sent, response
        self.lost_at, self.lost_for = 0.0, ""


class UpCalls:
    """The calls, *by_key*: by each of their dialogs, oldest first."""

    def __init__(self) -> None:
        self.by_key: dict[str, UpCall] = {}
        self._on_links: dict[int, dict[str, None]] = {}
        self._lost: dict[str, None] = {}  # in the order of `UpCall.lost_at`

    def __len__(self) -> int:
        return len(self.by_key)

    def __iter__(self) -> Iterator[UpCall]:
        return iter([call for key, call in self.by_key.items() if key == call.dialogs[0]])

    def find(self, record: str) -> UpCall | None:
        """Give the call whose record has that key."""
        return next((call for call in self.by_key.values() if call.entry.key == record), None)

    def has(self, key: str) -> bool:
        """Tell whether the call of *key* is up."""
        return key in self.by_key

    def add(self, call: UpCall) -> None:
        """Know a call from now on."""
        key = call.dialogs[0]
        self.by_key[key] = call
        for link in call.links:
            on_link = self._on_links.get(link)
            if on_link is None:
                on_link = self._on_links[link] = {}
            on_link[key] = None

    def fork(self, call: UpCall, key: str) -> None:
        """Know a further dialog of a call: another phone has answered the same INVITE."""
        call.dialogs.append(key)
        self.by_key[key] = call

    def end_dialog(self, key: str) -> UpCall | None:
        """Know a dialog no longer; give its call if that was the last one, and None otherwise."""
        call = self.by_key.get(key)
        if call is None or len(call.dialogs) == 1:
            return self.remove(call)
        del self.by_key[key]
        if key == call.dialogs[0]:
            self._rename(call, key, call.dialogs[1])
        call.dialogs.remove(key)
        return None

    def _rename(self, call: UpCall, key: str, to: str) -> None:
        for link in call.links:
            on_link = self._on_links.get(link)
            if on_link is not None and key in on_link:
                del on_link[key]
                on_link[to] = None
        if key in self._lost:
            self._lost = {to if one == key else one: None for one in self._lost}

    def remove(self, call: UpCall | None) -> UpCall | None:
        """Know a call no longer, and give it; None if it is not known."""
        if call is None or self.by_key.pop(call.dialogs[0], None) is None:
            return None
        for key in call.dialogs[1:]:
            del self.by_key[key]
        key = call.dialogs[0]
        if self._lost:
            self._lost.pop(key, None)
        for link in call.links:
            on_link = self._on_links.get(link)
            if on_link is not None:
                on_link.pop(key, None)
                if not on_link:
                    del self._on_links[link]
        return call

    def remove_oldest(self) -> UpCall | None:
        """Know the oldest call no longer, and give it."""
        return self.remove(next(iter(self.by_key.values()), None))

    def link_down(self, number: int, users: str, now: float) -> None:
        """The client link *number* of *users* has closed: its calls are over unless a user of it comes back."""
        for key in self._on_links.pop(number, ()):
            call = self.by_key[key]
            if not call.lost_at:
                call.lost_at, call.lost_for = now, users
                self._lost[key] = None

    def await_return(self, key: str) -> None:
        """Forget the link that a call has lost: whether its phone has come back is being looked up."""
        del self._lost[key]
        self.by_key[key].lost_at = 0.0

    def lost_before(self, until: float) -> list[tuple[str, UpCall]]:
        """Give the calls of links that have closed before *until*."""
        found: list[tuple[str, UpCall]] = []
        for key in self._lost:
            call = self.by_key[key]
            if call.lost_at > until:
                break
            found.append((key, call))
        return found
