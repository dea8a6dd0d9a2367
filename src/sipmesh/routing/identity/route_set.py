"""Take our own entries off the Route of a request and read the token in them (RFC 3261 section 16.4, RFC 5626 section 5.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sipmesh.routing.identity.dialog_token import NOBODY_YET, DialogToken, FlowSide, FlowToken, PeerSide, Tokens, joined
from sipmesh.sip.check import read_request_uri
from sipmesh.sip.fields import NameAddr
from sipmesh.sip.message import Request
from sipmesh.sip.rows import ROUTE
from sipmesh.sip.uri import SipUri

Address = tuple[str, int]
"""An IP address and a port."""

NO_ADDRESS: Address = ("", 0)
DEFAULT_PORT: Final = 5061
NO_POOL: Final = PeerSide(b"")


@dataclass(frozen=True, slots=True)
class Names:
    """What this server is called: *hosts* by any port, *addresses* only with their port.

    *mates* are the other servers of its pool, and *pool* is what a token calls that.
    """

    hosts: frozenset[str]
    addresses: frozenset[Address]
    mates: frozenset[str] = frozenset()
    pool: PeerSide = NO_POOL

    def ours(self, uri: SipUri, here: Address = NO_ADDRESS) -> bool:
        """Tell whether *uri* means this server (or its domain) rather than somebody at it.

        *here* is our end of the link that it came on, which is ours by definition: a server that listens on every address
        knows none of them by name.
        """
        if uri.host in self.hosts:
            return True
        address = (uri.host, uri.port or DEFAULT_PORT)
        return address == here or address in self.addresses


@dataclass(frozen=True, slots=True)
class Past:
    """The user behind another server of our *pool*, at the end of a dialog; *entries* of the Route are that server's."""

    pool: PeerSide
    side: FlowSide
    entries: int


@dataclass(init=False, slots=True)
class RouteSet:
    """Where the Route of a request says it should go: by a token of ours, and *beyond* it the next entry that is not.

    *dialog* is a token of the very dialog of the request. *from_a* and *from_b* tell which end its tags say has sent it:
    the side that began the dialog, or the other one. *sent_as* and *sent_to* tell whether From and To are the names that the
    dialog began with. *stray* says that a token of ours stood there which is of another dialog. Where *beyond* is another
    server of our pool, *past* is the user that it leads to from there.
    """

    dialog: DialogToken | None
    flow: FlowToken | None
    beyond: SipUri | None
    past: Past | None
    from_a: bool
    from_b: bool
    sent_as: bool
    sent_to: bool
    stray: bool

    def __init__(
        self,
        dialog: DialogToken | None = None,
        flow: FlowToken | None = None,
        beyond: SipUri | None = None,
        past: Past | None = None,
    ) -> None:
        self.dialog, self.flow, self.beyond, self.past = dialog, flow, beyond, past
        self.from_a = self.from_b = self.sent_as = self.sent_to = self.stray = False

    def bind(self, request: Request, tokens: Tokens) -> None:
        """Hold the token to the dialog of *request*, and take it away where it is of another one.

        A request without a To tag is in no dialog (RFC 3261 section 12.2).
        """
        token = self.dialog
        if token is None:
            return
        begun, call_id, from_tag, to_tag = token.begun, request.call_id, request.from_.tag, request.to.tag
        if from_tag is not None and to_tag is not None:
            self.from_a = tokens.dialog_hash(call_id, from_tag) == begun.dialog
            self.from_b = tokens.dialog_hash(call_id, to_tag) == begun.dialog
            self._hold_answered(from_tag, to_tag, tokens)
        if self.from_a == self.from_b:  # neither end, or one tag for both ends
            self.dialog, self.stray = None, True
            return
        sent_as, sent_to = tokens.name_hash(request.from_.aor), tokens.name_hash(request.to.aor)
        self.sent_as = sent_as == (begun.caller if self.from_a else begun.callee)
        self.sent_to = sent_to == (begun.callee if self.from_a else begun.caller)

    def _hold_answered(self, from_tag: str, to_tag: str, tokens: Tokens) -> None:
        """Hold the tag of the answering side to the token: the initiator's has it always, that of the other side may not."""
        answered = self.dialog.begun.answered if self.dialog is not None else NOBODY_YET
        if self.from_a:
            self.from_a = answered == tokens.tag_hash(to_tag)
        if self.from_b:
            self.from_b = answered in {NOBODY_YET, tokens.tag_hash(from_tag)}


NOWHERE: Final = RouteSet()


