"""Remove our own entries from the Route of a request, and read their token (RFC 3261 16.4, RFC 5626 section 5.3)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Final

from sipmesh.routing.identity.dialog_token import (
    NOBODY_YET,
    DialogToken,
    FlowSide,
    FlowToken,
    LoginToken,
    PathToken,
    PeerSide,
    Token,
    ends_of,
    joined,
)
from sipmesh.routing.identity.tokens import Tokens
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
OUTBOUND: Final = ";ob"
"""The parameter of each URI of ours that has a token of a carried flow (RFC 5626 section 5.1)."""

MOST_ENTRIES_OF_OURS: Final = 4
"""Route entries of one server: a login, two Record-Routes (RFC 5658), and one of another server of its pool before them."""

LONGEST_SERVICE_ROUTE: Final = 256
"""Characters: it is kept with the link, and phones send it in each request."""


@dataclass(frozen=True, slots=True)
class Names:
    """The names of this server: *hosts* with any port, *addresses* with their port only.

    *mates* are the other servers of its pool, and *pool* is the token side of the pool.
    """

    hosts: frozenset[str]
    addresses: frozenset[Address]
    mates: frozenset[str] = frozenset()
    pool: PeerSide = NO_POOL

    def ours(self, uri: SipUri, here: Address = NO_ADDRESS) -> bool:
        """Tell whether *uri* means this server or its domain (the user part is ignored).

        *here* is our address on the link of the request. It always means this server: a server that listens on all addresses
        does not have them in its configuration.
        """
        if uri.host in self.hosts:
            return True
        address = (uri.host, uri.port or DEFAULT_PORT)
        return address == here or address in self.addresses


@dataclass(frozen=True, slots=True)
class Past:
    """The user behind another server of our *pool*, at the end of a dialog. That server has *entries* Route entries."""

    pool: PeerSide
    side: FlowSide
    entries: int


@dataclass(init=False, slots=True)
class RouteSet:
    """What the Route of a request says: the token in our entries, and *beyond*, the next entry that is not ours.

    *dialog* is a token of the dialog of the request. *from_a* and *from_b* say, by the tags, which side sent the request:
    the initiator or the answering side. *sent_as* and *sent_to* tell whether From and To are the names at the start of the
    dialog. *is_diverted*: *beyond* is not the entry that was record-routed next to ours. *stray* says that the token was of
    another dialog, and was removed. If *beyond* is another server of our pool, *past* is the user behind it. *skipped* are the
    entries of another server of our pool, before ours or in their place: the sender has not gone there. *path* is a flow token
    from a Path of ours. *login* is the token of a login that another server carries; it comes before all other entries. *ends*
    are the ends of the dialog as this server has record-routed it (`ends_of`): no sender can name others.
    """

    dialog: DialogToken | None
    flow: FlowToken | None
    beyond: SipUri | None
    past: Past | None
    path: PathToken | None
    login: LoginToken | None
    from_a: bool
    from_b: bool
    sent_as: bool
    sent_to: bool
    is_diverted: bool
    stray: bool
    skipped: tuple[str, ...]
    ends: bytes

    def __init__(
        self,
        dialog: DialogToken | None = None,
        flow: FlowToken | None = None,
        beyond: SipUri | None = None,
        past: Past | None = None,
        path: PathToken | None = None,
    ) -> None:
        self.dialog, self.flow, self.beyond, self.past, self.path = dialog, flow, beyond, past, path
        self.login = None
        self.skipped, self.ends = (), b""
        self.from_a = self.from_b = self.sent_as = self.sent_to = self.is_diverted = self.stray = False

    def bind(self, request: Request, tokens: Tokens) -> None:
        """Check that the token is of the dialog of *request*; otherwise remove it and set *stray*.

        A request without a To tag is not in a dialog (RFC 3261 section 12.2).
        """
        token = self.dialog
        if token is None:
            return
        begun, call_id, from_tag, to_tag = token.begun, request.call_id, request.from_.tag, request.to.tag
        if from_tag is not None and to_tag is not None:
            self.from_a = tokens.dialog_hash(call_id, from_tag) == begun.dialog
            if self.from_a:
                self.from_b = to_tag == from_tag  # two tags of one Call-ID do not have the same hash
            else:
                self.from_b = tokens.dialog_hash(call_id, to_tag) == begun.dialog
            self._hold_answered(from_tag, to_tag, tokens)
        if self.from_a == self.from_b:  # the tags match neither side, or both sides have one tag
            self.dialog, self.stray = None, True
            return
        sent_as, sent_to = tokens.name_hash(request.from_.aor), tokens.name_hash(request.to.aor)
        self.sent_as = sent_as == (begun.caller if self.from_a else begun.callee)
        self.sent_to = sent_to == (begun.callee if self.from_a else begun.caller)
        self.is_diverted = tokens.entry_hash(self.beyond) != token.onward or self.from_a == (
            begun.answered == NOBODY_YET
        )

    def _hold_answered(self, from_tag: str, to_tag: str, tokens: Tokens) -> None:
        """Compare the answering side's tag with the token. The initiator's token always has it, the other may not."""
        answered = self.dialog.begun.answered if self.dialog is not None else NOBODY_YET
        if self.from_a:
            self.from_a = answered == tokens.tag_hash(to_tag)
        if self.from_b:
            self.from_b = answered in {NOBODY_YET, tokens.tag_hash(from_tag)}


NOWHERE: Final = RouteSet()


def take_place(request: Request, names: Names, tokens: Tokens, here: Address = NO_ADDRESS) -> RouteSet:
    """Remove the leading Route entries that mean this server, and give what they say. *request* is changed.

    Several entries of ours in a row are the two Record-Routes of one dialog (RFC 5658), with the same token. In a pair
    that another edge of our pool made, one entry has the name of the pool, and the other has that of the edge. The home pool puts
    the token of a Path before what this server has record-routed in the dialog.

    Raises `RemoteError` if an entry is malformed.
    """
    if not request.present & ROUTE:
        return NOWHERE
    login = take_login(request, names, tokens, here)
    token = undo_strict_routing(request, names, tokens)
    skipped: list[str] = []
    mate = stand_in(request, names, tokens, skipped) if token is None and names.mates else None
    while (route := first_route(request)) is not None:
        if names.ours(route, here):
            token = tokens.read(route.user) if route.user and not is_way_of_home_pool(token) else token
        elif token is None or not repeats(route, token, names, tokens):
            break
        request.pop_item("route")
    route_set = place_of(token if mate is None else beside(mate, token, names.pool), route)
    route_set.login = login
    route_set.bind(request, tokens)
    if route_set.dialog is not None or route_set.path is not None:
        route_set.ends = ends_of(mate if token is None else token)
    if route_set.dialog is not None and skipped:
        route_set.skipped = tuple(skipped)
    if route_set.dialog is not None and route is not None and route.host in names.mates:
        route_set.past = past(request, names, tokens, route_set.dialog)
    return route_set


def is_way_of_home_pool(token: Token | None) -> bool:
    """Tell whether *token* is that of a Path, which leads to the phone; a token of ours behind it says less."""
    return isinstance(token, PathToken) and not token.is_recorded


def has_dialog_token(request: Request, tokens: Tokens) -> bool:
    """Tell whether the Route of *request* has a token of its dialog among its first entries; the request stays as it is.

    The token of a flow counts too: a server that carries the link of a user has no token of the user's dialogs. Raises
    `RemoteError` if an entry is malformed.
    """
    for route in islice(request.routes, MOST_ENTRIES_OF_OURS):
        token = tokens.read(route.sip_uri.user or "") if route.is_sip else None
        if isinstance(token, DialogToken):
            route_set = RouteSet(dialog=token)
            route_set.bind(request, tokens)
            return not route_set.stray
        if isinstance(token, (PathToken, FlowToken)):
            return True
    return False


def take_login(request: Request, names: Names, tokens: Tokens, here: Address) -> LoginToken | None:
    """Remove the first Route entry if it is a Service-Route of ours with the token of a login; give that token, or None.

    Only such entries and those of a Path have ``ob``: no other entry is parsed here.
    """
    if OUTBOUND not in request.row(ROUTE).value:
        return None
    route = first_route(request)
    token = tokens.read(route.user) if route is not None and route.user and names.ours(route, here) else None
    if not isinstance(token, LoginToken):
        return None
    request.pop_item("route")
    return token


def place_of(token: Token | None, beyond: SipUri | None) -> RouteSet:
    """Make the route set of a *token*, by its kind, and of the next entry."""
    if isinstance(token, DialogToken):
        return RouteSet(dialog=token, beyond=beyond)
    if isinstance(token, PathToken):
        return RouteSet(path=token, beyond=beyond)
    return RouteSet(flow=token if isinstance(token, FlowToken) else None, beyond=beyond)


def repeats(route: SipUri, token: Token, names: Names, tokens: Tokens) -> bool:
    """Tell whether *route* names another server of our pool, and has the same dialog *token* as the entry before it."""
    if route.host not in names.mates or not route.user or not isinstance(token, DialogToken):
        return False
    return tokens.read(route.user) == token


def beside(mate: DialogToken, token: Token | None, pool: PeerSide) -> DialogToken | None:
    """Give the dialog of a request that reached us instead of a *mate*. *token* is that of our own entries after it."""
    if token is None or token == mate:
        return mate
    return joined(mate, token, pool) if isinstance(token, DialogToken) else None


def past(request: Request, names: Names, tokens: Tokens, dialog: DialogToken) -> Past | None:
    """Give the user behind another server of our pool, if all remaining entries are of that server; otherwise None.

    These entries stay in the Route. They must be of the same *dialog* as our own entries.
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


