"""The user agent: one user on one link to a judged server; it sends requests, and answers requests."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from math import inf
from types import TracebackType
from typing import Self

from sipmesh.client.answering import MOST_EVENTS, Answering, Event, Manners
from sipmesh.client.call import OutgoingCall
from sipmesh.client.judge import Trust, judge_server
from sipmesh.client.line import ClientLink
from sipmesh.client.login import Login
from sipmesh.client.outcome import Outcome
from sipmesh.client.party import METHODS, Headers, Party
from sipmesh.errors import LocalError, RemoteError, SipmeshError
from sipmesh.routing.proxy.locate import SIPS, TLS_PORT, is_ip
from sipmesh.routing.registrar.address_of_record import read_address
from sipmesh.sip.check import check_response
from sipmesh.sip.framing import FramingError, Keepalive
from sipmesh.sip.message import Request, Response
from sipmesh.sip.text import is_digits
from sipmesh.transport.connector import Connector
from sipmesh.transport.hop import Hop
from sipmesh.transport.link.events import LinkEvents
from sipmesh.transport.link.link import Link
from sipmesh.transport.reactor.reactor import Reactor
from sipmesh.transport.resolver import Resolver
from sipmesh.transport.tls.contexts import ClientContext
from sipmesh.trust.evidence import LinkKind, PeerEvidence
from sipmesh.trust.verdict import LinkRefused, Verdict

FLOW_TIMER_SHARE = 0.9
"""RFC 5626 4.4: send a keepalive after 80 to 100 percent of the time in the server's Flow-Timer."""

LONG_BODY = 10_000
"""Octets; a server may refuse a longer body of a client that has not logged in on the link."""

SHORTEST_KEEPALIVE_S = 5.0
LONGEST_FLOW_TIMER = 8
"""A Flow-Timer with as many digits, or more, is ignored."""


class LinkLostError(SipmeshError):
    """The link could not be opened, or has closed; the text is the reason."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of an agent; times in seconds."""

    manners: Manners = field(default_factory=Manners)
    expires_s: int = 600
    keepalive_s: float = 95.0  # RFC 5626 4.4.1: over TCP at least 95 and at most 120 by default
    pong_within_s: float = 10.0  # RFC 5626 4.4.1: a flow without an answer to a keepalive by then has failed


