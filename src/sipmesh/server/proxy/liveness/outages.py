"""Servers of ours that do not answer: requests go to other servers meanwhile, and a connection of its own tries each again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.trust.code import Code
from sipmesh.trust.evidence import Direction, LinkKind

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, TimerHandle
    from collections.abc import Collection

    from sipmesh.server.proxy.flow_table import FlowTable
    from sipmesh.server.proxy.outside import Outside
    from sipmesh.server.quotas.limited_log import LimitedLog
    from sipmesh.transport.hop import Hop
    from sipmesh.transport.limits import Limits
    from sipmesh.transport.link.link import Link
    from sipmesh.trust.verdict import Verdict

FIRST_PAUSE_S: Final = 0.25
SLOW_S: Final = 0.5
"""A dial that takes longer before it fails keeps requests waiting."""

UNREACHED: Final = frozenset({Code.HANDSHAKE_FAILED, Code.HANDSHAKE_TIMEOUT})
"""Verdicts on a peer that did not finish its handshake. Any other refusal is an answer."""


class Outage:
    """One server that does not answer since the loop time *since*, and why.

    *is_slow* says that a dial fails late or never, so that no request may wait for one. *pause* is the time in seconds before the
    next trial, *trial* its link.
    """

    __slots__ = ("is_slow", "name", "pause", "since", "timer", "trial", "why")

    def __init__(self, name: str, since: float, why: str, *, is_slow: bool) -> None:
        self.name, self.since, self.why, self.is_slow = name, since, why, is_slow
        self.pause = FIRST_PAUSE_S
        self.timer: TimerHandle | None = None
        self.trial: Link | None = None


class Outages:
    """The servers that do not answer, by name. An outage ends with the first octet of the server on a new link.

    *started* counts the outages of each server. A supervisor tries each server *for_control*.
    """

    def __init__(
        self,
        loop: AbstractEventLoop,
        flow_table: FlowTable,
        limits: Limits,
        outside: Outside,
        log: LimitedLog,
        *,
        for_control: bool = False,
    ) -> None:
        self._loop, self._flow_table, self._log = loop, flow_table, log
        self._limits = limits
        self._outside, self._for_control = outside, for_control
        self._is_closed = False
        self.names: dict[str, Outage] = {}
        self.started: dict[str, int] = {}

    def forbids(self, server: str, *, has_others: bool) -> bool:
        """Tell whether a request may not go to *server* now.

        While it does not answer, other targets go first. Without another one a request may try it if a dial fails at once.
        """
        outage = self.names.get(server)
        return outage is not None and (has_others or outage.is_slow)

    def has(self, server: str) -> bool:
        """Tell whether *server* does not answer at the moment; the log has it then."""
        return server in self.names

    def has_all(self, servers: Collection[str]) -> bool:
        """Tell whether none of *servers* answers at the moment."""
        return bool(self.names) and all(server in self.names for server in servers)

    def silent(self, server: str, why: str) -> None:
        """A link of *server* has ended for its silence."""
        self._begin(server, why, is_slow=True)

    def answered(self, server: str) -> None:
        """*server* has answered on a link: requests may go there again."""
        outage = self.names.pop(server, None)
        if outage is None:
            return
        if outage.timer is not None:
            outage.timer.cancel()
        if outage.trial is not None:
            outage.trial.is_trial = False
        self._log.info(server, "server answers again", peer=server, after_s=round(self._loop.time() - outage.since, 1))

    def link_down(self, link: Link, why: str, verdict: Verdict | None) -> None:
        """A link has ended: the dial of a request or of a trial may have failed."""
        if link.direction is not Direction.OPENED or link.kind is not LinkKind.SERVER:
            return
        outage = self.names.get(link.meant)
        if outage is not None and outage.trial is link:
            outage.trial, outage.why, outage.is_slow = None, why, link.peer.accepted or self._was_slow(link)
            self._try_later(outage)
        elif not link.peer.accepted and (verdict is None or verdict.code in UNREACHED):
            self._begin(link.meant, why, is_slow=self._was_slow(link))

    @property
    def over(self) -> int:
        """How many outages are over."""
        return sum(self.started.values()) - len(self.names)

    def close(self) -> None:
        """Try none of them any more, and note no other."""
        self._is_closed = True
        for outage in self.names.values():
            if outage.timer is not None:
                outage.timer.cancel()

    def _was_slow(self, link: Link) -> bool:
        return self._loop.time() - link.opened_at >= SLOW_S

    def _begin(self, server: str, why: str, *, is_slow: bool) -> None:
        outage = self.names.get(server)
        if outage is not None:
            outage.is_slow = outage.is_slow or is_slow
        elif not self._is_closed and self._way_to(server) is not None:
            outage = self.names[server] = Outage(server, self._loop.time(), why, is_slow=is_slow)
            self.started[server] = self.started.get(server, 0) + 1
            self._log.warning(server, "server does not answer", peer=server, why=why)
            self._try_later(outage)

    def _way_to(self, server: str) -> Hop | None:
        """The way to *server*; None if we may open no link to it, such as a front end to management: a trial would be refused."""
        return self._flow_table.hop_to(server) if self._flow_table.view.may_open_to(server) else None

    def _try_later(self, outage: Outage) -> None:
        if not self._is_closed:
            outage.timer = self._loop.call_later(outage.pause, self._try, outage)
            outage.pause = min(2 * outage.pause, self._limits.trial_pause_s)

    def _try(self, outage: Outage) -> None:
        """Open a link that no request gets before the server has answered on it."""
        outage.timer = None
        hop = self._way_to(outage.name)
        if hop is None:  # the topology in force has no such server, or allows no link to it any more
            del self.names[outage.name]
            return
        outage.trial = self._outside.links.try_out(hop.for_control() if self._for_control else hop)
        outage.trial.is_trial = True
