"""One link as the server sees it, and its transactions: received requests, and sent branches.

The three classes refer to each other, and every message uses them. In one module the compiler knows their types, and no import
cycle is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.routing.identity.alias import OwnerOf, nobody
from sipmesh.routing.identity.dialog_token import owner_hash
from sipmesh.routing.identity.route_set import NOWHERE, RouteSet
from sipmesh.routing.identity.sender import CarriedLogin, ClientSender, Sender, ServerSender
from sipmesh.routing.media.origin import AnonymousBody
from sipmesh.routing.proxy.ringing_calls import RingingCalls
from sipmesh.server.quotas.usage import NOBODY
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.role import Role

if TYPE_CHECKING:
    from sipmesh.routing.identity.dialog_token import Begun
    from sipmesh.routing.media.judgement import Offer
    from sipmesh.routing.outcome import Screening, Store
    from sipmesh.routing.proxy.effects import Divert
    from sipmesh.routing.proxy.forwarding import ListenerAddress
    from sipmesh.routing.proxy.received import Mark
    from sipmesh.routing.proxy.response_context import ResponseContext
    from sipmesh.routing.registrar.refresh import KnownRefresh
    from sipmesh.routing.target import AnotherNotifier
    from sipmesh.server.proxy.rtpengine.bridge import Bridge
    from sipmesh.server.proxy.timeout_queue import TimeoutQueue
    from sipmesh.server.proxy.token_login import TokenLogin
    from sipmesh.server.quotas.usage import Usage
    from sipmesh.sip.message import Request, Response
    from sipmesh.sip.transaction.client import ClientTransaction
    from sipmesh.sip.transaction.server import ServerTransaction
    from sipmesh.transport.link.link import Link


MOST_REFUSED: Final = 1_024
"""Refused INVITEs of one link that are remembered; the ACK of an older one is treated as the ACK of a call."""

MOST_REFUSED_OF_STRANGERS: Final = 32
"""The same before a login: a challenged client sends one INVITE, and repeats it with credentials."""

MOST_RESPONSES: Final = 10
"""Responses to one branch that count for no account.

