"""The bindings of our users: registered on a link of this server, shared with the pool, removed when the link closes."""

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
"""Seconds between two removals of expired bindings from the store; an expired binding is never used meanwhile."""


class Registrations:
    """Registers users on their links; all times are epoch seconds (UTC)."""

    def __init__(self, server: str, tokens: Tokens, locations: Locations, limits: RegistrarLimits) -> None:
        self._server, self._tokens, self._locations, self._limits = server, tokens, locations, limits
        self._expired_at = 0.0

    def __repr__(self) -> str:
        return f"<Registrations of {self._server} in {self._locations!r}>"

    def begin(self) -> None:
        """Start this incarnation of the server: bindings of an earlier incarnation are removed."""
        self._locations.begin(self._server, self._tokens.incarnation)

    def register(self, flow: Flow, request: Request, aor: str) -> Response:
        """Answer a REGISTER of *aor*, which has logged in on the link; changes are stored before the answer."""
        now = time.time()
        token = self._tokens.flow(flow.number, aor)
        facts = FlowFacts(self._server, self._tokens.incarnation, flow.number, token)
        registration = decide(request, aor, self._locations.of(aor, now), facts, self._limits, at=now)
        if registration.changes:
            self._locations.apply(registration.changes)
            flow.registered = True
        return respond(request, registration.status, registration.reason, headers=registration.headers)

    def bindings(self, aor: str) -> Sequence[Binding]:
        """Return the unexpired bindings of *aor* on all servers of the pool."""
        return self._locations.of(aor, time.time())

    @property
    def store(self) -> str:
        """The identity of the store: servers of a pool with different stores do not know each other's registrations."""
        return self._locations.identity

    def here(self, most: int, after: tuple[str, str]) -> Sequence[Binding]:
        """Return at most *most* unexpired bindings on links of this server, ordered by key, that come after the key *after*."""
        return self._locations.on_server(self._server, time.time(), most, after)

    def count(self) -> int:
        """Return how many bindings there are on links of this server."""
        return self._locations.count(self._server)

    def flow_closed(self, flow: Flow) -> None:
        """Remove the bindings of a closed link."""
        if flow.registered:
            self._locations.drop(self._server, self._tokens.incarnation, flow.number)

    def expire(self, at: float) -> None:
        """Remove expired bindings, at most every ``EXPIRE_EVERY_S`` seconds."""
        if at - self._expired_at >= EXPIRE_EVERY_S:
            self._expired_at = at
            self._locations.expire(at)
