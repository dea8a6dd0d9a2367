"""The subscriber: the subscriptions that this server has made, and the documents that arrive on them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sipmesh.distribution.event import (
    CALLS_EVENT,
    EVENT,
    EXPIRES_S,
    ITEM,
    STATUS_EVENT,
    TRACE_EVENT,
    Here,
    SubscriptionDialog,
)
from sipmesh.distribution.items import ReplicationState, read_item
from sipmesh.errors import RemoteError
from sipmesh.sip.message import Request, Response, respond
from sipmesh.sip.status import FIRST_FINAL, FIRST_REDIRECTION

if TYPE_CHECKING:
    from sipmesh.distribution.items import Item
    from sipmesh.transport.link.link import Link


@dataclass(slots=True)
class Made:
    """One subscription of this server. *agreed* is true after a 2xx. *begun_at* is in seconds of the clock."""

    link: Link
    dialog: SubscriptionDialog
    begun_at: float
    stays: bool
    agreed: bool = False
    seen: int = 0  # the CSeq number of the last NOTIFY


class Subscriber:
    """Makes subscriptions, and passes received items to callbacks.

    *state* gives the items of this server. *on_state* gets the link, name and state of a peer, and *on_item* an item: both raise
    `RemoteError` to refuse it. *on_active* gets a link whose subscription is now active. *clock* gives monotonic seconds.
    """

    def __init__(
        self,
        here: Here,
        state: Callable[[], ReplicationState],
        on_state: Callable[[Link, str, ReplicationState], None],
        on_item: Callable[[str, Item], None],
        on_active: Callable[[Link], None],
        clock: Callable[[], float],
    ) -> None:
        self._here, self._state = here, state
        self._on_state, self._on_item, self._on_active = on_state, on_item, on_active
        self._clock = clock
        self._made: dict[Link, Made] = {}
        self._asked: dict[str, Link] = {}
        self._published: dict[str, tuple[Link, Callable[[int], None]]] = {}

    @property
    def standing(self) -> list[Link]:
        """The links with an active subscription."""
        return [made.link for made in self._made.values() if made.agreed and made.stays]

    def subscribe(self, link: Link, peer: str, *, stays: bool = True) -> None:
        """Subscribe at the *peer* of *link*. If *stays* is false, its state is fetched once."""
        headers = (("event", EVENT), ("expires", str(EXPIRES_S if stays else 0)))
        request = self._here.first("SUBSCRIBE", peer, headers, self._state().encode())
        dialog = SubscriptionDialog(request.call_id, request.from_.tag or "", "", peer)
        self._made[link] = Made(link, dialog, self._clock(), stays)
        self._ask(link, request)

    def gone(self, link: Link) -> None:
        """Remove the subscription of a link that was closed."""
        self._made.pop(link, None)
        self._asked = {branch: asked for branch, asked in self._asked.items() if asked is not link}
        for branch in [branch for branch, (on, _) in self._published.items() if on is link]:
            self._published.pop(branch)[1](0)

    def tick(self) -> None:
        """Refresh the subscriptions that have reached half of their expiry."""
        now = self._clock()
        for made in self._made.values():
            if made.agreed and made.stays and now - made.begun_at >= EXPIRES_S / 2:
                made.begun_at = now
                headers = (("event", EVENT), ("expires", str(EXPIRES_S)))
                self._ask(made.link, self._here.next("SUBSCRIBE", made.dialog, headers, self._state().encode()))

    def publish(self, status: Mapping[str, Any]) -> None:
        """Publish the status of this server on all links with an active subscription (RFC 3903 section 4)."""
        body = json.dumps(status, separators=(",", ":")).encode()
        headers = (("event", STATUS_EVENT), ("expires", str(EXPIRES_S)))
        for link in self.standing:
            link.send(self._here.first("PUBLISH", self._made[link].dialog.peer, headers, body).encode())

    def publish_trace(self, document: Mapping[str, Any]) -> None:
        """Send traced messages to one server that gives us documents: each of them would pass them on."""
        body = json.dumps(document, separators=(",", ":")).encode()
        headers = (("event", TRACE_EVENT), ("expires", str(EXPIRES_S)))
        for link in self.standing[:1]:
            link.send(self._here.first("PUBLISH", self._made[link].dialog.peer, headers, body).encode())

    def publish_calls(self, document: Mapping[str, Any], done: Callable[[int], None]) -> bool:
        """Send records to one server that gives us documents; *done* is called with the status of its answer, 0 if there is none.

        False: there is no such server now, and *done* is not called.
        """
        body = json.dumps(document, separators=(",", ":")).encode()
        headers = (("event", CALLS_EVENT), ("expires", str(EXPIRES_S)))
        for link in self.standing[:1]:
            request = self._here.first("PUBLISH", self._made[link].dialog.peer, headers, body)
            self._published[request.top_via.branch or ""] = link, done
            link.send_or_close(request.encode())
            return True
        return False

    def _ask(self, link: Link, request: Request) -> None:
        self._asked[request.top_via.branch or ""] = link
        link.send_or_close(request.encode())

    def responded(self, link: Link, response: Response) -> None:
        """Process the response to a SUBSCRIBE, or to records. A refused subscription is removed."""
        on, done = self._published.get(response.top_via.branch or "", (None, None))
        if done is not None and on is link and response.status >= FIRST_FINAL:
            del self._published[response.top_via.branch or ""]
            done(response.status)
        if self._asked.get(response.top_via.branch or "") is not link or response.status < FIRST_FINAL:
            return
        del self._asked[response.top_via.branch or ""]
        made = self._made.get(link)
        if made is None:
            return
        if response.status >= FIRST_REDIRECTION:
            del self._made[link]
            return
        if not made.agreed:
            made.agreed, made.dialog.remote = True, response.to.tag or ""
            if made.stays:
                self._on_active(link)

    def notified(self, link: Link, request: Request) -> Response:
        """Process a NOTIFY of a subscription that was made on the same link; 481 for any other (RFC 6665 4.1.3)."""
        made = self._made.get(link)
        if made is None or not self._is_of(made, request):
            return respond(request, 481)
        made.dialog.remote = request.from_.tag or ""  # the NOTIFY may arrive before the 200 to our SUBSCRIBE
        number = request.cseq.number
        if number <= made.seen:
            raise RemoteError("a NOTIFY out of order", rule="RFC 3261 section 12.2.2", status=500)
        made.seen = number
        self._read(made, request)
        if (request.first("subscription-state") or "").startswith("terminated"):
            del self._made[link]
        return respond(request, 200)

    @staticmethod
    def _is_of(made: Made, request: Request) -> bool:
        dialog = made.dialog
        if (request.call_id, request.to.tag) != (dialog.call_id, dialog.local):
            return False
        return not dialog.remote or request.from_.tag == dialog.remote

    def _read(self, made: Made, request: Request) -> None:
        header = request.first(ITEM)
        if header is None:
            self._on_state(made.link, made.dialog.peer, ReplicationState.decode(request.body))
        else:
            self._on_item(made.dialog.peer, read_item(header, request.body))
