"""A probe of one address, stage by stage: TCP, TLS, the verdict, and a SIP round trip.

TLS 1.3 tells the connecting side late: its handshake is over before the peer has judged it. So nothing counts as good
before a SIP answer has come back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sipmesh.client.agent import LinkLostError
from sipmesh.client.line import ClientLink
from sipmesh.client.login import Login
from sipmesh.client.outcome import NoAnswerError, Outcome
from sipmesh.client.party import Party
from sipmesh.errors import SipmeshError
from sipmesh.sip.message import Request, Response
from sipmesh.sip.uri import SipUri
from sipmesh.transport.connector import Connector
from sipmesh.transport.link.link import LinkEvents
from sipmesh.transport.reactor import Reactor
from sipmesh.trust.verdict import LinkRefused, Verdict

if TYPE_CHECKING:
    from sipmesh.sip.framing import FramingError
    from sipmesh.transport.hop import Hop
    from sipmesh.transport.link.link import Link
    from sipmesh.transport.resolver import Resolver
    from sipmesh.transport.tls.contexts import OpeningContext
    from sipmesh.trust.evidence import PeerEvidence

PATIENCE_S = 5.0
"""How long an answer to OPTIONS may take: it comes from the next hop itself."""

USER = "sipmesh-probe"

CERTIFICATE_REQUIRED = "certificate required"
"""The alert of a peer that asks for a certificate and was shown none (RFC 8446 section 6.2, alert 116)."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage and how it went."""

    name: str
    passed: bool
    told: str


@dataclass(slots=True)
class Probed:
    """What a probe found; *verdict* is the last one, which a peer that refuses us late has the last word on."""

    address: str
    stages: list[Stage] = field(default_factory=list)
    verdict: Verdict | None = None

    @property
    def good(self) -> bool:
        """Whether a SIP answer came back."""
        return bool(self.stages) and all(stage.passed for stage in self.stages)

    def add(self, name: str, told: str, *, passed: bool) -> None:
        """Note one stage."""
        self.stages.append(Stage(name, passed, told))

    def to_json(self) -> dict[str, Any]:
        """The findings as plain values."""
        from sipmesh.trust.judgement.explain import to_json

        return {
            "address": self.address,
            "good": self.good,
            "stages": [{"stage": one.name, "passed": one.passed, "told": one.told} for one in self.stages],
            "verdict": to_json(self.verdict) if self.verdict is not None else None,
        }


@dataclass(frozen=True, slots=True)
class Aim:
    """Whom to probe, and as whom: *judge* decides about the peer, *domain* is the one that we speak for.

    *advice* is what to do where the peer refuses us because we show no certificate.
    """

    hop: Hop
    context: OpeningContext
    judge: Callable[[PeerEvidence], Verdict]
    domain: str
    resolver: Resolver | None = None
    advice: tuple[str, ...] = ()


