"""The branches that this server has sent, with the timers of their client transactions (RFC 3261 16.7, 16.8 and 17.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from sipmesh.server.proxy.flow import SentBranch
from sipmesh.server.proxy.latency_histogram import LatencyHistogram
from sipmesh.server.proxy.timeout_queue import TimeoutQueue
from sipmesh.server.quotas.usage import BRANCH_OCTETS
from sipmesh.sip.status import TRYING, Status
from sipmesh.sip.transaction.ack import cancel_for
from sipmesh.sip.transaction.client import ClientTransaction
from sipmesh.sip.transaction.state import Input, TransactionState
from sipmesh.sip.transaction.timers import Timer
from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    from sipmesh.server.proxy.flow import Flow, ProxiedRequest
    from sipmesh.server.proxy.rtpengine.bridge import Bridge
    from sipmesh.sip.message import Request

FINAL_S: Final = Timer.F.seconds
"""Seconds; timers B, F, H, L and M all have this length (RFC 3261 17, RFC 6026)."""


class ClientTransactions:
    """Sends branches, and keeps the deadline of each.

    *lingering* has the INVITEs with a final response, for further responses (RFC 6026, timers D and M). *waits* and
    *invite_waits* have the seconds from a branch to its final response. *unanswered* counts branches without one.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._trying: TimeoutQueue[SentBranch] = TimeoutQueue(FINAL_S)
        self._ringing: TimeoutQueue[SentBranch] = TimeoutQueue(Timer.C.seconds)
        self.lingering: TimeoutQueue[SentBranch] = TimeoutQueue(FINAL_S)
        self.waits, self.invite_waits = LatencyHistogram(), LatencyHistogram()
        self.unanswered = 0

    @property
    def load(self) -> int:
        """How many branches wait for their final response."""
        return len(self._trying) + len(self._ringing)

    def waiting(self) -> Iterator[SentBranch]:
        """Give the branches that wait for their final response."""
        yield from self._trying
        yield from self._ringing

    def send(
        self,
        proxied: ProxiedRequest,
        number: int,
        branch: str,
        flow: Flow,
        copy: Request,
        data: bytes,
        *,
        is_carried: bool,
        bridge: Bridge | None = None,
    ) -> None:
        """Send *copy*, whose octets are *data*, as the branch of that *number* of a request (see `SentBranch`)."""
        size = len(data)
        sent = SentBranch(proxied, number, branch, flow, copy, ClientTransaction(invite=copy.method == "INVITE"))
        sent.is_carried, sent.bridge = is_carried, bridge
        flow.sent[branch] = proxied.sent[number] = sent
        if not proxied.size:
            proxied.hold(size)
        sent.count(size + BRANCH_OCTETS)
        self._await(sent, self._trying)
        flow.link.send(data)

    def cancel(self, sent: SentBranch, reasons: tuple[str, ...]) -> None:
        """Send CANCEL after an INVITE; the final response to the INVITE is due within 64*T1 then."""
        if not sent.transaction.pending:
            return
        sent.cancelled = True
        self._await(sent, self._trying)
        sent.flow.link.send(cancel_for(sent.request, reasons).encode())

    def responded(self, sent: SentBranch, given: Input, status: int) -> None:
        """Move the branch to the deadline that applies after a response.

        Timer C starts again with each response from 101 to 199, "but not 100" (RFC 3261 section 16.7 item 2). A 180 of a phone
        does not start it again: a phone that repeats it would ring for ever. An application that screens the call has to decide
        before timer B, or to send a 180 or 183: a 100 of it does not start timer C.
        """
        if given is Input.PROVISIONAL:
            if status == TRYING and is_screened(sent):
                return
            is_ringing = sent.request.method == "INVITE" and sent.transaction.state is TransactionState.PROCEEDING
            goes_on = status > TRYING and not (status == Status.RINGING and is_to_phone(sent))
            if is_ringing and (goes_on or sent.due is not self._ringing):
                self._restart_timer_c(sent)
            return
        if sent.due is not self.lingering:  # otherwise another final response to the same INVITE
            waits = self.invite_waits if sent.request.method == "INVITE" else self.waits
            waits.add(self._clock() - sent.began)
        if sent.transaction.over:
            self.drop(sent)
        else:
            sent.settle()
            self._await(sent, self.lingering)

    def _restart_timer_c(self, sent: SentBranch) -> None:
        """Restart timer C, unless the branch was cancelled: then its final response is due."""
        if not sent.cancelled:
            self._await(sent, self._ringing)

    def _await(self, sent: SentBranch, until: TimeoutQueue[SentBranch]) -> None:
        """Give the branch a new deadline, in place of its present one; its waiting time starts with its first deadline."""
        now = self._clock()
        if sent.due is None:
            sent.began = now
        else:
            sent.due.discard(sent)
        sent.due = until
        until.put(sent, now)

    def pop_timed_out(self, now: float) -> SentBranch | None:
        """Return the next branch without a final response at its timer B, C or F; None if there is none left."""
        sent = self._trying.pop_expired(now)
        return sent if sent is not None else self._ringing.pop_expired(now)

    def timed_out(self, sent: SentBranch) -> None:
        """End a branch from `pop_timed_out`, unless it was cancelled now: then the INVITE will be answered."""
        if sent not in self._trying:
            self.unanswered += 1
            self.drop(sent)

    def sweep(self, now: float, most: int) -> int:
        """End *most* branches whose further final responses are not awaited any more; give how many fewer there were."""
        while most > 0 and (sent := self.lingering.pop_expired(now)) is not None:
            self.drop(sent)
            most -= 1
        return most

    def drop(self, sent: SentBranch) -> None:
        """Forget a branch: a response to it matches nothing any more."""
        sent.forget()
        if sent.bridge is not None:
            sent.bridge.branch_ended()
        if sent.due is not None:
            sent.due.discard(sent)
        if sent.branch in sent.flow.sent:
            del sent.flow.sent[sent.branch]
        if sent.number in sent.proxied.sent:
            del sent.proxied.sent[sent.number]


def is_screened(sent: SentBranch) -> bool:
    """Tell whether a branch goes to an application that screens the call."""
    return sent.proxied.context is not None and sent.proxied.context.screening is not None


def is_to_phone(sent: SentBranch) -> bool:
    """Tell whether a branch goes to a phone, also by the server that carries its link."""
    return sent.flow.carrier is not None or sent.flow.link.kind is LinkKind.CLIENT
