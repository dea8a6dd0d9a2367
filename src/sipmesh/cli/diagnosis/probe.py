"""A probe of one address, in stages: TCP, TLS, the verdict, and a SIP request with its response.

In TLS 1.3 the handshake of the connecting side ends before the peer has judged its certificate. So the probe has passed only
when a SIP response has arrived.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sipmesh.cli.diagnosis.websocket_probe import WebSocketAim, probe_websocket
from sipmesh.client.agent import LinkLostError
from sipmesh.client.line import ClientLink
from sipmesh.client.login import Login
from sipmesh.client.outcome import NoAnswerError, Outcome
from sipmesh.client.party import Party
from sipmesh.errors import SipmeshError
from sipmesh.server.management.remedies import remedy_of
from sipmesh.server.management.server_faults import CLOCKS_DIFFER_S
from sipmesh.server.replication.control_links import agree
from sipmesh.server.replication.link_fault import Cause
from sipmesh.server.replication.server_status import PeerKind
from sipmesh.sip.message import Request, Response
from sipmesh.sip.uri import SipUri
from sipmesh.transport.connector import Connector
from sipmesh.transport.link.events import LinkEvents
from sipmesh.transport.reactor.reactor import Reactor
from sipmesh.trust.verdict import LinkRefused, Verdict

if TYPE_CHECKING:
    from sipmesh.sip.framing import FramingError
    from sipmesh.transport.hop import Hop
    from sipmesh.transport.link.link import Link
    from sipmesh.transport.resolver import Resolver
    from sipmesh.transport.tls.contexts import OpeningContext
    from sipmesh.trust.evidence import PeerEvidence

PATIENCE_S = 5.0
"""Seconds that a response to OPTIONS may take: it comes from the next hop itself."""

USER = "sipmesh-probe"

CERTIFICATE_REQUIRED = "certificate required"
"""The alert of a peer that wants a certificate and has received none (RFC 8446 section 6.2, alert 116)."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of the probe, TCP, TLS, verdict or SIP: *told* says what was found."""

    stage: str
    passed: bool
    told: str


@dataclass(slots=True)
class ProbeResult:
    """The result of a probe; *verdict* is the last one: a peer that refuses us late changes it.

    *ahead_s* are the seconds by which the handshake has shown the clock of the peer ahead of ours, None if it has shown none.
    """

    address: str
    stages: list[Stage] = field(default_factory=list)
    verdict: Verdict | None = None
    ahead_s: float | None = None

    @property
    def good(self) -> bool:
        """Whether every stage has passed, and a SIP response has arrived."""
        return bool(self.stages) and all(stage.passed for stage in self.stages)

    def add(self, stage: str, told: str, *, passed: bool) -> None:
        """Add the result of one stage."""
        self.stages.append(Stage(stage, passed, told))

    def add_clock(self, ahead_s: float, name: str) -> None:
        """Say that the clocks of the peer *name* and of this machine differ; the remedy is to set the wrong one."""
        side = "ahead of" if ahead_s > 0 else "behind"
        self.add("clock", f"its clock is {abs(ahead_s):.0f} s {side} that of this machine", passed=False)
        theirs, ours = (remedy_of(PeerKind.SERVER, Cause.CLOCK, who, "") for who in (name, "this machine"))
        if self.verdict is not None:
            remedies = (f"If the clock of this machine is right, {theirs}.", f"If not, {ours}.")
            self.verdict = replace(self.verdict, remedies=remedies)


@dataclass(frozen=True, slots=True)
class Aim:
    """What to probe, and as which client: *judge* decides about the peer, *domain* is the domain of our From address.

    *advice* is what the operator can do if the peer refuses us because we present no certificate. *websocket* is set for a
    WebSocket port: there the request goes over a WebSocket, on a connection of its own.
    """

    hop: Hop
    context: OpeningContext
    judge: Callable[[PeerEvidence], Verdict]
    domain: str
    resolver: Resolver | None = None
    advice: tuple[str, ...] = ()
    websocket: WebSocketAim | None = None


async def probe_with_clock(aim: Aim) -> ProbeResult:
    """Probe an address; if it fails, look whether a second handshake shows the same wrong clock as the first one.

    A server port of ours shows its time, others show random octets: only a clock advances as ours does.
    """
    result = await Probe(aim).run()
    shown = result.ahead_s
    if result.good or shown is None or abs(shown) <= CLOCKS_DIFFER_S:
        return result
    again = await Probe(aim).run()
    if agree(shown, again.ahead_s):
        result.add_clock(shown, aim.hop.name)
    return result