def take_place(request: Request, names: Names, tokens: Tokens, here: Address = NO_ADDRESS) -> RouteSet:
    """Remove every leading Route entry that means us and tell what they said; *request* is changed.

    Several of our entries in a row are the two Record-Routes of one dialog (RFC 5658): the token is the same in both. Of a
    pair that another edge of our pool has made, one entry has the name of the pool and the other has the name of that edge.
    """
    if not request.present & ROUTE:
        return NOWHERE
    token = undo_strict_routing(request, names, tokens)
    mate = stand_in(request, names, tokens) if token is None and names.mates else None
    while (route := first_route(request)) is not None:
        if names.ours(route, here):
            token = tokens.read(route.user) if route.user else token
        elif token is None or not repeats(route, token, names, tokens):
            break
        request.pop_item("route")
    route_set = place_of(token if mate is None else beside(mate, token, names.pool), route)
    route_set.bind(request, tokens)
    if route_set.dialog is not None and route is not None and route.host in names.mates:
        route_set.past = past(request, names, tokens, route_set.dialog)
    return route_set


def place_of(token: FlowToken | DialogToken | None, beyond: SipUri | None) -> RouteSet:
    """Sort a token by what it names."""
    if isinstance(token, DialogToken):
        return RouteSet(dialog=token, beyond=beyond)
    return RouteSet(flow=token, beyond=beyond)


def repeats(route: SipUri, token: FlowToken | DialogToken, names: Names, tokens: Tokens) -> bool:
    """Tell whether *route* names another server of our pool, and repeats the dialog *token* of the entry before it."""
    if route.host not in names.mates or not route.user or not isinstance(token, DialogToken):
        return False
    return tokens.read(route.user) == token


def beside(mate: DialogToken, token: FlowToken | DialogToken | None, pool: PeerSide) -> DialogToken | None:
    """Tell which dialog a request belongs to that came here in place of a *mate*, and on to our own entries from there."""
    if token is None or token == mate:
        return mate
    return joined(mate, token, pool) if isinstance(token, DialogToken) else None


def past(request: Request, names: Names, tokens: Tokens, dialog: DialogToken) -> Past | None:
    """Tell which user the entries of another server of our pool lead to, if that is where they end; they stay in the Route.

    They have to be of the same *dialog* as our own entries.
    """
    token: DialogToken | None = None
    routes = request.routes
    for route in routes:
        uri = route.sip_uri
        found = tokens.read(uri.user) if uri.host in names.mates and uri.user else None
        if not isinstance(found, DialogToken) or found.begun != dialog.begun or (token is not None and found != token):
            return None
        token = found
    side = token.other_side(names.pool) if token is not None else None
    return Past(names.pool, side, len(routes)) if isinstance(side, FlowSide) else None


def stand_in(request: Request, names: Names, tokens: Tokens) -> DialogToken | None:
    """Take off the entries of another server of our pool, where the dialog goes on through us, and give its token.

    That is so where they come first: who sent the request here could not reach that server. What they say has the MAC of our
    pool, and binds the same two sides here as there. A flow token is for the server that holds the flow, and stays.
    """
    token: DialogToken | None = None
    while (route := first_route(request)) is not None and route.host in names.mates and route.user:
        found = tokens.read(route.user)
        if not isinstance(found, DialogToken) or (token is not None and found != token):
            break
        token = found
        request.pop_item("route")
    return token


def first_route(request: Request) -> SipUri | None:
    """Read the first Route entry; raises `RemoteError` if it cannot be read."""
    item = request.first_item("route")
    return None if item is None else NameAddr.parse(item).sip_uri


def undo_strict_routing(request: Request, names: Names, tokens: Tokens) -> FlowToken | DialogToken | None:
    """Put back the Request-URI that a strict router moved to the end of the Route, and give our token that stood in it.

    "If the Request-URI of the request contains a value this proxy previously placed into a Record-Route header field,
    the proxy MUST replace the Request-URI in the request with the last value from the Route header field" (RFC 3261
    section 16.4). Raises `RemoteError` where that value may not be a Request-URI.
    """
    uri, routes = request.ruri, request.items("route")
    if not routes or uri.user is None or not uri.has("lr") or not names.ours(uri):
        return None
    if (token := tokens.read(uri.user)) is None:
        return None
    target = NameAddr.parse(routes[-1]).uri
    read_request_uri(target)
    request.remove("route")
    if routes[:-1]:
        request.append("route", ", ".join(routes[:-1]))
    request.set_uri(target)
    return token
