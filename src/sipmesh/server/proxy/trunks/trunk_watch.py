"""What a gateway sends to its trunks by itself: REGISTER where it has an account, and OPTIONS to see whether they answer."""

from __future__ import annotations

import secrets
from functools import partial
from typing import TYPE_CHECKING, Final

from sipmesh.routing.numbers.trunk_login import FIELDS
from sipmesh.routing.proxy.effects import Start
from sipmesh.routing.target import ServerTarget
from sipmesh.sip.fields import bounded, param_of
from sipmesh.sip.message import build_request
from sipmesh.sip.status import FIRST_REDIRECTION
from sipmesh.sip.text import is_digits
from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipmesh.routing.numbers.trunk_login import TrunkLogin
    from sipmesh.routing.numbers.trunk_table import TrunkRoute
    from sipmesh.routing.proxy.forwarding import ListenerAddress
    from sipmesh.server.in_force.in_force import Current
    from sipmesh.server.proxy.events.own_requests import OwnRequests
    from sipmesh.server.proxy.flow import Flow
    from sipmesh.server.proxy.flow_table import FlowTable
    from sipmesh.server.proxy.liveness.trunk_outages import TrunkOutages
    from sipmesh.server.proxy.trunks.trunk_logins import TrunkLogins
    from sipmesh.server.quotas.limited_log import LimitedLog
    from sipmesh.sip.message import Request, Response

FIRST_PAUSE_S: Final = 30.0
LONGEST_PAUSE_S: Final = 600.0
"""Seconds until the next REGISTER after a REGISTER that was refused or not answered: twice as many each time."""

WITHOUT_LINK_S: Final = 10.0
"""Seconds until the next REGISTER if no link to the trunk was open: no registrar has received one."""

KEPT: Final = 0.75
"""The part of its time after which a registration is made again."""

PINGED_WHILE_SILENT_S: Final = 10.0
"""Seconds between two OPTIONS to a trunk that does not answer, if it is pinged at all."""

FAILED: Final = frozenset({0, 408, 500, 502, 503, 504})
"""What says that a trunk does not carry calls. Each other answer to an OPTIONS, also 404 or 405, is an answer."""

MIN_EXPIRES: Final = 423
LONGEST_S: Final = 86_400


class WatchedTrunk:
    """What is known of one trunk: when the next REGISTER and the next OPTIONS are due, in loop time.

    *registered_on* is the number of the link of its registration, 0 without one. *expires* is what the trunk wants at least.
    *account* is that of the last attempt.
    """

    __slots__ = ("account", "asks", "expires", "pause", "ping_at", "pings", "register_at", "registered_on", "tries")

    def __init__(self, now: float, ping_s: float) -> None:
        self.register_at, self.ping_at = now, now + ping_s
        self.registered_on, self.pause, self.expires, self.tries = 0, FIRST_PAUSE_S, 0, 0
        self.asks = self.pings = False
        self.account: tuple[TrunkLogin | None, int] | None = None


