"""The copy of a request for one branch. Only the rows that must change are changed (RFC 3261 section 16.6)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from sipmesh.routing.identity.privacy import hides_identity, privacy_of
from sipmesh.routing.proxy.target_set import is_sips
from sipmesh.routing.target import FlowTarget, RemoteFlowTarget, ServerTarget, Target
from sipmesh.sip.check import read_request_uri
from sipmesh.sip.fields import NameAddr, ViaForm
from sipmesh.sip.header import Message
from sipmesh.sip.message import Request, Response
from sipmesh.sip.rows import (
    MAX_FORWARDS,
    P_ASSERTED_IDENTITY,
    P_PREFERRED_IDENTITY,
    PRIVACY,
    RECORD_ROUTE,
    ROUTE,
    Row,
    expect_addressed,
    made_row,
    next_of,
)
from sipmesh.sip.status import FIRST_FINAL, FIRST_REDIRECTION
from sipmesh.sip.text_cache import TextCache
from sipmesh.sip.uri import CACHED_LENGTH, SipUri
from sipmesh.trust.evidence import LinkKind

DIALOG_METHODS: Final = frozenset({"INVITE", "SUBSCRIBE", "REFER"})
"""Methods that create dialogs (RFC 3261 section 12, RFC 6665, RFC 3515)."""

WS: Final = "ws"
DEFAULT_MAX_FORWARDS: Final = 70
IDENTITY_PRIVACY: Final = frozenset({"id", "header", "user"})
HISTORY_PRIVACY: Final = frozenset({"id", "history", "header", "user", "session"})

_identity_rows: Final[TextCache[Row]] = TextCache(2048)


@dataclass(init=False, slots=True, unsafe_hash=True)
class ListenerAddress:
    """Our host name and port for one kind of peers. It is used in our Via and Record-Route. Do not change an instance.

    *transport* is the parameter in a SIP URI; "ws" means secure WebSocket here (RFC 7118 section 5). *sent_by* is the sent-by of
    a Via (RFC 3261 section 20.42), and *via_form* makes such a Via.
    """

    host: str
    port: int
    transport: str
    sent_by: str = field(compare=False, repr=False)
    via_form: ViaForm = field(compare=False, repr=False)

    def __init__(self, host: str, port: int, transport: str = "tls") -> None:
        self.host, self.port, self.transport = host, port, transport
        self.sent_by = f"{host}:{port}"
        self.via_form = ViaForm(self.via)

    @property
    def via(self) -> str:
        """The beginning of our Via, up to the branch."""
        return f"SIP/2.0/{'WSS' if self.transport == WS else 'TLS'} {self.sent_by};branch="


def creates_dialog(request: Request) -> bool:
    """Tell whether a request opens a dialog, so that we add a Record-Route."""
    return request.method in DIALOG_METHODS and request.to.tag is None


def record_routes(
    request: Request, token: str, came_by: ListenerAddress, leaves_by: ListenerAddress
) -> tuple[str, ...]:
    """Write our Record-Route entries, lowest first: two if the listener changes (RFC 5658), otherwise one.

    "If the Request-URI contains a SIPS URI [...] the URI placed into the Record-Route MUST be a SIPS URI."
    """
    sides = (came_by,) if came_by is leaves_by or came_by == leaves_by else (came_by, leaves_by)
    sips = is_sips(request.uri)
    return tuple(route_to(token, side.sent_by, sips=sips, transport=side.transport) for side in sides)


def route_to(token: str, where: str, *, sips: bool, transport: str = "tls") -> str:
    """Write a Route or Record-Route entry for the server *where* (host and port), with *token* as its user part.

    Over TLS, "sips" needs no transport (RFC 5630 section 3.1.3).
    """
    if sips and transport != WS:
        return f"<sips:{token}@{where};lr>"
    return f"<{'sips' if sips else 'sip'}:{token}@{where};transport={transport};lr>"


def recorded_token(sent: Request) -> str:
    """Give the token in the top Record-Route of a request that we sent; RemoteError if it has none."""
    line = sent.row(RECORD_ROUTE).line
    start = _start_of_user(line)
    return line[start : line.find("@", start)]


def recorded_behind(response: Response, sent: Request) -> list[str]:
    """Give the Record-Route entries in *response* above those of the request *sent*: servers behind us have added them.

    Without ours, a response has none: it does not repeat the entries of its request. This server may be behind itself with the
    same token, if a user whose link it carries calls the own address: so ours are counted from the end.
    """
    token, entries = recorded_token(sent), response.items("record-route")
    found = [at for at in range(len(entries)) if token in entries[at]]
    ours = sum(token in entry for entry in sent.items("record-route"))
    return entries[: found[-min(ours, len(found))]] if found else []


def repeats_record_routes(response: Response, sent: Request) -> bool:
    """Tell whether *response* has the Record-Route rows of the request *sent* and no others, as that of nearly every phone."""
    ours, at, some = sent.rows, 0, False
    for row in response.rows:
        if row.bit == RECORD_ROUTE:
            at = next_of(ours, RECORD_ROUTE, at)
            if at < 0 or (row is not ours[at] and row.line != ours[at].line):
                return False
            at, some = at + 1, True
    return some and next_of(ours, RECORD_ROUTE, at) < 0


def repeat_record_routes(response: Response, sent: Request) -> None:
    """Make our entries and those before us in *response* those of the request *sent*, in its order.

    "The UAS MUST copy all Record-Route header field values from the request into the response [...] and MUST maintain the order
    of those values" (RFC 3261 section 12.1.1). The server before us relies on the entry that follows its own.
    """
    wanted = recorded_behind(response, sent) + sent.items("record-route")
    if response.items("record-route") != wanted:
        response.remove("record-route")
        for entry in wanted:
            response.append("record-route", entry)


def uri_of_entry(entries: list[str], at: int) -> SipUri | None:
    """Give the URI of the entry *at* of Record-Route *entries*; None if there are none, or if it is no SIP URI.

    Raises `RemoteError` if it is malformed.
    """
    entry = NameAddr.parse(entries[at]) if entries else None
    return entry.sip_uri if entry is not None and entry.is_sip else None


def renew_token(response: Response, token: str, renewed: str) -> None:
    """Replace our *token* by *renewed* in each Record-Route (RFC 3261 section 16.7 item 8 allows it for our own).

    A Route with an entry of a 2xx is expected: the initiator sends it in all requests of the dialog (section 12.2.1.1).
    """
    rows = response.rows
    for at in range(len(rows)):
        row = rows[at]
        if row.bit == RECORD_ROUTE:
            start = _start_of_user(row.line)
            end = start + len(token)
            if row.line[start:end] == token and row.line.find(",", end) < 0:  # as we have sent it: a search costs more
                rows[at] = Row(f"{row.line[:start]}{renewed}{row.line[end:]}", "record-route", RECORD_ROUTE)
                if FIRST_FINAL <= response.status < FIRST_REDIRECTION:
                    expect_route(rows[at].value, renewed)
            elif token in row.line:
                rows[at] = made_row("record-route", row.value.replace(token, renewed))


def expect_route(entry: str, token: str) -> None:
    """Expect a Route with *entry*, our Record-Route with *token*: only the token is new, and nothing is parsed.

    An entry of another form is parsed when it comes.
    """
    begins = len(_SIP_ENTRY) + len(token)
    if (
        not entry.startswith(_SIP_ENTRY)
        or entry[len(_SIP_ENTRY) : begins] != token
        or entry.find(">") != len(entry) - 1
    ):
        return
    place = entry[begins:]
    known = _places.get(place)
    if known is None:
        known = _places.keep(place, NameAddr.parse(entry))
    expect_addressed(Row(f"Route: {entry}", "route", ROUTE, value=entry), known.with_user(entry[1:-1], token))


_SIP_ENTRY: Final = "<sip:"
_places: Final[TextCache[NameAddr]] = TextCache(64)
"""Our Record-Route entries that differ in more than the token: by port, transport and scheme."""


def _start_of_user(line: str) -> int:
    """Give the index of the user part of the first URI in a row of ours."""
    return line.find(":", line.find("<")) + 1


def branch_copy(
    request: Request,
    target: Target,
    *,
    via: Row,
    recorded: tuple[str, ...],
    identity: str | None,
) -> Request:
    """Copy *request* for one branch, and edit Request-URI, Max-Forwards, Record-Route, Route, identity and Via.

    Raises `RemoteError` if a Route entry is malformed, and `LocalError` if Max-Forwards is 0.
    """
    copy = request.copy()
    if target.uri != request.uri:
        copy.set_uri(target.uri)
    spend_hop(copy)
    for entry in recorded:
        row = Row(f"Record-Route: {entry}", "record-route", RECORD_ROUTE, value=entry)
        row.checked = True
        copy.push(row)
    if isinstance(target, RemoteFlowTarget):
        copy.prepend("route", route_to(target.binding.token, target.binding.host, sips=is_sips(target.uri)))
    elif isinstance(target, ServerTarget) and target.carries is not None:
        if target.carries.route:
            copy.prepend("route", f"<{target.carries.route}>")
    elif isinstance(target, ServerTarget) and target.through:
        copy.prepend("route", target.through)
    elif copy.present & ROUTE:
        if isinstance(target, FlowTarget):  # a client, which needs no Route entries of other servers
            for _ in range(target.past):
                copy.pop_item("route")
        else:
            face_strict_router(copy)
    assert_identity(copy, identity)
    copy.push(via)
    return copy


def face_strict_router(copy: Request) -> None:
    """Change the Route for a next hop that is a strict router (RFC 3261 section 16.6 item 6).

    "The proxy MUST place the Request-URI into the Route header field as the last value. The proxy MUST then place the first
    Route header field value into the Request-URI and remove that value from the Route header field." Raises `RemoteError` if
    that value is not a valid Request-URI. `dialog.refused_routes` has checked its host.
    """
    routes = copy.routes
    if not routes or routes[0].sip_uri.has("lr"):
        return
    read_request_uri(routes[0].uri)
    copy.append("route", f"<{copy.uri}>")
    copy.pop_item("route")
    copy.set_uri(routes[0].uri)


def spend_hop(copy: Request) -> None:
    """Reduce Max-Forwards by one, or add it with the value 70 (RFC 3261 section 16.6 item 3)."""
    if copy.present & MAX_FORWARDS:
        copy.spend_hop()
    else:
        copy.append("max-forwards", str(DEFAULT_MAX_FORWARDS))


def assert_identity(copy: Message, identity: str | None) -> None:
    """Replace all asserted and preferred identities by *identity* (RFC 3325 section 5). None only removes them."""
    if copy.present & (P_ASSERTED_IDENTITY | P_PREFERRED_IDENTITY):
        if identity is not None and asserts_alone(copy, identity):
            return
        copy.remove("p-asserted-identity")
        copy.remove("p-preferred-identity")
    if identity is not None:
        copy.add(identity_row(identity))


def asserts_alone(message: Message, identity: str) -> bool:
    """Tell whether *message* has the row that we write for *identity*, and no other identity: from a server of ours it has."""
    if message.present & P_PREFERRED_IDENTITY or message.repeated & P_ASSERTED_IDENTITY:
        return False
    return message.row(P_ASSERTED_IDENTITY).line == identity_row(identity).line


def identity_row(identity: str) -> Row:
    """Write the P-Asserted-Identity row of *identity*. It is cached: it is the same in all requests of one user."""
    row = _identity_rows.get(identity)
    if row is None:
        row = made_row("p-asserted-identity", f"<{identity}>")
        if len(identity) <= CACHED_LENGTH:
            _identity_rows.keep(identity, row)
    return row


def identity_for(identity: str | None, kind: LinkKind, request: Message) -> str | None:
    """Give the identity that may cross a link with *request*: see `released_identity`."""
    return released_identity(identity, kind, hidden=hides_identity(request))


def released_identity(identity: str | None, kind: LinkKind, *, hidden: bool) -> str | None:
    """Give the identity that may cross a link: none to partners, and none to clients if its owner is *hidden*.

    "If a proxy is to forward a message to a node it does not trust and the user asked for privacy of type id, it MUST
    remove all the P-Asserted-Identity header fields" (RFC 3325 section 5).
    """
    return None if kind is LinkKind.PARTNER or (hidden and kind is LinkKind.CLIENT) else identity


def hides_answerer(response: Message) -> bool:
    """Tell whether a response asks to hide who has answered (RFC 3325 section 9.3)."""
    return bool(response.present & PRIVACY) and wants_privacy(response)


def wants_privacy(message: Message) -> bool:
    """Tell whether Privacy asks to hide the identity (RFC 3325 section 9.3, RFC 3323 section 4.2)."""
    return not IDENTITY_PRIVACY.isdisjoint(privacy_of(message))


def hides_history(message: Message) -> bool:
    """Tell whether a request asks to hide who redirected the call (RFC 7044 section 10.1); an anonymous From does too."""
    if message.present & PRIVACY and not HISTORY_PRIVACY.isdisjoint(privacy_of(message)):
        return True
    return hides_identity(message)


def contact_host(request: Request) -> str:
    """Give the host of the first Contact; "" if it is not a SIP URI, or if there is no Contact."""
    contacts = request.contacts
    return contacts[0].sip_uri.host if contacts and contacts[0].is_sip else ""
