"""The only place where links are judged: it has the topology in force, and turns evidence into verdicts."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from heapq import merge
from typing import TYPE_CHECKING

from sipmesh.server.process.clock import now_utc
from sipmesh.server.proxy.client_refusals import ClientRefusals, reason_of_end
from sipmesh.transport.tls.path_check import recheck_path
from sipmesh.trust.evidence import Direction, LinkKind, PeerEvidence
from sipmesh.trust.formatting import MOST
from sipmesh.trust.judgement.judge import Judge
from sipmesh.trust.topology_version import TopologyVersion
from sipmesh.trust.verdict import Verdict

if TYPE_CHECKING:
    from sipmesh.errors import RemoteError
    from sipmesh.server.in_force.in_force import Current
    from sipmesh.server.proxy.outside import Outside
    from sipmesh.topology.view import ServerView
    from sipmesh.transport.link.link import Link
    from sipmesh.trust.policy import LinkPolicy

REMEMBERED_REFUSALS = 500
"""Refusals that are kept for `sipmesh explain`; older refusals are only in the log."""


class Gatekeeper:
    """Judges every link of one server by the topology in force."""

    def __init__(self, current: Current, outside: Outside, clock: Callable[[], datetime] = now_utc) -> None:
        self._current, self._outside, self.clock = current, outside, clock
        self._judges: dict[tuple[Direction, LinkKind, str], Judge] = {}
        self._judges_of = current.value.view
        self._newest = 0
        self.refusals: deque[Verdict] = deque(maxlen=REMEMBERED_REFUSALS)
        self._refusals_of_clients: deque[Verdict] = deque(maxlen=REMEMBERED_REFUSALS)
        self.client_refusals = ClientRefusals()

    @property
    def view(self) -> ServerView:
        """The view of the topology in force."""
        return self._current.value.view

    def knows_of(self, newest: int) -> None:
        """Mention version *newest* in verdicts from now on, if it is newer than the version in force.

        It replaces what was known before: a version that a peer has claimed may not exist.
        """
        if newest != self._newest and max(newest, self._newest) > self.view.loaded.number:
            self._judges.clear()
        self._newest = newest

    def policy(self, direction: Direction, kind: LinkKind, meant: str) -> LinkPolicy:
        """Return the policy for one kind of link; *meant* is as in `judge`."""
        return self._judge(direction, kind, meant).policy

    def _judge(self, direction: Direction, kind: LinkKind, meant: str) -> Judge:
        key, view = (direction, kind, meant), self._current.value.view
        if view is not self._judges_of:  # what they remember was judged by an earlier topology
            self._judges, self._judges_of = {}, view
        if key not in self._judges:
            accepted = direction is Direction.ACCEPTED
            policy = view.accept_policy(kind, meant) if accepted else view.open_policy(kind, meant)
            if self._newest > policy.edition.number > 0:
                policy = replace(policy, edition=TopologyVersion(policy.edition.number, self._newest))
            self._judges[key] = Judge(policy, recheck_path)
        return self._judges[key]

    def judge(self, evidence: PeerEvidence, meant: str = "", *, live: bool = False) -> Verdict:
        """Return the verdict on a peer at the present time; *live* means a link that is up and is judged again.

        *meant* is the reference name of a link that we open, or the port by which its peer came.
        """
        judge, at = self._judge(evidence.direction, evidence.kind, meant), self.clock()
        verdict = judge.judge(evidence, at=at, live=live)
        if evidence.kind is not LinkKind.CLIENT:
            self._outside.sources.judged(evidence, judge.policy, verdict)
        return verdict

    def remember(self, verdict: Verdict) -> None:
        """Keep a refusal for later questions; of many names in its certificate only the first are kept."""
        seen = verdict.seen
        if seen is not None and len(seen.names) > MOST:
            names = (*seen.names[:MOST], f"and {len(seen.names) - MOST} more")
            verdict = replace(verdict, seen=replace(seen, names=names))
        if verdict.kind is LinkKind.CLIENT and verdict.direction is Direction.ACCEPTED:
            self._refusals_of_clients.append(verdict)
            self.client_refusals.refuse(verdict, self.clock().timestamp())
        else:
            self.refusals.append(verdict)

    def upgrade_refused(self, link: Link, refusal: RemoteError) -> None:
        """Record an HTTP request that opened no WebSocket."""
        now = self.clock().timestamp()
        self.client_refusals.refuse_upgrade(refusal.status, str(refusal), link.remote[0], now)

    def client_ended(self, link: Link, why: str) -> None:
        """Record the end of a client link on which no user has logged in, if that is a failure; *why* is by the link."""
        reason = reason_of_end(why, link.bytes_in)
        if reason is not None:
            self.client_refusals.record(reason, why, link.remote[0], self.clock().timestamp())

    def refused(self) -> Iterable[Verdict]:
        """Return the refusals that are kept, newest first. Clients, which may be strangers, displace no server."""
        return merge(reversed(self.refusals), reversed(self._refusals_of_clients), key=_instant, reverse=True)


def _instant(verdict: Verdict) -> datetime:
    return verdict.at


def meant_of(link: Link) -> str:
    """Give what the policy of a link depends on beside its kind: the peer that is meant, or the port by which its peer came."""
    return link.port if link.direction is Direction.ACCEPTED else link.meant