A phone sends a few provisional responses, and one final response. Under overload, each further response counts as a request of
its sender.
"""

MOST_FORWARDED: Final = 1_000
"""Responses to one branch that may go back. A call that waits in a queue for an hour gets one each ten seconds; of those beyond
only the first final one is of use."""

LONGEST_KEY: Final = 512
"""Characters of a transaction key that is remembered for its ACK; normal keys have about a hundred."""


ChallengedLogin = tuple[str, str, tuple[tuple[str, str], ...]]
"""The address of record and the User-Agent of a REGISTER, and the header fields of the challenge."""


class Flow:
    """One link as the server sees it.

    *served* are the received requests by transaction key, *sent* the branches that were sent, by branch. Both belong to the
    link: a response, an ACK or a CANCEL counts only on the link of its request. *generations* has the generation of the
    password with which each user logged in. *mark* is the ``received`` and ``rport`` of the client's Via. *account* counts
    the requests of the link. *refresh* is the REGISTER that its phone repeats. *service_route* is the URI by which its phone
    reaches this server. *closed*: the link is gone. *refused* has the keys of INVITEs with a final refusal and without an ACK;
    no other part of them is kept. *ringing* are the calls that ring, to the peer or from the peer. *owner_of* finds the user of
    an alias.

    *device* is the user whose device the client is, if its certificate has proved that.

    *tokens* are the logins by access tokens, by their users.

    *challenged* is the login that was challenged last and has not been answered, None if there is none.

    A carried flow is a client's link at another server (`sipmesh.server.proxy.login`). *carrier* is the flow of our link to that
    server, whose transactions it shares, and *path* is the Route entry by which that server finds the client. A client's link
    that this server carries has *logins*, and the link *upstream* by which its last REGISTER has gone.
    """

    __slots__ = (
        "account",
        "carrier",
        "challenged",
        "closed",
        "device",
        "generations",
        "incarnation",
        "link",
        "logins",
        "mark",
        "owner_of",
        "path",
        "refresh",
        "refused",
        "registered",
        "ringing",
        "sender",
        "sent",
        "served",
        "service_route",
        "tokens",
        "upstream",
    )

    def __init__(self, link: Link, incarnation: int, owner_of: OwnerOf = nobody) -> None:
        self.link, self.incarnation, self.owner_of = link, incarnation, owner_of
        self.served: dict[str, ProxiedRequest] = {}
        self.sent: dict[str, SentBranch] = {}
        self.ringing = RingingCalls()
        self.generations: dict[str, int] = {}
        self.registered = self.closed = False
        self.refresh: KnownRefresh | None = None
        self.service_route = ""
        self.sender: Sender | None = None
        self.mark: Mark | None = None
        self.account: Usage = NOBODY
        self.refused: dict[str, None] = {}
        self.carrier: Flow | None = None
        self.path = ""
        self.logins: dict[str, CarriedLogin] = {}
        self.upstream = 0
        self.device = ""
        self.challenged: ChallengedLogin | None = None
        self.tokens: dict[str, TokenLogin] = {}

    def __repr__(self) -> str:
        return f"<Flow of {self.link!r}: {len(self.served)} in, {len(self.sent)} out>"

    def carried_by(self, carrier: Flow, path: str) -> None:
        """Be a carried flow: *carrier* is the flow of the link to its server, whose transactions it shares."""
        self.carrier, self.path = carrier, path
        self.served, self.sent, self.refused = carrier.served, carrier.sent, carrier.refused
        self.ringing = carrier.ringing

    @property
    def number(self) -> int:
        """The number of the link in this incarnation of the server; a flow token contains it."""
        return self.link.number

    def came_up(self) -> None:
        """Set the sender and its rights from the verdict of the link; called for each new verdict."""
        verdict = self.link.verdict
        peer = verdict.peer if verdict is not None else None
        if self.link.kind is not LinkKind.CLIENT and peer is not None:
            self.sender = ServerSender(self.link.kind, peer, self.owner_of)
        elif self.link.kind is LinkKind.CLIENT and self.sender is None:
            device = verdict.device if verdict is not None else None
            self.device = device.user if device is not None else ""
            self.sender = ClientSender(self.incarnation, self.number, owner_of=self.owner_of, device=self.device)

    @property
    def outsider(self) -> str:
        """The application, trunk or partner at the other end; "" for servers of ours, and for clients."""
        sender = self.sender
        if not isinstance(sender, ServerSender):
            return ""
        is_outside = sender.kind is LinkKind.PARTNER or sender.peer.role is Role.APPLICATION
        return sender.peer.name if is_outside else ""

    @property
    def is_waited_on(self) -> bool:
        """Whether a final response is still to come or to go on it; carried flows share their transactions."""
        for proxied in self.served.values():
            if proxied.flow is self and not proxied.is_answered:
                return True
        return any(sent.flow is self and sent.waits and not sent.proxied.is_answered for sent in self.sent.values())

    @property
    def users(self) -> frozenset[str]:
        """The addresses of record that logged in on this link."""
        return self.sender.users if isinstance(self.sender, ClientSender) else frozenset()

    @property
    def logged_in(self) -> frozenset[str]:
        """The addresses of record that logged in on this link, here or at another pool."""
        return self.users.union(self.logins) if self.logins else self.users

    @property
    def has_login(self) -> bool:
        """Whether a user has logged in on this link, here or at another pool."""
        return bool(self.users or self.logins)

    @property
    def carried_owners(self) -> frozenset[bytes]:
        """The hashes of the users who logged in at another pool by this link, as in the tokens of its Path."""
        return frozenset(map(owner_hash, self.logins))

    @property
    def owners(self) -> frozenset[bytes]:
        """The hashes of `users`, as dialog tokens contain them."""
        return self.sender.owners if isinstance(self.sender, ClientSender) else frozenset()

    def rings(self, call_id: str) -> bool:
        """Tell whether an INVITE of a new call waits for its final response here, to the peer or from the peer."""
        return call_id in self.ringing

    def refuse(self, key: str) -> None:
        """Remember the INVITE of *key* until its ACK arrives (RFC 3261 17.2.1); the oldest one is dropped at the limit."""
        if len(key) > LONGEST_KEY:
            return
        limit = MOST_REFUSED_OF_STRANGERS if self.account.kind == "address" else MOST_REFUSED
        if len(self.refused) >= limit:
            del self.refused[next(iter(self.refused))]
        self.refused[key] = None

    def proved(self, user: str, generation: int) -> None:
        """Record that *user* logged in on this link, with the password of *generation*."""
        self.generations[user] = generation
        self._set_sender()
        self.link.authenticate()

    def carries(self, login: CarriedLogin) -> None:
        """Record that a server of another pool has accepted a login by this link."""
        self.logins[login.user] = login
        self._set_sender()
        self.link.authenticate()

    def _set_sender(self) -> None:
        users, logins = frozenset(self.generations), dict(self.logins)
        self.sender = ClientSender(self.incarnation, self.number, users, self.owner_of, logins, self.device)


class ReceivedRequest:
    """A request that has arrived on *flow*; *key* is its transaction, and *server* serves it.

    The step says the rest of it. The flow is that of the client if another server carries it. *place* is what the Route says,
    *loop* the hash for loop detection. *account* counts the request; None is that of the flow. *registers* is the user whose
    REGISTER goes to another pool. *screened* is the token by which an application has let it on.
    """

    __slots__ = ("account", "flow", "key", "loop", "place", "registers", "request", "screened", "server")

    def __init__(self, flow: Flow, request: Request, key: str, server: RequestServer) -> None:
        self.flow, self.request, self.key, self.server = flow, request, key, server
        self.place: RouteSet = NOWHERE
        self.account: Usage | None = None
        self.loop = self.registers = self.screened = ""


class RequestServer:
    """What serves a request, also later if the request has to wait."""

    def begin(self, received: ReceivedRequest) -> ProxiedRequest:
        """Begin the transaction of a request that is answered later."""
        raise NotImplementedError

    def registration_ended(self, waiting: ProxiedRequest, response: Response) -> None:
        """Send the *response* to a REGISTER that has waited for the store."""
        raise NotImplementedError

    def has_registered(self, aor: str) -> None:
        """A phone of *aor* has registered on a link of this server."""
        raise NotImplementedError

    def targets_lost(self, proxied: ProxiedRequest, what: AnotherNotifier | Store) -> None:
        """Serve *proxied* as *what* says: its notifier, or its phones, cannot be reached."""
        raise NotImplementedError

    def divert(self, proxied: ProxiedRequest, wanted: Divert) -> None:
        """Find the target to which a rule of the callee forwards the call *proxied*, and call it."""
        raise NotImplementedError

    def screening_ended(self, screening: Screening, server: str) -> None:
        """From now the application of *screening*, or its *server* if it is not "", may not let its call on."""
        raise NotImplementedError


class ProxiedRequest:
    """A received request in its transaction *key*: *context* collects the responses, *sent* are its branches.

    *received* is the request as it has arrived. *identity* is the sender, as it is asserted to the next server. *begun* is the
    state of the dialog that the request starts, once it is known. *account* counts its branches and octets; *size* is the number
    of octets that are counted for the request itself. *offer* is its offer of media, once an answer was compared with it.
    *rings*: it is counted among the calls of its link that ring. *began* is the loop time at which it was received, and *dialog*
    the key of the first dialog that it has begun, where records are made.
    """

    __slots__ = (
        "_anonymous",
        "account",
        "began",
        "begun",
        "came_by",
        "context",
        "dialog",
        "flow",
        "identity",
        "key",
        "offer",
        "received",
        "request",
        "rings",
        "sent",
        "size",
        "transaction",
    )

    def __init__(self, received: ReceivedRequest, transaction: ServerTransaction) -> None:
        self.received, self.transaction = received, transaction
        self.flow, self.request, self.key = received.flow, received.request, received.key
        self.context: ResponseContext | None = None
        self.identity: str | None = None
        self.came_by: ListenerAddress | None = None
        self.begun: Begun | None = None
        self.offer: Offer | None = None
        self._anonymous: AnonymousBody | None = None
        self.sent: dict[int, SentBranch] = {}
        self.account, self.size = received.flow.account if received.account is None else received.account, 0
        self.rings, self.began, self.dialog = False, 0.0, ""

    @property
    def is_answered(self) -> bool:
        """Whether its sender has the final response."""
        return self.context is not None and self.context.answered

    def anonymous_body(self) -> AnonymousBody:
        """Give the body without its user, one for all branches."""
        if self._anonymous is None:
            self._anonymous = AnonymousBody(self.request)
        return self._anonymous

    def drop_body(self) -> None:
        """Free the body: no branch more is sent."""
        self.request.body = b""
        self._anonymous = None

    @property
    def begins_call(self) -> bool:
        """Whether it is the INVITE of a new call."""
        return self.request.method == "INVITE" and self.request.to.tag is None

    def ring(self) -> None:
        """Count it among the calls that ring, if it begins one: it is not accepted yet."""
        if self.begins_call and not self.rings:
            self.rings = True
            self.flow.ringing.add(self.request.call_id)

    def ring_no_more(self) -> None:
        """Stop counting it as a call that rings: its sender gets the final response, or is gone."""
        if self.rings:
            self.rings = False
            self.flow.ringing.remove(self.request.call_id)

    def hold(self, size: int) -> None:
        """Count *size* octets for the request instead of the previous number."""
        self.account.add(0, size - self.size)
        self.size = size


class AnsweredToken:
    """Our token in the Record-Route for the initiator of a dialog: *text* is made of *unanswered*, *tag* and *onward*.

    See `Tokens.answered`. All responses of one phone to an INVITE have the same tag, so it is made once.
    """

    __slots__ = ("onward", "tag", "text", "unanswered")

    def __init__(self, unanswered: str, tag: str, onward: bytes, text: str) -> None:
        self.unanswered, self.tag, self.onward, self.text = unanswered, tag, onward, text


class SentBranch:
    """One branch that was sent: the link that it used, the request as it was sent (for ACK and CANCEL), and its transaction.

    *due* is the queue that holds its deadline. *began* is the loop time in seconds at which it was sent. *size* is the number
    of octets that are counted for it. *waits*: the branch itself is counted. *rings*: so is the call that it begins.
    *is_carried*: it passes between a user's link here and the home pool of this user. *responses* is the number of responses
    that have come. *answered* is our token for the initiator of the dialog after the last response that had a To tag. *bridge* is
    set if its media pass rtpengine. *is_challenged*: a trunk has challenged it, and may get credentials. *dialog* is the key of
    the dialog that its last 2xx has begun.
    """

    __slots__ = (
        "answered",
        "began",
        "branch",
        "bridge",
        "cancelled",
        "dialog",
        "due",
        "flow",
        "is_carried",
        "is_challenged",
        "number",
        "proxied",
        "request",
        "responses",
        "rings",
        "size",
        "transaction",
        "waits",
    )

    def __init__(
        self,
        proxied: ProxiedRequest,
        number: int,
        branch: str,
        flow: Flow,
        request: Request,
        transaction: ClientTransaction,
    ) -> None:
        self.proxied, self.number, self.branch = proxied, number, branch
        self.flow, self.request, self.transaction = flow, request, transaction
        self.cancelled, self.is_carried, self.began = False, False, 0.0
        self.due: TimeoutQueue[SentBranch] | None = None
        self.size, self.waits, self.rings = 0, False, False
        self.responses, self.dialog = 0, ""
        self.answered: AnsweredToken | None = None
        self.bridge: Bridge | None = None
        self.is_challenged = False

    def count(self, size: int) -> None:
        """Count the branch and its *size* octets on the account of the request's sender."""
        self.proxied.account.add(1, size)
        self.size, self.waits = size, True
        if self.request.method == "INVITE" and self.proxied.begins_call:
            self.rings = True
            self.flow.ringing.add(self.proxied.request.call_id)

    def settle(self) -> None:
        """Stop counting it as a branch that waits for its final response, and drop its body."""
        if not self.waits:
            return
        body = len(self.request.body)
        self.proxied.account.add(-1, -body)
        self.size, self.waits = self.size - body, False
        if self.rings:
            self._rings_no_more()
        self.request.body = b""

    def forget(self) -> None:
        """Stop counting the branch and its octets."""
        self.proxied.account.add(-1 if self.waits else 0, -self.size)
        self.size, self.waits = 0, False
        if self.rings:
            self._rings_no_more()

    def _rings_no_more(self) -> None:
        self.rings = False
        self.flow.ringing.remove(self.proxied.request.call_id)
