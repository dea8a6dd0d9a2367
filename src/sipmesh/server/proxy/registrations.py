"""The bindings of our users: registered on a link of this server, shared with the pool, gone with the link."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from sipmesh.routing.registrar.registrar import Binding, FlowFacts, RegistrarLimits, decide
from sipmesh.sip.message import Request, Response, respond

if TYPE_CHECKING:
    from sipmesh.routing.identity.dialog_token import Tokens
    from sipmesh.server.proxy.flow import Flow
    from sipmesh.storage.locations import Locations

EXPIRE_EVERY_S: Final = 30.0
"""How often rows that have expired are taken out of the store; none of them is routed to meanwhile."""


class Registrations:
    """Registers users on their links; every time is epoch seconds, UTC."""

    def __init__(self, server: str, tokens: Tokens, locations: Locations, limits: RegistrarLimits) -> None:
        self._server, self._tokens, self._locations, self._limits = server, tokens, locations, limits
        self._expired_at = 0.0

    def __repr__(self) -> str:
        return f"<Registrations of {self._server} in {self._locations!r}>"

    def begin(self) -> None:
        """Start our incarnation: what an earlier one has left behind is dead from now on."""
        self._locations.begin(self._server, self._tokens.incarnation)

    def register(self, flow: Flow, request: Request, aor: str) -> Response:
        """Answer a REGISTER of *aor*, which the link has proved; what it changes is stored before it is answered."""
        now = time.time()
        token = self._tokens.flow(flow.number, aor)
        facts = FlowFacts(self._server, self._tokens.incarnation, flow.number, token)
        registration = decide(request, aor, self._locations.of(aor, now), facts, self._limits, at=now)
        if registration.changes:
            self._locations.apply(registration.changes)
            flow.registered = True
        return respond(request, registration.status, registration.reason, headers=registration.headers)

    def bindings(self, aor: str) -> Sequence[Binding]:
        """The live bindings of *aor* on every server of the pool."""
        return self._locations.of(aor, time.time())

    @property
    def store(self) -> str:
        """The identity of the store: servers of a pool that do not share it do not know each other's users."""
        return self._locations.identity

    def here(self, most: int, after: tuple[str, str]) -> Sequence[Binding]:
        """The live bindings on links of this server in the order of their keys, *most* at most, from behind *after* on."""
        return self._locations.on_server(self._server, time.time(), most, after)

    def count(self) -> int:
        """How many bindings there are on links of this server."""
        return self._locations.count(self._server)

    def flow_closed(self, flow: Flow) -> None:
        """A link is gone, and what was registered on it with it."""
        if flow.registered:
            self._locations.drop(self._server, self._tokens.incarnation, flow.number)

    def expire(self, at: float) -> None:
        """Take out what has expired, now and then."""
        if at - self._expired_at >= EXPIRE_EVERY_S:
            self._expired_at = at
            self._locations.expire(at)