class Probe(LinkEvents):
    """One link that is opened to look at, and closed again."""

    def __init__(self, aim: Aim) -> None:
        self._aim = aim
        self._loop = asyncio.get_running_loop()
        self._up: asyncio.Future[None] = self._loop.create_future()
        self._gone = asyncio.Event()
        self._line: ClientLink | None = None
        self._accepted: Verdict | None = None
        self._last: Verdict | None = None

    def __repr__(self) -> str:
        return f"<Probe of {self._aim.hop.name}>"

    async def run(self) -> Probed:
        """Go as far as the peer lets us."""
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

    async def _look(self, link: Link) -> Probed:
        failed: SipmeshError | None = None
        outcome: Outcome | None = None
        try:
            await self._up
            outcome = await self._ask()
        except SipmeshError as wrong:
            failed = wrong
        return self._tell(link, outcome, failed)

    async def _ask(self) -> Outcome:
        if self._line is None:
            raise LinkLostError("the link was closed")
        uri = f"sip:{self._aim.hop.name};transport=tls"
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await self._line.ask(self._line.party.outside("OPTIONS", uri, uri))
        except TimeoutError:
            raise NoAnswerError(f"no answer to OPTIONS within {PATIENCE_S:g} s") from None

    def _tell(self, link: Link, outcome: Outcome | None, failed: SipmeshError | None) -> Probed:
        """Put the stages in order; the first that failed is the last one told."""
        told = Probed(f"{link.remote[0]}:{link.remote[1]}" if link.remote[1] else self._aim.hop.name)
        told.verdict = self._advised(failed.verdict if isinstance(failed, LinkRefused) else self._last)
        if not link.local[1]:
            told.add("TCP", str(failed), passed=False)
            return told
        told.add("TCP", f"connected from {link.local[0]}:{link.local[1]}", passed=True)
        if self._last is None:
            told.add("TLS", str(failed), passed=False)
            return told
        self._tell_verdict(told, self._accepted if self._accepted is not None else self._last)
        if self._accepted is not None:
            self._tell_answer(told, outcome, failed)
        return told

    def _advised(self, verdict: Verdict | None) -> Verdict | None:
        """The verdict with our own remedies where the peer has asked for the certificate that a client does not have."""
        reason = verdict.reason if verdict is not None and not verdict.accepted else None
        if verdict is None or reason is None or not self._aim.advice or CERTIFICATE_REQUIRED not in reason.saw:
            return verdict
        return replace(verdict, remedies=self._aim.advice)

    @staticmethod
    def _tell_verdict(told: Probed, verdict: Verdict) -> None:
        tls = ", ".join(filter(None, (verdict.tls.version, verdict.tls.cipher, verdict.tls.group)))
        handshake = next((finding for finding in verdict.findings if finding.check == "handshake"), None)
        done = handshake is None or handshake.passed
        told.add("TLS", tls if done or handshake is None else handshake.saw, passed=done)
        told.add("verdict", f"{verdict.code}: {verdict.subject}", passed=verdict.accepted)

    @staticmethod
    def _tell_answer(told: Probed, outcome: Outcome | None, failed: SipmeshError | None) -> None:
        """Any final answer is a round trip: a peer that does not know OPTIONS has read it all the same."""
        if outcome is not None:
            said = f"OPTIONS answered {outcome.status} {outcome.reason} in {outcome.elapsed_s * 1000:.1f} ms"
            told.add("SIP", said, passed=True)
        elif isinstance(failed, LinkRefused):
            reason = failed.verdict.reason
            told.add("SIP", f"{failed.verdict.code}: {reason.saw if reason else failed}", passed=False)
        else:
            told.add("SIP", str(failed), passed=False)

    # What the link tells (LinkEvents)

    def judge(self, _link: Link, evidence: PeerEvidence) -> Verdict:
        """Judge the peer."""
        self._last = self._aim.judge(evidence)
        return self._last

    def link_up(self, link: Link) -> None:
        """We accept the peer; whether it accepts us, only an answer tells."""
        self._accepted = link.verdict
        party = Party.of(SipUri.parse(f"sip:{USER}@{self._aim.domain}")).at(link.local)
        self._line = ClientLink(self._loop, link, party, Login(USER, self._aim.domain, ""))
        self._up.set_result(None)

    def arrived(self, _link: Link, message: Request | Response) -> None:
        """Take the answer; a probe serves nobody."""
        if self._line is not None and isinstance(message, Response):
            self._line.exchanges.receive(message)

    def faulty(self, _link: Link, _fault: FramingError) -> bytes | None:
        """The peer writes no SIP."""
        return None

    def refused(self, verdict: Verdict) -> None:
        """Remember the last word."""
        self._last = verdict

    def link_down(self, _link: Link, why: str, verdict: Verdict | None) -> None:
        """Whoever waits hears why."""
        refused = verdict is not None and not verdict.accepted
        error: SipmeshError = LinkRefused(verdict) if refused and verdict is not None else LinkLostError(why)
        if self._line is not None:
            self._line.exchanges.lose(error)
        if not self._up.done():
            self._up.set_exception(error)
        self._gone.set()
