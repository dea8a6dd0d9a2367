"""The parts of one server that know users: logins, changes of users, and pools whose users it serves in their place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.routing.authentication.backoff import FailureLimits, LoginBackoff
from sipmesh.server.proxy.login.digest_auth import DigestAuth
from sipmesh.server.proxy.login.moved_logins import MovedLogins
from sipmesh.server.proxy.login.takeovers import Takeovers
from sipmesh.server.running.server_setup import new_nonce_key
from sipmesh.sip.digest import Nonces

if TYPE_CHECKING:
    from sipmesh.server.running.forwarding_parts import ForwardingParts
    from sipmesh.server.running.peer_parts import PeerParts
    from sipmesh.server.running.server_setup import ServerSetup

NONCE_LIFETIME_S: Final = 300.0


class UserParts:
    """The parts for the users of one server."""

    def __init__(self, setup: ServerSetup, peers: PeerParts, forwarding: ForwardingParts) -> None:
        self.failures = LoginBackoff(setup.place.share_of_waits(FailureLimits()))
        self.logins = DigestAuth(
            setup.loop,
            setup.current,
            Nonces(new_nonce_key(), NONCE_LIFETIME_S),
            setup.stores.tokens,
            self.failures,
            peers.flow_table,
            peers.accounts,
            peers.peer_log,
            MovedLogins(setup.loop, setup.limits, forwarding.under_way),
            forwarding.registrations,
            peers.siblings,
        )
        self.takeovers = Takeovers(
            setup.loop, forwarding.outages, peers.flow_table, setup.current, self.logins, peers.siblings, setup.log
        )

    def __repr__(self) -> str:
        return f"<UserParts {self.logins!r}>"