class Probe(LinkEvents):
    """One link that is opened for the probe, and closed again."""

    def __init__(self, aim: Aim) -> None:
        self._aim = aim
        self._loop = asyncio.get_running_loop()
        self._up: asyncio.Future[None] = self._loop.create_future()
        self._gone = asyncio.Event()
        self._line: ClientLink | None = None
        self._accepted: Verdict | None = None
        self._last: Verdict | None = None

    async def run(self) -> ProbeResult:
        """Open the link, send OPTIONS, and return the result."""
        reactor = Reactor(self._loop)
        connector = Connector(reactor, self, lambda _hop: self._aim.context, self._aim.resolver)
        link = connector.dial(self._aim.hop)
        try:
            return await self._look(link)
        finally:
            link.drain()
            await self._gone.wait()
            await connector.close()
            reactor.close()

    async def _look(self, link: Link) -> ProbeResult:
        failed: SipmeshError | None = None
        outcome: Outcome | None = None
        try:
            await self._up
            if self._aim.websocket is not None:
                return await self._look_further(link, self._aim.websocket)
            outcome = await self._ask()
        except SipmeshError as wrong:
            failed = wrong
        return self._result(link, outcome, failed)

    async def _look_further(self, link: Link, aim: WebSocketAim) -> ProbeResult:
        """Return the stages up to the verdict, then those of a WebSocket to the same address."""
        result = self._result(link, None, None, is_sip_asked=False)
        found = await probe_websocket(link.remote, aim, self._aim.domain)
        result.add("WebSocket", found.upgrade, passed=found.is_open)
        if found.is_open:
            result.add("SIP", found.sip, passed=found.is_answered)
        return result

    async def _ask(self) -> Outcome:
        if self._line is None:
            raise LinkLostError("the link was closed")
        uri = f"sip:{self._aim.hop.name};transport=tls"
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await self._line.ask(self._line.party.outside("OPTIONS", uri, uri))
        except TimeoutError:
            raise NoAnswerError(f"no answer to OPTIONS within {PATIENCE_S:g} s") from None

    def _result(
        self, link: Link, outcome: Outcome | None, failed: SipmeshError | None, *, is_sip_asked: bool = True
    ) -> ProbeResult:
        """Return the stages in order, up to the first that has failed."""
        result = ProbeResult(f"{link.remote[0]}:{link.remote[1]}" if link.remote[1] else self._aim.hop.name)
        result.ahead_s = link.ahead_s
        result.verdict = self._advised(failed.verdict if isinstance(failed, LinkRefused) else self._last)
        if not link.local[1]:
            result.add("TCP", str(failed), passed=False)
            return result
        result.add("TCP", f"connected from {link.local[0]}:{link.local[1]}", passed=True)
        if self._last is None:
            result.add("TLS", str(failed), passed=False)
            return result
        self._add_verdict(result, self._accepted if self._accepted is not None else self._last)
        if self._accepted is not None and is_sip_asked:
            self._add_response(result, outcome, failed)
        return result

    def _advised(self, verdict: Verdict | None) -> Verdict | None:
        """Return the verdict, with our own remedies if the peer wants a certificate that a client does not have."""
        reason = verdict.reason if verdict is not None and not verdict.accepted else None
        if verdict is None or reason is None or not self._aim.advice or CERTIFICATE_REQUIRED not in reason.saw:
            return verdict
        return replace(verdict, remedies=self._aim.advice)

    @staticmethod
    def _add_verdict(result: ProbeResult, verdict: Verdict) -> None:
        tls = ", ".join(filter(None, (verdict.tls.version, verdict.tls.cipher, verdict.tls.group)))
        handshake = next((finding for finding in verdict.findings if finding.check == "handshake"), None)
        done = handshake is None or handshake.passed
        result.add("TLS", tls if done or handshake is None else handshake.saw, passed=done)
        result.add("verdict", f"{verdict.code}: {verdict.subject}", passed=verdict.accepted)

    @staticmethod
    def _add_response(result: ProbeResult, outcome: Outcome | None, failed: SipmeshError | None) -> None:
        """Add the SIP stage: any final response passes, also from a peer that does not support OPTIONS."""
        if outcome is not None:
            answered = f"OPTIONS answered {outcome.status} {outcome.reason} in {outcome.elapsed_s * 1000:.1f} ms"
            result.add("SIP", answered, passed=True)
        elif isinstance(failed, LinkRefused):
            reason = failed.verdict.reason
            result.add("SIP", f"{failed.verdict.code}: {reason.saw if reason else failed}", passed=False)
        else:
            result.add("SIP", str(failed), passed=False)

    # Events of the link (LinkEvents)

    def judge(self, _link: Link, evidence: PeerEvidence) -> Verdict:
        """Judge the peer."""
        self._last = self._aim.judge(evidence)
        return self._last

    def link_up(self, link: Link) -> None:
        """We have accepted the peer; only a response shows that the peer has accepted us."""
        self._accepted = link.verdict
        party = Party.of(SipUri.parse(f"sip:{USER}@{self._aim.domain}")).at(link.local)
        self._line = ClientLink(self._loop, link, party, Login(USER, self._aim.domain, ""))
        self._up.set_result(None)

    def arrived(self, _link: Link, message: Request | Response) -> None:
        """Take the response; a request from the peer gets none."""
        if self._line is not None and isinstance(message, Response):
            self._line.exchanges.receive(message)

    def faulty(self, _link: Link, _fault: FramingError) -> bytes | None:
        """Close the link without an answer: the peer does not send SIP."""
        return None

    def refused(self, verdict: Verdict) -> None:
        """Keep the last verdict."""
        self._last = verdict

    def link_down(self, _link: Link, why: str, verdict: Verdict | None) -> None:
        """End the probe with the reason."""
        refused = verdict is not None and not verdict.accepted
        error: SipmeshError = LinkRefused(verdict) if refused and verdict is not None else LinkLostError(why)
        if self._line is not None:
            self._line.exchanges.lose(error)
        if not self._up.done():
            self._up.set_exception(error)
        self._gone.set()