class UserAgent(LinkEvents):
    """One user on one link. Use it as an asynchronous context manager, or `close` it.

    *events* has the messages and calls that arrive; the agent answers them as `Manners` say. *verdict* is the verdict on the
    server, and `link` has the TLS version and cipher suite.
    """

    def __init__(
        self,
        address: str,
        password: str = "",
        *,
        trust: Trust,
        resolver: Resolver | None = None,
        reactor: Reactor | None = None,
        settings: Settings | None = None,
        instance: str = "",
    ) -> None:
        """Make an agent for *address* (``alice@example.com``); it does nothing before `connect`.

        Without *resolver* the server must be given by IP address; *reactor* may be shared between agents. An agent that
        replaces another has the same *instance* (`party.new_instance`): its registration replaces the other one.
        """
        self.party = Party.of(read_address(address), instance)
        self.settings = settings or Settings()
        self.events: asyncio.Queue[Event] = asyncio.Queue(MOST_EVENTS)
        self.refusals: list[Verdict] = []
        self.link: Link | None = None
        self._login = Login(self.party.user, self.party.domain, password)
        self._trust, self._resolver = trust, resolver
        self._reactor, self._owns_reactor = reactor, reactor is None
        self._connector: Connector | None = None
        self._names: tuple[str, ...] = ()
        self._line: ClientLink | None = None
        self._answering: Answering | None = None
        self._up: asyncio.Future[Verdict] | None = None
        self._gone = asyncio.Event()
        self._alarm: asyncio.TimerHandle | None = None
        self._flow_timer_s = inf  # from the server's Flow-Timer; infinite without one
        self._registration, self._cseq = secrets.token_hex(12), 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, _type: type[BaseException] | None, _error: object, _trace: TracebackType | None) -> None:
        await self.close()

    @property
    def verdict(self) -> Verdict | None:
        """The verdict on the server; None before the handshake is over."""
        return self.link.verdict if self.link is not None else None

    # What a user does

    async def connect(self, server: str | None = None, port: int | None = None) -> Verdict:
        """Open the link and judge the server: it has to prove our SIP domain, or *server* if that is a name.

        Without *server*, DNS locates the server by the SIP domain (``_sips._tcp``). Raises `LinkRefused` with the verdict, or
        `LinkLostError` if no server was judged.
        """
        if self.link is not None:
            raise LocalError(f"{self!r} has a link already")
        loop = asyncio.get_running_loop()
        domain = self.party.domain
        self._names = (domain,) if server is None or is_ip(server) else (domain, server)
        self._reactor = self._reactor or Reactor(loop)
        context = ClientContext(self._trust.anchors)
        self._connector = Connector(self._reactor, self, lambda _hop: context, self._resolver)
        self._up = loop.create_future()
        self.link = self._connector.dial(_hop(domain, server, port))
        return await self._up

    async def register(self, expires_s: int | None = None) -> Outcome:
        """Register on this link for *expires_s* seconds; 0 removes the registration."""
        line, party = self._ready()[0], self.party
        expires = self.settings.expires_s if expires_s is None else expires_s
        contact = f'{line.party.contact};+sip.instance="{party.instance}";reg-id=1;expires={expires}'
        headers = [("contact", contact), ("supported", "outbound"), ("allow", METHODS)]
        request = line.party.outside(
            "REGISTER", f"sip:{party.domain}", party.aor, headers, call_id=self._registration, cseq=self._cseq + 1
        )
        outcome = await line.ask(request)
        self._cseq = outcome.response.cseq.number
        if outcome.ok:
            self._keep_alive(outcome.response.first("flow-timer") or "")
        return outcome

    async def log_in(self) -> Outcome:
        """Prove the password on this link, and register nothing: ask for our registrations (RFC 3261 section 10.2.3)."""
        line, party = self._ready()[0], self.party
        return await line.ask(line.party.outside("REGISTER", f"sip:{party.domain}", party.aor))

    async def message(self, to: str, text: str, content_type: str = "text/plain;charset=UTF-8") -> Outcome:
        """Send a MESSAGE and return its final response (RFC 3428). A server reads a long one only after a login."""
        line, uri, body = self._ready()[0], str(read_address(to)), text.encode()
        if len(body) > LONG_BODY:
            login = await self.log_in()
            if not login.ok:
                return login
        return await line.ask(line.party.outside("MESSAGE", uri, uri, (), body, content_type=content_type))

    async def options(self, to: str | None = None) -> Outcome:
        """Send OPTIONS to *to*, or to the server: the smallest request there is."""
        line = self._ready()[0]
        uri = f"sip:{self.party.domain}" if to is None else str(read_address(to))
        return await line.ask(line.party.outside("OPTIONS", uri, uri, [("accept", "application/sdp")]))

    async def request(
        self, method: str, to: str, headers: Headers = (), body: bytes = b"", *, sender: str | None = None
    ) -> Outcome:
        """Send any request outside a dialog, and return its final response; *sender* replaces our address in From."""
        line, uri = self._ready()[0], str(read_address(to))
        party = line.party if sender is None else replace(line.party, address=read_address(sender))
        return await line.ask(party.outside(method, uri, uri, headers, body))

    def invite(self, to: str, offer: bytes = b"") -> OutgoingCall:
        """Start a call; `OutgoingCall.answered` returns its final response. Without *offer*, the offer has no media."""
        line, answering = self._ready()
        call = OutgoingCall(line, str(read_address(to)), offer)
        answering.add(call)
        return call

    async def call(self, to: str, offer: bytes = b"") -> OutgoingCall:
        """Make a call, and wait until it is answered or refused; `OutgoingCall.answered` then returns at once."""
        call = self.invite(to, offer)
        await call.answered()
        return call

    async def gone(self) -> None:
        """Wait until the link has closed."""
        await self._gone.wait()

    async def close(self) -> None:
        """Write what waits, close the link, and release everything; an agent cannot be used again."""
        if self.link is not None:
            self.link.drain()
            await self._gone.wait()
        if self._connector is not None:
            await self._connector.close()
        if self._reactor is not None and self._owns_reactor:
            self._reactor.close()
            self._reactor = None

    def _ready(self) -> tuple[ClientLink, Answering]:
        if self._line is None or self._answering is None or self.link is None or not self.link.usable:
            raise LinkLostError(f"{self.party.aor} has no link: {self.link.why if self.link else 'never connected'}")
        return self._line, self._answering

    # Events of the link (LinkEvents)

    def judge(self, _link: Link, evidence: PeerEvidence) -> Verdict:
        """Judge the server at the present time of our clock."""
        return judge_server(evidence, self._names, self._trust, at=datetime.now(UTC))

    def link_up(self, link: Link) -> None:
        """The server was accepted: start keepalives, and let `connect` return."""
        loop = asyncio.get_running_loop()
        self._line = ClientLink(loop, link, self.party.at(link.local), self._login)
        self._answering = Answering(self._line, self.settings.manners, self.events)
        self._alarm = loop.call_later(self._keepalive_s, self._ping)
        if self._up is not None and not self._up.done() and link.verdict is not None:
            self._up.set_result(link.verdict)

    def arrived(self, _link: Link, message: Request | Response) -> None:
        """Process a message: a response to one of our requests, or a request."""
        if self._line is None or self._answering is None:
            raise LocalError("a message before the link was up")
        if isinstance(message, Request):
            self._answering.serve(message)
            return
        with suppress(RemoteError):  # RFC 3261 18.1.2: a malformed response is dropped
            check_response(message)
            self._line.exchanges.receive(message)

    def faulty(self, _link: Link, _fault: FramingError) -> bytes | None:
        """Return None: there is no answer to what is not SIP."""
        return None

    def refused(self, verdict: Verdict) -> None:
        """Record the refusal of the server at one address; the next address is tried."""
        self.refusals.append(verdict)

    def link_down(self, _link: Link, why: str, verdict: Verdict | None) -> None:
        """The link has closed, or never came up: everything that waits gets the error."""
        error: SipmeshError = LinkLostError(why)
        if verdict is not None and not verdict.accepted:
            error = LinkRefused(verdict)
        if self._alarm is not None:
            self._alarm.cancel()
        if self._line is not None:
            self._line.exchanges.lose(error)
        if self._answering is not None:
            self._answering.lose()
        if self._up is not None and not self._up.done():
            self._up.set_exception(error)
        self._gone.set()

    # Keepalives (RFC 5626 section 4.4.1)

    def _keep_alive(self, flow_timer: str) -> None:
        """Send keepalives as the server's Flow-Timer says (RFC 5626 4.4), if that is more often than our own setting."""
        if not (is_digits(flow_timer) and len(flow_timer) < LONGEST_FLOW_TIMER):
            return
        wanted = max(FLOW_TIMER_SHARE * int(flow_timer), SHORTEST_KEEPALIVE_S)
        if wanted < self._keepalive_s and self._alarm is not None and self.link is not None and self.link.usable:
            self._flow_timer_s = wanted
            self._alarm.cancel()
            self._alarm = asyncio.get_running_loop().call_later(wanted, self._ping)

    @property
    def _keepalive_s(self) -> float:
        return min(self.settings.keepalive_s, self._flow_timer_s)

    def _ping(self) -> None:
        if self.link is not None and self.link.send(Keepalive.PING.value):
            loop = asyncio.get_running_loop()
            self._alarm = loop.call_later(self.settings.pong_within_s, self._expect_pong, loop.time())

    def _expect_pong(self, since: float) -> None:
        if self.link is None:
            return
        if self.link.last_in < since:
            self.link.close(f"the server answered no keepalive within {self.settings.pong_within_s:g} s")
        else:
            self._alarm = asyncio.get_running_loop().call_later(self._keepalive_s, self._ping)


def _hop(domain: str, server: str | None, port: int | None) -> Hop:
    """Return where to connect; the name that the server has to prove is not decided here."""
    if server is None:
        return Hop(domain, LinkKind.CLIENT, service=SIPS, port=port)
    return Hop(domain, LinkKind.CLIENT, addresses=((server, port or TLS_PORT),))
