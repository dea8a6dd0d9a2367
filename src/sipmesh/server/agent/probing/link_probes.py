"""Links that this server opens once because management has ordered it, and whether each of them works.

An order can also have the server ask DNS, and fetch CRLs.

A link works when the peer has sent a SIP byte: in TLS 1.3 the handshake of the opener ends before the peer has judged it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from sipmesh.server.agent.probing.dns_probe import dns_answers
from sipmesh.server.agent.probing.inquiry import Inquiry
from sipmesh.server.agent.probing.spent_links import SpentLinks
from sipmesh.server.in_force.roles import partner_hop
from sipmesh.server.process.clock import now_utc
from sipmesh.server.replication.control_links import hop_to
from sipmesh.server.replication.order import refused
from sipmesh.server.replication.probe_order import PROBE, ProbeOrder
from sipmesh.server.replication.server_status import DnsSeen, FetchedCrl, Probed, ProbedLink, text
from sipmesh.transport.link.state import LinkState
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.judgement.explain import headline

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine
    from typing import Any

    from sipmesh.distribution.event import Here
    from sipmesh.server.agent.managed_server import ManagedServer
    from sipmesh.server.log import Log
    from sipmesh.server.replication.document_store import DocumentStore
    from sipmesh.topology.view import ServerView
    from sipmesh.transport.hop import Hop
    from sipmesh.transport.link.link import Link

PATIENCE_S: Final = 5.0
"""Seconds that a link may take, from its connection to the first SIP byte of the peer."""

AT_ONCE: Final = 40
"""Links of one order that are opened at the same time."""

REPORTED_S: Final = 60.0
"""Seconds for which the reports have the result: management reads it from one of them."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A link that is being probed; it has failed if nothing has come until the loop time *ends*."""

    link: Link
    ends: float

    def result(self, now: float) -> tuple[bool, str] | None:
        """Return whether the link works and what was seen, None as long as that is open; *now* is the loop time."""
        link = self.link
        if link.peer.confirmed:
            return True, f"accepted: {link.peer_name}"
        if link.state is LinkState.CLOSED:
            verdict = link.verdict
            return False, headline(verdict) if verdict is not None and not verdict.accepted else link.why
        return (False, f"no SIP byte within {PATIENCE_S:g} s") if now >= self.ends else None


class LinkProbes:
    """The last order of management and its links; *dial* opens a link, *finished* is called when all have a result.

    *fetch_crls* fetches each CRL of the topology in force once.
    """

    def __init__(
        self,
        server: ManagedServer,
        documents: DocumentStore,
        here: Here,
        dial: Callable[[Hop], Link],
        fetch_crls: Callable[[], Coroutine[Any, Any, tuple[FetchedCrl, ...]]],
        finished: Callable[[], None],
        loop: asyncio.AbstractEventLoop,
        log: Log,
    ) -> None:
        self._server, self._documents, self._here = server, documents, here
        self._dial, self._finished, self._loop, self._log = dial, finished, loop, log
        self._fetch_crls = fetch_crls
        self._number = 0
        self._waiting: deque[tuple[str, Hop]] = deque()
        self._attempts: dict[str, Attempt] = {}
        self._results: list[ProbedLink] = []
        self._forgotten_at = 0.0
        self._spent = SpentLinks(loop.time)
        self._is_open = False  # the last order has no result yet
        self._dns: Inquiry[tuple[DnsSeen, ...]] = Inquiry(loop)
        self._crls: Inquiry[tuple[FetchedCrl, ...]] = Inquiry(loop)

    @property
    def report(self) -> Probed | None:
        """The result of the last order, once it is complete; None for most of the time."""
        if not self._number or self._is_open or self._loop.time() >= self._forgotten_at:
            return None
        return Probed(
            order=self._number, links=tuple(self._results), answers=self._dns.answers, crls=self._crls.answers
        )

    def accept(self, jws: bytes) -> None:
        """Carry out an order; raises `RemoteError`, and opens no link, for an order that this server does not accept.

        The order replaces an earlier one. An order that comes twice, through two front ends, is carried out once.
        """
        view = self._server.view
        order = ProbeOrder.decode(self._documents.signed_by_management(jws, PROBE, view.loaded, now_utc()))
        self._must_be_ours(order, view)
        if order.number == self._number:
            return
        hops = [(target, hop_of(view, target)) for target in dict.fromkeys(order.targets)]
        self._stop()
        self._number, self._waiting, self._is_open = order.number, deque(hops), True
        if order.asks_dns:
            self._dns.begin(partial(dns_answers, view.loaded.topology))
        if order.fetches_crls:
            self._crls.begin(self._fetch_crls)
        self._log.info("links are probed for management", links=len(hops), order=order.number)
        self.tick()

    def _must_be_ours(self, order: ProbeOrder, view: ServerView) -> None:
        order.must_be_for(view, now_utc())
        if order.version != view.loaded.number:
            raise refused(f"an order under version {order.version}, and version {view.loaded.number} is in force")
        if order.number < self._number:
            raise refused("an order that is older than the last one")

    def _stop(self) -> None:
        for attempt in self._attempts.values():
            attempt.link.drain()
        self._attempts.clear()
        self._results.clear()
        self._dns.stop()
        self._crls.stop()

    def close(self) -> None:
        """Stop probing links, asking DNS and fetching CRLs."""
        self._waiting.clear()
        self._is_open = False
        self._spent.close()
        self._stop()

    def tick(self) -> None:
        """Note which links have a result, and open more; called about twice a second."""
        self._spent.tick()
        if not self._is_open:
            return
        now = self._loop.time()
        for target, attempt in list(self._attempts.items()):
            result = attempt.result(now)
            if result is not None:
                self._spent.add(attempt.link)
                del self._attempts[target]
                self._results.append(ProbedLink(target=target, passed=result[0], told=text(result[1])))
        self._open_more(now)
        if not (self._attempts or self._dns.is_asking or self._crls.is_asking):
            self._is_open = False
            self._forgotten_at = now + REPORTED_S
            self._finished()

    def _open_more(self, now: float) -> None:
        while self._waiting and len(self._attempts) < AT_ONCE:
            target, hop = self._waiting.popleft()
            link = self._dial(hop)
            link.is_trial = True
            link.send(self._here.first("OPTIONS", hop.name, []).encode())
            self._attempts[target] = Attempt(link, now + PATIENCE_S)


def hop_of(view: ServerView, target: str) -> Hop:
    """Return the hop to a server or partner to which this server may open a link; raises `RemoteError` for any other name."""
    if target in view.open_policy(LinkKind.SERVER, target).may_open:
        return hop_to(view, target).for_control()
    partner = view.partner_named(target)
    if partner is None or partner.peer.name not in view.open_policy(LinkKind.PARTNER, target).may_open:
        raise refused(f"an order to open a link to {target}, to which this server opens none")
    return partner_hop(partner, target)