def stand_in(request: Request, names: Names, tokens: Tokens, skipped: list[str]) -> DialogToken | None:
    """Move leading entries of another server of our pool to *skipped*, and give their dialog token; None if there are none.

    They come first if the sender could not reach that server. The token has the MAC of our pool, and its two sides are the
    same here and there. A flow token is for the server that has the flow, so it stays.
    """
    token: DialogToken | None = None
    while (route := first_route(request)) is not None and route.host in names.mates and route.user:
        found = tokens.read(route.user)
        if not isinstance(found, DialogToken) or (token is not None and found != token):
            break
        token = found
        skipped.append(request.first_item("route") or "")
        request.pop_item("route")
    return token


def service_route(request: Request, names: Names, here: Address = NO_ADDRESS, transport: str = "tls") -> str:
    """Give the URI by which the client of a REGISTER reaches this server, for a Service-Route (RFC 3608); "" for none.

    It is the first Route entry if that means this server, and is made from the Request-URI if there is no Route. So a phone goes
    on with a name that it has resolved before. *transport* is that of its link. Raises `RemoteError` if the entry is malformed.
    """
    route = first_route(request)
    if route is None:
        uri = request.ruri
        host = f"[{uri.host}]" if ":" in uri.host else uri.host
        port = "" if uri.port is None else f":{uri.port}"
        return f"{uri.scheme}:{host}{port};transport={transport};lr" if names.ours(uri, here) else ""
    is_usable = route.user is None and route.has("lr") and not route.headers and names.ours(route, here)
    text = str(route) if is_usable else ""
    return text if len(text) <= LONGEST_SERVICE_ROUTE else ""


def first_route(request: Request) -> SipUri | None:
    """Give the first Route entry, or None; raises `RemoteError` if it is malformed."""
    address = request.first_address("route")
    return None if address is None else address.sip_uri


def undo_strict_routing(request: Request, names: Names, tokens: Tokens) -> Token | None:
    """Restore the Request-URI that a strict router moved to the end of the Route, and give our token in it, or None.

    "If the Request-URI of the request contains a value this proxy previously placed into a Record-Route header field,
    the proxy MUST replace the Request-URI in the request with the last value from the Route header field" (RFC 3261
    section 16.4). Raises `RemoteError` if that value is not a valid Request-URI.
    """
    uri = request.ruri
    if uri.user is None or not uri.has("lr") or not names.ours(uri):
        return None
    routes, token = request.items("route"), tokens.read(uri.user)
    if not routes or token is None:
        return None
    target = NameAddr.parse(routes[-1]).uri
    read_request_uri(target)
    request.remove("route")
    if routes[:-1]:
        request.append("route", ", ".join(routes[:-1]))
    request.set_uri(target)
    return token
