"""A small home server: real TLS, real digest, a real registrar; it forwards by user name and keeps no state."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from hashlib import blake2s
from pathlib import Path
from typing import Any, Self

from sipmesh.client.agent import Settings, UserAgent
from sipmesh.client.answering import Manners
from sipmesh.client.call import IncomingCall
from sipmesh.client.judge import Trust
from sipmesh.client.outcome import Text
from sipmesh.demo.forge import Forge
from sipmesh.routing.authentication.digest import Challenge, Proved, Refused, authenticate, claimed
from sipmesh.routing.authentication.verifier import Verifier
from sipmesh.routing.registrar.registrar import Binding, FlowFacts, RegistrarLimits, decide
from sipmesh.sip.digest import Algorithm, Nonces, ha1
from sipmesh.sip.fields import Via
from sipmesh.sip.framing import FramingError
from sipmesh.sip.message import Request, Response, respond
from sipmesh.topology.document.listeners import ListenerSpec
from sipmesh.transport.accept.listener import Listener
from sipmesh.transport.link.events import LinkEvents
from sipmesh.transport.link.link import Link
from sipmesh.transport.reactor.reactor import Reactor
from sipmesh.transport.tls.contexts import ClientPortContext, Identity
from sipmesh.trust.evidence import LinkKind, PeerEvidence
from sipmesh.trust.judgement.judge import judge
from sipmesh.trust.policy import LinkPolicy
from sipmesh.trust.trusted_peers import TrustedPeers
from sipmesh.trust.verdict import Verdict

USERS = ("alice", "bob", "carol")
HERE = "127.0.0.1"
PATIENCE_S = 20.0
LINK = 1  # all clients share one number here: nonces are not bound to links


def running(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async test; a test that hangs fails."""

    @wraps(test)
    def run(**fixtures: object) -> None:
        asyncio.run(asyncio.wait_for(test(**fixtures), PATIENCE_S))

    return run


async def text(agent: UserAgent) -> Text:
    """The next message to an agent."""
    event = await agent.events.get()
    assert isinstance(event, Text)
    return event


async def incoming(agent: UserAgent) -> IncomingCall:
    """The next call to an agent."""
    event = await agent.events.get()
    assert isinstance(event, IncomingCall)
    return event


@dataclass(frozen=True)
class Certificates:
    """One authority and one server certificate under it, on disk."""

    forge: Forge
    trust: Trust
    identity: Identity

    @classmethod
    def make(cls, folder: Path, *names: str) -> Self:
        forge = Forge(datetime.now(UTC))
        issuing = forge.organisation("Example")
        root = issuing.issuer
        assert root is not None
        identity = Identity.load(*forge.server(issuing, *names).write(folder, "home"))
        return cls(forge, Trust((root.certificate,), None), identity)


