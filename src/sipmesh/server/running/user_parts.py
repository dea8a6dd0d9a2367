"""The parts of one server that know users: logins, changes of users, and pools whose users it serves in their place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipmesh.database.lazy_module import LazyModule
from sipmesh.routing.authentication.backoff import FailureLimits, LoginBackoff
from sipmesh.server.proxy.login.bearer_auth import BearerAuth
from sipmesh.server.proxy.login.digest_auth import DigestAuth
from sipmesh.server.proxy.login.moved_logins import MovedLogins
from sipmesh.server.proxy.login.takeovers import Takeovers
from sipmesh.server.proxy.login.token_uses import TokenUses
from sipmesh.server.running.server_setup import new_nonce_key
from sipmesh.sip.digest import Nonces
from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    from sipmesh.server.process import https_server_check
    from sipmesh.server.running.forwarding_parts import ForwardingParts
    from sipmesh.server.running.peer_parts import PeerParts
    from sipmesh.server.running.server_setup import ServerSetup

else:
    https_server_check = LazyModule("sipmesh.server.process.https_server_check")

NONCE_LIFETIME_S: Final = 300.0


class UserParts:
    """The parts for the users of one server."""

    def __init__(self, setup: ServerSetup, peers: PeerParts, forwarding: ForwardingParts) -> None:
        self.failures = LoginBackoff(setup.place.share_of_waits(FailureLimits()))
        self.token_uses = TokenUses()
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
            BearerAuth(
                setup.loop, setup.current, self.token_uses, peers.siblings, lambda: _provider_check(setup, peers)
            ),
        )
        self.takeovers = Takeovers(
            setup.loop, forwarding.outages, peers.flow_table, setup.current, self.logins, peers.siblings, setup.log
        )


def _provider_check(setup: ServerSetup, peers: PeerParts) -> https_server_check.HttpsServerCheck:
    """Return the check of the certificate of an OpenID provider; our issuing CA is that of our own certificate."""
    return https_server_check.HttpsServerCheck(
        setup.view.name,
        lambda: setup.current.value.view.loaded,
        lambda: peers.certificates.presented.of(LinkKind.SERVER).chain[1:],
        peers.gatekeeper.clock,
    )
