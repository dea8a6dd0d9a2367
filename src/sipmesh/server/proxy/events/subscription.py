"""One subscription: its dialog, its end, and the NOTIFY requests of it (RFC 6665 section 4.2)."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, Final

from sipmesh.routing.events.login_proof import proof_in
from sipmesh.routing.identity.dialog import host_of
from sipmesh.routing.registrar.device import RegisteredContact, contact_address
from sipmesh.routing.registrar.gruu import public_device
from sipmesh.sip.fields import NameAddr
from sipmesh.sip.message import Request, build_request
from sipmesh.sip.uri import SipUri
from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sipmesh.routing.events.packages import Package
    from sipmesh.routing.registrar.binding import Binding
    from sipmesh.server.proxy.flow import Flow

MAX_FORWARDS: Final = "70"


def peer_of(flow: Flow) -> str:
    """Give the server at the other end of a link; "" for a phone."""
    return "" if flow.link.kind is LinkKind.CLIENT else flow.link.peer_name


def dialog_octets(request: Request) -> int:
    """Give the number of characters that a subscription keeps of its SUBSCRIBE."""
    names = ("from", "to", "call-id", "contact", "event")
    return sum(len(request.first(name) or "") for name in names) + sum(map(len, request.items("record-route")))


class EventSubscription:
    """The subscription of *watcher* to *package* of *aor*, begun by *request*, which came on *flow*.

    *tag* is ours. *ends* is in seconds of the loop's clock. *flow* is the link of the newest SUBSCRIBE. *principal* answers for
    the watcher. *peer* is the server that forwards to the watcher, "" if the watcher's phone is on a link of ours.
    *device* is the name of the binding of the watcher's phone, "" if it is not registered in our pool. *login* is by which login
    the phone subscribed to the profile of its user.
    *is_polite*: the watcher sees a user who is never there. *unanswered*: how many NOTIFY requests have no answer yet;
    *is_dirty*: the state has changed since. *last_body* is a digest of the last body.
    *document* is what a database had for it.
    """

    __slots__ = (
        "aor",
        "call_id",
        "contact",
        "cseq",
        "device",
        "document",
        "ends",
        "event",
        "flow",
        "is_dirty",
        "is_polite",
        "last_body",
        "local",
        "login",
        "package",
        "peer",
        "principal",
        "remote",
        "remote_cseq",
        "remote_tag",
        "routes",
        "tag",
        "unanswered",
        "version",
        "watcher",
    )

    def __init__(self, request: Request, aor: str, watcher: str, package: Package, tag: str, flow: Flow) -> None:
        self.aor, self.watcher, self.package, self.tag = aor, watcher, package, tag
        self.call_id, self.remote_tag = request.call_id, request.from_.tag or ""
        self.local, self.remote = f"<{request.to.uri}>;tag={tag}", f"<{request.from_.uri}>;tag={self.remote_tag}"
        self.document = b""
        self.event = request.first("event") or package.name
        self.routes = request.items("record-route")
        self.flow, self.peer, self.principal = flow, peer_of(flow), watcher
        self.contact = request.contacts[0].uri
        self.cseq, self.remote_cseq, self.version = 0, request.cseq.number, 0
        self.ends = 0.0
        self.is_polite = self.is_dirty = False
        self.unanswered = 0
        self.last_body = b""
        self.device = ""
        self.login = proof_in(request)

    def find_device(self, rows: Sequence[Binding] | None) -> None:
        """Find the binding of the phone among *rows*, the bindings of the watcher: by its GRUU, or by its Contact."""
        uri = SipUri.parse(self.contact)
        device = public_device(uri) or RegisteredContact(contact_address(uri), uri.port)
        of_device = device.rows_of(rows or ())
        self.device = of_device[0].key.name if of_device else ""

    def is_of(self, request: Request, watcher: str | None) -> bool:
        """Tell whether a request inside a dialog is of this one, and of this watcher: tags alone prove nothing."""
        return (
            request.call_id == self.call_id and (request.from_.tag or "") == self.remote_tag and watcher == self.watcher
        )

    def refreshed(self, request: Request, flow: Flow, mates: Collection[str]) -> None:
        """Take over the target, the number and the link of a SUBSCRIBE inside the dialog (RFC 6665 section 4.4.1).

        It may have come past the servers of our pool, *mates*, that forwarded the first one.
        """
        peer = peer_of(flow)
        if peer not in mates:
            self.pass_by(mates)
        self.flow, self.peer = flow, peer
        self.remote_cseq = request.cseq.number
        if request.contacts and request.contacts[0].is_sip:
            self.contact = request.contacts[0].uri

    def pass_by(self, mates: Collection[str]) -> bool:
        """Leave out the servers of our own pool, *mates*, at the begin of the route; False if there are none.

        The next server of the route accepts the request from each server of the pool. Without a next server the phone may have
        come to a link of ours.
        """
        hosts = [host_of(NameAddr.parse(route).uri) for route in self.routes]
        left_out = sum(1 for _ in takewhile(lambda host: host in mates, hosts))
        if not left_out:
            return False
        self.routes = self.routes[left_out:]
        self.peer = hosts[left_out] if self.routes else ""
        return True

    def notify(self, state: str, body: bytes) -> Request:
        """Make the next NOTIFY; *state* is its Subscription-State."""
        self.cseq += 1
        headers = [
            ("max-forwards", MAX_FORWARDS),
            *(("route", route) for route in self.routes),
            ("from", self.local),
            ("to", self.remote),
            ("call-id", self.call_id),
            ("cseq", f"{self.cseq} NOTIFY"),
            ("contact", f"<{self.aor};transport=tls>"),
            ("event", self.event),
            ("subscription-state", state),
        ]
        return build_request("NOTIFY", self.contact, headers, body, self.package.content_type if body else None)
