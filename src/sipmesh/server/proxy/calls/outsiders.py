"""Calls with applications, trunks and partners: each is ended towards our side once the server at the other end may not go on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.routing.proxy.effects import Start
from sipmesh.routing.target import ServerTarget
from sipmesh.server.proxy.gatekeeper import meant_of
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipmesh.server.proxy.call_table import CallTable
    from sipmesh.server.proxy.calls.call_release import CallRelease
    from sipmesh.server.proxy.flow import Flow
    from sipmesh.server.proxy.flow_table import FlowTable
    from sipmesh.server.proxy.gatekeeper import Gatekeeper
    from sipmesh.trust.evidence import PeerEvidence

NO_LONGER_TRUSTED: Final = "no longer trusted"
"""How the end of a link begins whose certificate was revoked, or whose server was removed from the topology."""

NOT_TRUSTED: Final = "its server is no longer trusted"
GOES_ON: Final = frozenset({Code.ACCEPTED, Code.EXPIRED, Code.REVOCATION_UNKNOWN, Code.STAPLE_MISSING})
"""Verdicts on what a server without a link has presented with which its calls go on: it may have been renewed since."""

LOOKED_S: Final = 5.0
AWAY_S: Final = 60.0
"""Seconds for which an application with calls may have no link, before its calls are ended. It is dialled meanwhile."""


class Outsiders:
    """The servers of others with which calls are up. *table* has the calls by server; *clock* gives loop time.

    *last* has what a server without a link has presented on its last one: its calls end when that is refused.
    """

    def __init__(
        self,
        flow_table: FlowTable,
        table: CallTable,
        release: CallRelease,
        gatekeeper: Gatekeeper,
        clock: Callable[[], float],
    ) -> None:
        self._flow_table, self._table, self._release, self._clock = flow_table, table, release, clock
        self._gatekeeper = gatekeeper
        self._last: dict[str, tuple[PeerEvidence, str]] = {}
        self._next_look = 0.0
        self._away: dict[str, float] = {}

    def link_down(self, flow: Flow, why: str) -> None:
        """A link has ended, because of *why*. If its server is not trusted any more, its calls end with its last link."""
        name = flow.outsider
        if not name or self._has_link(name):
            return
        if why.startswith(NO_LONGER_TRUSTED):
            self._end(name, NOT_TRUSTED)
        elif self._table.with_outsider(name) and flow.link.peer.evidence is not None:
            self._last[name] = flow.link.peer.evidence, meant_of(flow.link)

    def sweep(self) -> None:
        """End the calls of those without a link: who is not trusted any more, and applications that stay away."""
        now = self._clock()
        if now < self._next_look:
            return
        self._next_look = now + LOOKED_S
        self._judge_again()
        self._end_away(now)

    def _judge_again(self) -> None:
        """Judge each server without a link by what it has presented last. Time alone ends no call, as that of an old CRL."""
        for name, (evidence, meant) in list(self._last.items()):
            if self._has_link(name) or not self._table.with_outsider(name):
                del self._last[name]
            elif self._gatekeeper.judge(evidence, meant, live=True).code not in GOES_ON:
                del self._last[name]
                self._end(name, NOT_TRUSTED)

    def _end_away(self, now: float) -> None:
        """End the calls of applications that have had no link for too long, and could not be dialled."""
        away: dict[str, float] = {}
        for name in self._table.applications():
            if not self._has_link(name):
                away[name] = self._away.get(name, now)
                self._flow_table.find(Start(0, ServerTarget((name,), LinkKind.SERVER, f"sip:{name}"), name))
        self._away = away
        for name in [one for one, since in away.items() if now - since >= AWAY_S]:
            self._end(name, "its server stays away")

    def _end(self, name: str, why: str) -> None:
        for call in self._table.with_outsider(name):
            self._release.end_orphaned(call, why)

    def _has_link(self, name: str) -> bool:
        return any(flow.outsider == name for flow in self._flow_table.sessions() if flow.link.usable)