class TrunkWatch:
    """Registers at the trunks of this gateway, and pings them. *clock* gives loop time in seconds."""

    def __init__(
        self,
        current: Current,
        flow_table: FlowTable,
        own_requests: OwnRequests,
        logins: TrunkLogins,
        outages: TrunkOutages,
        listeners: dict[str, ListenerAddress],
        clock: Callable[[], float],
        log: LimitedLog,
    ) -> None:
        self._current, self._flow_table, self._own_requests = current, flow_table, own_requests
        self._logins, self._outages, self._listeners = logins, outages, listeners
        self._clock, self._log = clock, log
        self._call_id = secrets.token_hex(16)
        self._cseq = 0
        self.trunks: dict[str, WatchedTrunk] = {}

    def sweep(self) -> None:
        """Send what is due; called about twice a second."""
        names = self._current.value.trunk_names
        if names is None:
            return
        now, pool = self._clock(), self._current.value.view.pool.name
        ours = {name: route for name, route in names.trunks.trunks.items() if route.gateway == pool}
        for name in self.trunks.keys() - ours.keys():
            del self.trunks[name]
        for name, route in ours.items():
            known = self.trunks.get(name)
            if known is None:
                known = self.trunks[name] = WatchedTrunk(now, route.ping)
            self._look(route, known, now)

    def _look(self, route: TrunkRoute, known: WatchedTrunk, now: float) -> None:
        if route.login is not None and route.login.registers and not known.asks:
            is_lost = known.registered_on and self._flow_table.by_number(known.registered_on) is None
            if is_lost:
                known.registered_on, known.register_at = 0, min(known.register_at, now)
            has_changed = not known.registered_on and known.account != self._logins.account(route.name)
            if has_changed or now >= known.register_at:
                known.tries = 0
                self._register(route, route.login, known)
        if route.ping and now >= known.ping_at and not known.pings:
            self._ping(route, known, now)

    def _flow_to(self, trunk: str, uri: str) -> Flow | None:
        return self._flow_table.find(Start(0, ServerTarget((trunk,), LinkKind.PARTNER, uri), trunk))

    def _request(self, method: str, uri: str, ours: str, theirs: str, contact: str) -> Request:
        self._cseq += 1
        ends = [("from", f"<{ours}>;tag={secrets.token_hex(8)}"), ("to", f"<{theirs}>")]
        counted = [("call-id", self._call_id), ("cseq", f"{self._cseq} {method}")]
        return build_request(method, uri, [("max-forwards", "70"), *ends, *counted, ("contact", contact)])

    def _sent_by(self, flow: Flow) -> str:
        return self._listeners[flow.link.port].sent_by

    # REGISTER

    def _register(self, route: TrunkRoute, login: TrunkLogin, known: WatchedTrunk) -> None:
        """Register the account, with the name of this gateway as its Contact."""
        known.account = self._logins.account(route.name)
        uri = f"sip:{login.domain}"
        flow = self._flow_to(route.name, uri)
        if flow is None:
            self._without_link(route, known, "no link to it can be opened")
            return
        aor, contact = f"sip:{login.user}@{login.domain}", f"<sip:{login.user}@{self._sent_by(flow)};transport=tls>"
        request = self._request("REGISTER", uri, aor, aor, contact)
        request.append("expires", str(max(login.expires, known.expires)))
        found = self._logins.credentials(request, route.name)
        if known.tries and found is None and self._logins.why_failed(route.name):
            self._failed(route, known, self._logins.why_failed(route.name))
            return
        known.asks = True
        heard = partial(self._heard, route, login, known, flow)
        self._own_requests.send(flow, request, partial(self._unheard, route, known), heard, found)

    def _unheard(self, route: TrunkRoute, known: WatchedTrunk, status: int) -> None:
        """A REGISTER has its status; a response was heard before."""
        if known.asks and status in FAILED:
            known.asks = False
            if status:
                self._failed(route, known, f"answer {status}")
            else:
                self._without_link(route, known, "its link has closed")

    def _heard(self, route: TrunkRoute, login: TrunkLogin, known: WatchedTrunk, flow: Flow, response: Response) -> None:
        """Take the final response to a REGISTER. A challenge is answered once; 423 says for how long to ask."""
        if response.status in FAILED:
            return
        known.asks, known.tries = False, known.tries + 1
        if response.status < FIRST_REDIRECTION:
            self._registered(route, login, known, flow, response)
        elif response.status in FIELDS and known.tries == 1 and self._logins.learn(response, route.name):
            self._register(route, login, known)
        elif response.status == MIN_EXPIRES and not known.expires and (asked := seconds(response.first("min-expires"))):
            known.expires = asked
            self._register(route, login, known)
        else:
            self._failed(route, known, f"answer {response.status}")
            if response.status not in FIELDS or known.tries > 1:
                why = f"it refuses our registration with {response.status}"
                self._logins.failed(route.name, why, is_register=True)

    def _registered(
        self, route: TrunkRoute, login: TrunkLogin, known: WatchedTrunk, flow: Flow, response: Response
    ) -> None:
        if not known.registered_on:
            self._log.info(route.name, "registered at a trunk", peer=route.name, user=login.user)
        self._logins.registered(route.name)
        granted = granted_s(response, login.user) or login.expires
        known.registered_on, known.pause = flow.number, FIRST_PAUSE_S
        known.register_at = self._clock() + KEPT * granted

    def _failed(self, route: TrunkRoute, known: WatchedTrunk, why: str) -> None:
        self._again_in(known.pause, route, known, why)
        known.pause = min(2 * known.pause, LONGEST_PAUSE_S)

    def _without_link(self, route: TrunkRoute, known: WatchedTrunk, why: str) -> None:
        known.pause = FIRST_PAUSE_S
        self._again_in(WITHOUT_LINK_S, route, known, why)

    def _again_in(self, wait_s: float, route: TrunkRoute, known: WatchedTrunk, why: str) -> None:
        self._log.warning(route.name, "not registered at a trunk", peer=route.name, why=why, next_s=round(wait_s))
        known.registered_on, known.register_at = 0, self._clock() + wait_s

    # OPTIONS

    def _ping(self, route: TrunkRoute, known: WatchedTrunk, now: float) -> None:
        """Ask whether the trunk answers. The Contact has the name in our certificate, by which some trunks know us."""
        uri = f"sip:{route.name}"
        known.pings, known.ping_at = True, now + route.ping
        flow = self._flow_to(route.name, uri)
        if flow is None:
            self._answered(route, known, 0)
            return
        sent_by = self._sent_by(flow)
        request = self._request("OPTIONS", uri, f"sip:{sent_by}", f"sip:{route.name}", f"<sip:{sent_by};transport=tls>")
        self._own_requests.send(flow, request, partial(self._answered, route, known))

    def _answered(self, route: TrunkRoute, known: WatchedTrunk, status: int) -> None:
        """An OPTIONS has its final response, or none."""
        known.pings = False
        is_silent = self._outages.pinged(route.name, is_well=status not in FAILED)
        if is_silent:
            known.ping_at = min(known.ping_at, self._clock() + PINGED_WHILE_SILENT_S)


def granted_s(response: Response, user: str) -> int:
    """Give the seconds for which a registrar has registered the Contact of *user*; 0 if it does not say."""
    for address in response.contacts:
        if address.is_sip and address.sip_uri.user == user and (found := seconds(param_of(address.params, "expires"))):
            return found
    return seconds(response.first("expires"))


def seconds(text: str | None) -> int:
    """Read a number of seconds, of a day at most; 0 if it is none."""
    return bounded(text, LONGEST_S) or 0 if text is not None and is_digits(text) else 0
