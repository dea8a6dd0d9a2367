"""A phone: it connects, logs in, registers, sends and answers, as its plan says; the checks look at what arrives."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from simulation.tls import VirtualTls
from simulation.virtual_sockets import ROOM, Record, VirtualSocket
from sipmesh.errors import RemoteError
from sipmesh.sip.digest import answer, parse_challenge
from sipmesh.sip.framing import Keepalive, MessageReader, ReadLimits
from sipmesh.sip.message import Request, Response, build_request, respond
from sipmesh.transport.tls.pyopenssl import Room
from sipmesh.transport.tls.results import HandshakeError, Progress, TlsError

if TYPE_CHECKING:
    from simulation.world import World

MARK: Final = "x-mark"
ANONYMOUS: Final = "sip:anonymous@anonymous.invalid"
"""The From of a phone that hides its user (RFC 3323 section 4.1.1.3)."""

STRANGER: Final = "sip:stranger"
"""How a name begins that no user has."""

EXPIRES_PARAMETER: Final = re.compile(r";expires=(\d+)")
EXPIRES_S: Final = 110
REFRESH_S: Final = 60.0
LONG_S: Final = 3_600
"""The registration of a phone that stays where it is: it is not refreshed within a run."""

LAPSED_S: Final = 15.0
"""How long a phone has no registration whose time is over, before it registers again."""

PING_S: Final = 50.0
PATIENCE_S: Final = 12.0
"""When a caller gives up, and cancels."""

PATIENT_S: Final = 50.0
"""When every second caller does so: later than timer B of the servers."""

RINGS_S: Final = 6.0
SILENT: Final = 0.1
"""How often a phone does not answer an INVITE at all."""

ACKNOWLEDGED_S: Final = 4.0
HANDSHAKE_S: Final = 8.0
RETRY_S: Final = 5.0
MOST_PAUSE_S: Final = 8.0


@dataclass(eq=False)
class Transaction:
    """A request that a phone has sent, until its final response or the end of its link."""

    request: Request
    mark: str
    sent_at: float
    finals: list[tuple[int, str]] = field(default_factory=list)
    proved: bool = False
    ringing: bool = False
    cancelled_at: float = 0.0
    cancel_answers: int = 0
    ended_at: float = 0.0
    repeated: bool = False

    def __post_init__(self) -> None:
        self.method = self.request.method

    @property
    def is_stranger(self) -> bool:
        """Whether it registers a name that no user has."""
        return self.method == "REGISTER" and self.request.to.aor.startswith(STRANGER)


@dataclass(eq=False)
class Ringing:
    """An INVITE that rings at a phone."""

    request: Request
    since: float
    answered: bool = False
    cancelled: bool = False


class Phone:
    """A device of *user* in *domain*; *servers* are the names of the front ends that it tries in turn.

    *chain* is the certificate chain of an application: it connects to the server port, and does not register. A phone that
    *stays* registers once for long, and moves only if it loses its link.
    """

    def __init__(
        self,
        world: World,
        name: str,
        aor: str,
        password: str,
        servers: tuple[str, ...],
        chain: tuple[bytes, ...] = (),
        *,
        stays: bool = False,
    ) -> None:
        self.world, self.name, self.aor, self.password = world, name, aor, password
        self.servers, self.chain, self.stays = servers, chain, stays
        self.user, _, self.domain = aor.removeprefix("sip:").partition("@")
        self.server = ""
        self.sock: VirtualSocket | None = None
        self.up = False
        self.up_at = 0.0
        self.registered_at = 0.0  # loop time of the 200 to our newest REGISTER on this link; 0.0 if there is none
        self.registered_until = 0.0
        self.asked_at = 0.0  # when we sent our newest REGISTER without a proof
        self._brief_until = 0.0  # until then nothing is refreshed
        self.unregistered_at = 0.0  # loop time of the 200 to a REGISTER with expires 0, until the next REGISTER
        self.troubled_at = -1e9  # when the way to our server, or the server, was last in trouble
        self.wanted = True  # False: the phone stays off
        self.reads = True  # False: the phone takes nothing from its socket
        self.pending: dict[str, Transaction] = {}
        self.rings: dict[str, Ringing] = {}
        self.acknowledged: set[str] = set()
        self._room = Room()
        self._pause = 0.5
        self._attempts = self._cseq = 0

    def __repr__(self) -> str:
        return f"<Phone {self.name} at {self.server}>"

    @property
    def contact(self) -> str:
        """Our Contact: the same on each link, or another one on each, as behind a NAT."""
        link = f"-{self._attempts}" if self.name.endswith("2") else ""
        return f"<sip:{self.user}@{self.name}{link}.invalid;transport=tls>"

    # The link

    def connect(self) -> None:
        """Connect to the next server."""
        if not self.wanted or self.sock is not None:
            return
        self.server = self.servers[self._attempts % len(self.servers)]
        self._attempts += 1
        sock = self.sock = VirtualSocket(self.world.network, self.name, None)
        sock.notice = lambda: self._noticed(sock)
        self._tls = VirtualTls(sock, opening=True, chain=self.chain, wants=False, name=self.domain)
        self._reader = MessageReader(ReadLimits())
        self._shaking = False
        self._alarm(HANDSHAKE_S, self._too_late, sock)
        self.world.network.connect(sock, (self.world.address(self.server), self._port))

    @property
    def _port(self) -> int:
        return 5062 if self.chain else 5061

    def _alarm(self, seconds: float, callback: object, *args: object) -> None:
        self.world.loop.call_later(seconds, callback, *args)  # type: ignore[arg-type]

    def _too_late(self, sock: VirtualSocket) -> None:
        if self.sock is sock and not self.up:
            self.hang_up("the handshake takes too long")

    def _noticed(self, sock: VirtualSocket) -> None:
        """Read what is there, unless the phone does not read."""
        if self.sock is not sock or not self.reads:
            return
        try:
            if not self.up:
                self._shake()
            while self.up and self.sock is sock and (data := self._tls.read(self._room)) != b"":
                if data is None:
                    self.hang_up("closed by the server")
                    return
                for item in self._reader.feed(data):
                    if self.sock is sock and not isinstance(item, Keepalive):
                        self._arrived(item)
        except (TlsError, HandshakeError) as lost:
            if self.sock is sock:
                self.hang_up(str(lost))

    def _shake(self) -> None:
        sock = self.sock
        assert sock is not None
        if sock.error:
            raise TlsError(f"error {sock.error}")
        if sock.connected and self._tls.handshake() is Progress.DONE:
            self.up, self.up_at = True, self.world.loop.now
            self.world.tell(self.name, "link up", self.server)
            if self.chain:
                return
            self.register(sock)
            self._alarm(PING_S, self._ping, sock)

    def turn_deaf(self, window: int) -> None:
        """Read nothing any more; so many octets fit into the socket."""
        self.reads = False
        if self.sock is not None:
            self.sock.window = window

    def listen(self) -> None:
        """Read again, and first what has waited."""
        self.reads = True
        if self.sock is not None:
            self.sock.window = ROOM
            self._noticed(self.sock)

    def hang_up(self, why: str) -> None:
        """End the link, forget what belongs to it, and connect again after a pause."""
        sock, self.sock = self.sock, None
        if sock is None:
            return
        if self.up:
            self.world.tell(self.name, "link down", f"{self.server}: {why}")
            self._pause = 0.5
        self._tls.close()
        self.up, self.registered_at, self.unregistered_at, self._brief_until = False, 0.0, 0.0, 0.0
        self.pending.clear()
        self.rings.clear()
        self._pause = min(self._pause * 2, MOST_PAUSE_S)
        self._alarm(self._pause * (0.5 + self.world.chance.random()), self.connect)

    def leave(self, seconds: float) -> None:
        """Stay away for so long."""
        self.wanted = False
        self.hang_up("the user leaves")
        self._alarm(seconds, self._come_back)

    def _come_back(self) -> None:
        self.wanted = True
        self.connect()

    def _ping(self, sock: VirtualSocket) -> None:
        if self.sock is sock and self.up:
            self._write(b"\r\n\r\n")
            self._alarm(PING_S, self._ping, sock)

    def _write(self, data: bytes) -> None:
        """Write everything: what a phone sends is small."""
        try:
            self._tls.write(data, self._room)
        except TlsError as lost:
            self.hang_up(str(lost))

    # Requests out

    @property
    def is_registered(self) -> bool:
        """Whether a registration of ours was answered with 200, and its time is not over."""
        return bool(self.registered_at) and self.world.loop.now < self.registered_until

    @property
    def is_brief(self) -> bool:
        """Whether our registration is to run out."""
        return self.world.loop.now < self._brief_until

    def register(self, sock: VirtualSocket | None = None, expires_s: int | None = None) -> None:
        """Register, and again at intervals as long as this link is up."""
        if self.sock is None or not self.up or (sock is not None and sock is not self.sock):
            return
        if sock is not None:
            self._alarm(REFRESH_S * (0.7 + 0.6 * self.world.chance.random()), self.register, sock)
        if expires_s is None and (self.is_brief or (self.stays and self.is_registered)):
            return
        self.unregistered_at, self.asked_at = 0.0, self.world.loop.now
        usual = LONG_S if self.stays else EXPIRES_S
        expires = (("expires", str(usual if expires_s is None else expires_s)),)
        self.request("REGISTER", f"sip:{self.domain}", to=self.aor, call_id=f"r-{self.name}", headers=expires)

    def register_briefly(self, expires_s: int) -> None:
        """Register for *expires_s* seconds, and again some seconds after that time is over."""
        now = self.world.loop.now
        self._brief_until = now + expires_s + LAPSED_S
        self.register(expires_s=expires_s)
        self._alarm(expires_s + LAPSED_S, self._register_again, self.sock)

    def request(
        self,
        method: str,
        uri: str,
        *,
        to: str = "",
        claims: str = "",
        call_id: str = "",
        tags: tuple[str, str] = ("", ""),
        headers: tuple[tuple[str, str], ...] = (),
        cseq: int = 0,
        twice: bool = False,
        hides: bool = False,
    ) -> Transaction | None:
        """Send a request as ourselves, or as whom it *claims* to be from; *twice* sends it again with the same octets.

        If it *hides* us, no field of it may show who we are to its receiver (RFC 3323).
        """
        if not self.up:
            return None
        self._cseq += not cseq
        mark = self.world.mark(self)
        to_tag = f";tag={tags[1]}" if tags[1] else ""
        if hides:
            number = mark.rpartition("-")[2]
            claims, tags, call_id = claims or ANONYMOUS, (tags[0] or f"h{number}", tags[1]), call_id or f"h-{number}"
            headers = (*headers, ("privacy", "id;user"))
        rows = [
            ("via", f"SIP/2.0/TLS {self.name}.invalid;branch=z9hG4bK-{mark}"),
            ("max-forwards", "70"),
            ("from", f"<{claims or self.aor}>;tag={tags[0] or self.name}"),
            ("to", f"<{to or uri}>{to_tag}"),
            ("call-id", call_id or f"c-{mark}"),
            ("cseq", f"{cseq or self._cseq} {method}"),
            ("contact", self.contact),
            (MARK, mark),
            *headers,
        ]
        return self._send(build_request(method, uri, rows, b""), mark, twice=twice)

    def _send(self, request: Request, mark: str, *, twice: bool = False) -> Transaction:
        transaction = Transaction(request, mark, self.world.loop.now, repeated=twice)
        self.world.checks.sent(self, transaction)
        if request.method != "ACK":
            self.pending[request.top_via.branch or ""] = transaction
        self.world.tell(self.name, "sends", f"{request.method} {request.uri} {mark}")
        if (
            twice and self.sock is not None
        ):  # in one record: what came after the answer would be a new request (timer J)
            self.sock.put(Record("data", 2 * request.encode(), whole=True))
        else:
            self._write(request.encode())
        if request.method == "INVITE":
            is_patient = self._cseq % 2 == 0 and not self.world.is_settling
            self._alarm(PATIENT_S if is_patient else PATIENCE_S, self._give_up, self.sock, transaction)
        return transaction

    def send_again(self, transaction: Transaction, sock: VirtualSocket) -> None:
        """Send a request again, in a new transaction."""
        if self.sock is not sock or not self.up:
            return
        again = transaction.request.copy()
        self.world.stored.repeated.add(transaction.mark)
        again.replace("via", f"SIP/2.0/TLS {self.name}.invalid;branch=z9hG4bK-{self.world.mark(self)}")
        copy = Transaction(again, transaction.mark, transaction.sent_at)
        self.pending[again.top_via.branch or ""] = copy
        self.world.tell(self.name, "sends again", f"{again.method} {again.uri} {transaction.mark}")
        self._write(again.encode())

    def _give_up(self, sock: VirtualSocket, transaction: Transaction) -> None:
        if self.sock is sock and not transaction.finals:
            self.cancel(transaction)

    def cancel(self, transaction: Transaction) -> None:
        """Cancel an INVITE of ours that rings."""
        invite = transaction.request
        if not self.up or transaction.finals or transaction.cancelled_at:
            return
        transaction.cancelled_at = self.world.loop.now
        rows = [(name, invite.first(name) or "") for name in ("via", "max-forwards", "from", "to", "call-id")]
        rows.append(("cseq", f"{invite.cseq.number} CANCEL"))
        self.world.tell(self.name, "sends", f"CANCEL {transaction.mark}")
        self._write(build_request("CANCEL", invite.uri, rows, b"").encode())

    # What arrives

    def _arrived(self, message: Request | Response) -> None:
        if isinstance(message, Request):
            self.world.tell(self.name, "receives", f"{message.method} {message.first(MARK) or ''}")
            self.world.checks.request_arrived(self, message)
            self._requested(message)
            return
        self.world.tell(self.name, "receives", f"{message.status} {message.cseq.method} {message.call_id}")
        self._responded(message)

    def _requested(self, request: Request) -> None:
        """Answer as a phone does: messages at once or late, calls after some seconds."""
        sock, key = self.sock, request.call_id
        if request.method == "CANCEL":
            self.reply(request, 200)
            ring = self.rings.get(key)
            if ring is not None and not ring.answered:
                ring.answered = ring.cancelled = True
                self.reply(ring.request, 487)
        elif request.method == "ACK":
            self.acknowledged.add(key)
        elif request.method == "INVITE":
            if request.to.tag is None and self.world.chance.random() < SILENT and not self.world.is_settling:
                self.world.tell(self.name, "ignores", f"INVITE {key}")
            elif request.to.tag is None:
                self.rings[key] = Ringing(request, self.world.loop.now)
                self.reply(request, 180)
                self._alarm(RINGS_S * self.world.chance.random(), self._pick_up, sock, key)
            else:
                self.reply(request, 200)
        else:
            late, chance = self.world.chance.random() < 0.1, self.world.chance.random()
            if request.method == "MESSAGE" and self.world.stored.ignores(request.first(MARK) or "", chance):
                return
            self._alarm(2.0 * self.world.chance.random() if late else 0.0, self._reply_on, sock, request)

    def _reply_on(self, sock: VirtualSocket, request: Request) -> None:
        if self.sock is sock:
            self.reply(request, 200)
            if request.method == "MESSAGE":
                self.world.stored.answered(request.first(MARK) or "")

    def _pick_up(self, sock: VirtualSocket, key: str) -> None:
        ring = self.rings.get(key)
        if self.sock is sock and ring is not None and not ring.answered and self.world.chance.random() < 0.7:
            ring.answered = True
            self.reply(ring.request, 486 if self.world.chance.random() < 0.2 else 200)

    def reply(self, request: Request, status: int) -> None:
        """Answer a request."""
        if not self.up:
            return
        routes = [("record-route", value) for value in request.values("record-route")]
        rows = [*routes, ("contact", self.contact)]
        tag = f"{self.name}-{request.call_id}"[:60]
        self.world.tell(self.name, "answers", f"{status} {request.method} {request.first(MARK) or ''}")
        self._write(respond(request, status, headers=rows, to_tag=tag).encode())
        if request.method == "INVITE" and status >= 300:
            now = self.world.loop.now
            self._alarm(ACKNOWLEDGED_S, self.world.checks.must_be_acknowledged, self, self.sock, request.call_id, now)

    def _responded(self, response: Response) -> None:
        transaction = self.pending.get(response.top_via.branch or "")
        if response.cseq.method == "CANCEL":
            self.world.checks.cancel_answered(self, response, transaction)
            return
        self.world.checks.response_arrived(self, response, transaction)
        if transaction is None:
            return
        if response.status < 200:
            transaction.ringing = transaction.ringing or response.status == 180
            return
        transaction.finals.append((response.status, response.to.tag or ""))
        transaction.ended_at = transaction.ended_at or self.world.loop.now
        if transaction.is_stranger:
            self.world.strangers.challenged(self, transaction.request.to.aor, response)
            return
        if response.status in {401, 407} and not transaction.proved:
            self._prove(transaction, response)
        if response.cseq.method == "INVITE":
            self._acknowledge(transaction, response)
        elif response.cseq.method == "BYE":
            self.world.checks.call_ended(self, transaction, response.status)
        elif response.cseq.method == "REGISTER" and response.status == 200:
            self._registered(transaction, response)
        elif response.cseq.method == "REGISTER" and response.status >= 500:
            self.registered_at = self.unregistered_at = 0.0  # the server may have stored it, or not
            self._alarm(RETRY_S, self._register_again, self.sock)

    def _register_again(self, sock: VirtualSocket) -> None:
        if self.sock is sock:
            self.register()

    def _granted(self, response: Response, asked: int) -> int:
        """Return for how many seconds the server has taken our Contact."""
        ours = (value for value in response.values("contact") if self.name in value)
        found = EXPIRES_PARAMETER.search(next(ours, ""))
        return int(found[1]) if found is not None else asked

    def _registered(self, transaction: Transaction, response: Response) -> None:
        asked, now = int(transaction.request.first("expires") or "0"), self.world.loop.now
        expires = min(asked, self._granted(response, asked))
        self.registered_at, self.unregistered_at = (now, 0.0) if expires else (0.0, now)
        self.registered_until = now + expires
        self._pause = 0.25
        self.world.checks.registered(self, transaction)

    def _prove(self, transaction: Transaction, response: Response) -> None:
        field = "www-authenticate" if response.status == 401 else "proxy-authenticate"
        proof = "authorization" if response.status == 401 else "proxy-authorization"
        asked = transaction.request
        if asked.has(proof):
            return
        challenges = [parse_challenge(value) for value in response.values(field)]
        try:
            value = answer(challenges, self.user, self.password, asked.method, asked.uri, "cnonce", 1)
        except RemoteError:
            return
        self._cseq += 1
        again, mark = asked.copy(), self.world.mark(self)
        again.replace("via", f"SIP/2.0/TLS {self.name}.invalid;branch=z9hG4bK-{mark}")
        again.replace("cseq", f"{self._cseq} {asked.method}")
        again.replace(MARK, mark)
        again.append(proof, value)
        self._send(again, mark)

    def _acknowledge(self, transaction: Transaction, response: Response) -> None:
        """Acknowledge a final response to an INVITE; a call that is up ends some seconds later."""
        invite = transaction.request
        if response.status >= 300:
            rows = [(name, invite.first(name) or "") for name in ("via", "max-forwards", "from", "call-id")]
            rows += [("to", response.first("to") or ""), ("cseq", f"{invite.cseq.number} ACK")]
            self._write(build_request("ACK", invite.uri, rows, b"").encode())
            return
        self.world.checks.call_began(invite.call_id, transaction.sent_at)
        routes = tuple(("route", value) for value in reversed(response.values("record-route")))
        tags = invite.from_.tag or "", response.to.tag or ""
        contact = _uri_of(response)
        inside: dict[str, Any] = {"to": invite.to.aor, "call_id": invite.call_id, "tags": tags, "headers": routes}
        inside["hides"] = invite.has("privacy")
        self.request("ACK", contact, cseq=invite.cseq.number, **inside)
        self._alarm(3.0 * self.world.chance.random(), self._hang_up_call, self.sock, contact, inside)

    def _hang_up_call(self, sock: VirtualSocket, contact: str, inside: dict[str, Any]) -> None:
        if self.sock is sock and self.up:
            self.request("BYE", contact, **inside)


def _uri_of(response: Response) -> str:
    """Return the URI of the Contact."""
    value = response.first("contact") or ""
    return value.partition("<")[2].partition(">")[0]
