"""What the devices of users have published (RFC 3903): soft state in memory, which ends unless it is refreshed."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from math import inf
from typing import TYPE_CHECKING, Final

from sipmesh.errors import RemoteError
from sipmesh.routing.events.pidf import PresenceDocument, parse_pidf
from sipmesh.routing.outcome import Answer, try_later
from sipmesh.server.proxy.due_times import DueTimes

if TYPE_CHECKING:
    from sipmesh.routing.events.subscribe import Granted
    from sipmesh.sip.message import Request

MOST_OF_USER: Final = 10
"""Publications of one user; of more, the first to end gives way, such as that of a phone that was started again."""

MOST_CHANGES: Final = 20
"""Changes of one user in `CHANGES_S`: each document is parsed, and each is a NOTIFY to each watcher, of whom there may be 500."""

CHANGES_S: Final = 10.0

GONE_S: Final = 60.0
"""Seconds for which the publications of a user stay whose last phone has gone: it may come back, and refresh them."""

MOST_OCTETS: Final = 256 << 20
"""Octets of all publications; above, a new one is refused."""


class EventState:
    """One document of *aor* under its entity tag. *ends* is in seconds of the loop's clock, *size* in octets as kept."""

    __slots__ = ("aor", "document", "ends", "etag", "size")

    def __init__(self, aor: str, etag: str, document: PresenceDocument, size: int, ends: float) -> None:
        self.aor, self.etag, self.document, self.size, self.ends = aor, etag, document, size, ends


class Publications:
    """The publications of all users. *clock* gives seconds of the loop, *token* an unpredictable text."""

    def __init__(self, clock: Callable[[], float], token: Callable[[], str], most_octets: int = MOST_OCTETS) -> None:
        self._clock, self._token, self._most_octets = clock, token, most_octets
        self._of: dict[str, list[EventState]] = {}
        self._due: DueTimes[EventState] = DueTimes()
        self._changes: dict[str, tuple[float, int]] = {}  # of each user: since when, and how many
        self._there_at: dict[str, float] = {}  # when a user who has published something was last seen with a phone
        self.octets = 0

    def __len__(self) -> int:
        return len(self._due)

    def documents(self, aor: str) -> list[PresenceDocument]:
        """Give the documents of *aor* that count now, newest first."""
        now = self._clock()
        return [one.document for one in reversed(self._of.get(aor, [])) if one.ends > now]

    def publish(self, request: Request, aor: str, granted: Granted) -> Answer:
        """Carry out a PUBLISH that was granted; raises `RemoteError` for a document that is malformed."""
        tag = request.first("sip-if-match")
        held = self._find(aor, tag) if tag is not None else None
        if tag is not None and held is None:
            return Answer(412)
        if held is None and not request.body:
            return Answer(400, "A First PUBLISH Needs A Document")
        if held is not None and granted.expires_s and not request.body:
            return self._refresh(held, granted.expires_s)
        if self._changes_too_often(aor):
            return try_later("too many changes of what a user has published", after_s=f"{CHANGES_S:.0f}")
        if request.body and not granted.expires_s and held is None:
            parse_pidf(request.body, "")
            return _answer(self._token(), 0)
        return self._replace(request.body, aor, held, granted)

    def _changes_too_often(self, aor: str) -> bool:
        """Count a change of *aor*; tell whether there are too many within `CHANGES_S`."""
        now = self._clock()
        began, count = self._changes.get(aor, (now, 0))
        if now - began >= CHANGES_S:
            began, count = now, 0
        self._changes[aor] = began, count + 1
        return count >= MOST_CHANGES

    def _refresh(self, held: EventState, expires_s: int) -> Answer:
        """Prolong a publication. It keeps its place: a refresh does not change the state (RFC 3903 section 4.3)."""
        held.etag, held.ends = self._token(), self._clock() + expires_s
        self._due.put(held, held.ends)
        return _answer(held.etag, expires_s)

    def _replace(self, body: bytes, aor: str, held: EventState | None, granted: Granted) -> Answer:
        """Put a publication in place of *held*, or end it."""
        etag = self._token()
        document = parse_pidf(body, f"p{etag[:8]}-") if body else None
        if document is not None and self.octets + document.size > self._most_octets:
            return try_later("too many octets are published", after_s="60")
        if held is not None:
            self._remove(held)
        if granted.expires_s:
            if document is None:
                raise RemoteError("a first PUBLISH without a document", rule="RFC 3903 section 6")
            self._add(EventState(aor, etag, document, document.size, self._clock() + granted.expires_s))
        return _answer(etag, granted.expires_s)

    def _find(self, aor: str, etag: str) -> EventState | None:
        now = self._clock()
        return next((one for one in self._of.get(aor, []) if one.etag == etag and one.ends > now), None)

    def _add(self, publication: EventState) -> None:
        held = self._of.get(publication.aor, [])
        if len(held) >= MOST_OF_USER:
            self._remove(min(held, key=_end_of))
        self._of.setdefault(publication.aor, []).append(publication)
        self._due.put(publication, publication.ends)
        self.octets += publication.size

    def _remove(self, publication: EventState) -> None:
        held = self._of[publication.aor]
        held.remove(publication)
        self._due.discard(publication)
        self.octets -= publication.size
        if not held:
            del self._of[publication.aor]
            self._there_at.pop(publication.aor, None)

    def expire(self) -> set[str]:
        """Remove what has ended; gives the users who lost a publication."""
        now = self._clock()
        self._changes = {aor: since for aor, since in self._changes.items() if now - since[0] < CHANGES_S}
        ended = self._due.due(now)
        for publication in ended:
            self._remove(publication)
        return {publication.aor for publication in ended}

    def seen(self, aor: str, *, is_there: bool) -> None:
        """Note whether a phone of *aor* is registered; what was published ends `GONE_S` after the last one has gone.

        RFC 3903 leaves the default lifetime to the server, and many phones name none. No phone refreshes what a phone
        has published that is gone. A user who never had a phone here publishes by other means.
        """
        if aor not in self._of:
            return
        if is_there:
            self._there_at[aor] = self._clock()
        elif self._clock() - self._there_at.get(aor, inf) >= GONE_S:
            self.forget(aor)

    def users(self) -> AbstractSet[str]:
        """Return the users who have published something."""
        return self._of.keys()

    def forget(self, aor: str) -> None:
        """Remove all publications of a user who was removed."""
        for publication in list(self._of.get(aor, ())):
            self._remove(publication)


def _end_of(publication: EventState) -> float:
    return publication.ends


def _answer(etag: str, expires_s: int) -> Answer:
    return Answer(200, headers=(("SIP-ETag", etag), ("Expires", str(expires_s))))