class Home(LinkEvents):
    """The server of example.test. *heard* has every received request; *silent* methods are never answered."""

    def __init__(self, certificates: Certificates, algorithms: tuple[Algorithm, ...] = tuple(Algorithm)) -> None:
        self.certificates, self.algorithms = certificates, algorithms
        self.heard: list[Request] = []
        self._hears = asyncio.Event()
        self.silent: frozenset[str] = frozenset()
        self.links: list[Link] = []
        self.users: dict[str, Link] = {}
        self.rows: dict[str, list[Binding]] = {}
        self.agents: list[UserAgent] = []
        self.nonces = Nonces(b"k" * 32, lifetime_s=60)
        self.reactor = Reactor(asyncio.get_running_loop())
        context = ClientPortContext(certificates.identity)
        self.listener = Listener(self.reactor, ListenerSpec(LinkKind.CLIENT, HERE, 0, HERE, "client"), context, self)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for agent in self.agents:
            await agent.close()
        self.listener.close()
        self.reactor.close()

    async def agent(self, user: str, password: str = "", *, accept_calls: bool = True, busy: bool = False) -> UserAgent:
        """Return a connected and registered agent of *user*, by default with the right password."""
        manners = Manners(accept_calls=accept_calls, message_status=486 if busy else 200)
        trust = self.certificates.trust
        settings = Settings(manners)
        agent = UserAgent(f"{user}@example.test", password or f"{user}-pw", trust=trust, settings=settings)
        self.agents.append(agent)
        await agent.connect(HERE, self.listener.port)
        if not password:
            assert (await agent.register()).status == 200
        return agent

    async def hears(self, method: str, times: int = 1) -> Request:
        """Wait for that many requests of *method*, and return the last one."""
        while len(came := [request for request in self.heard if request.method == method]) < times:
            self._hears.clear()
            await self._hears.wait()
        return came[-1]

    # LinkEvents

    def judge(self, _link: Link, evidence: PeerEvidence) -> Verdict:
        policy = LinkPolicy(LinkKind.CLIENT, "home.example.test", frozenset(), TrustedPeers())
        return judge(evidence, policy, at=datetime.now(UTC))

    def link_up(self, link: Link) -> None:
        self.links.append(link)

    def link_down(self, link: Link, _why: str, _verdict: Verdict | None) -> None:
        self.links.remove(link)

    def faulty(self, _link: Link, fault: FramingError) -> bytes | None:
        raise fault

    def refused(self, verdict: Verdict) -> None: ...

    def arrived(self, link: Link, message: Request | Response) -> None:
        if isinstance(message, Response):
            self.back(message)
            return
        self.heard.append(message)
        self._hears.set()
        if message.method in self.silent:
            return
        response = self.decide(link, message)
        if response is not None and message.method != "ACK":
            link.send(response.encode())

    def decide(self, link: Link, request: Request) -> Response | None:
        if request.method in {"REGISTER", "MESSAGE", "INVITE"} and not link.authenticated:
            asked = self.authenticate(request)
            if isinstance(asked, Challenge):
                return respond(request, asked.status, headers=asked.headers)
            if isinstance(asked, Refused):
                return respond(request, asked.status, asked.reason)
            link.authenticate()
        if request.method == "REGISTER":
            return self.register(link, request)
        return self.forward(link, request)

    def authenticate(self, request: Request) -> Proved | Challenge | Refused:
        aor = claimed(request)
        user = aor[4:].partition("@")[0]
        hashes = {one: ha1(user, "example.test", f"{user}-pw", one) for one in self.algorithms}
        known = Verifier(aor, 1, hashes) if user in USERS else None
        now, entropy = datetime.now(UTC).timestamp(), len(self.heard).to_bytes(8, "big")
        return authenticate(request, aor, known, self.nonces, LINK, at=now, entropy=entropy)

    def register(self, link: Link, request: Request) -> Response:
        aor, flow = request.to.sip_uri.aor, FlowFacts("home", 1, link.number, "token")
        now = datetime.now(UTC).timestamp()
        answered = decide(request, aor, self.rows.get(aor, []), flow, RegistrarLimits(flow_timer_s=0), at=now)
        self.rows[aor] = list(answered.bindings)
        self.users[aor[4:].partition("@")[0]] = link
        return respond(request, answered.status, answered.reason, headers=answered.headers)

    def forward(self, link: Link, request: Request) -> Response | None:
        target = self.users.get(request.ruri.user or "")
        if request.ruri.user is None:
            return respond(request, 200)
        if target is None:
            return respond(request, 404, headers=[("warning", '399 home.example.test "no-route 17"')])
        onward = request.copy()
        # The same branch for the same request, so that CANCEL and ACK match their INVITE at the other end (RFC 3261 16.11).
        branch = blake2s((request.top_via.branch or "").encode(), digest_size=8).hexdigest()
        onward.prepend("via", f"SIP/2.0/TLS home.example.test;branch=z9hG4bK{branch};link={link.number}")
        onward.pop_item("route")
        if request.method == "INVITE":
            onward.prepend("record-route", "<sip:home.example.test;transport=tls;lr>")
        if request.method != "ACK" or request.to.tag is not None:
            target.send(onward.encode())
        return None

    def back(self, response: Response) -> None:
        number = Via.parse(response.pop_item("via") or "").param("link")
        for link in self.links:
            if str(link.number) == number:
                link.send(response.encode())
