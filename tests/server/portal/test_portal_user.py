"""A sign-in to the portal: until when it counts, and at which provider."""

from __future__ import annotations

from datetime import UTC, datetime

from server.portal.topologies import topology
from sipmesh.server.console.access.account import Account
from sipmesh.server.portal.portal_user import PortalClientEntry, PortalLogin, PortalUser, clients_of


def test_login_counts_until_its_end_and_with_its_provider() -> None:
    now = [0.0]
    here, other = topology(), topology(issuer="https://other.example.com")
    assert here.oauth is not None
    account = Account("alice@example.test", datetime(2026, 1, 1, tzinfo=UTC), 1)
    login = PortalLogin(here.oauth, account, "s", "", "b", 10.0, lambda: now[0])
    assert login.operator(here, str) == PortalUser.of("alice@example.test")
    assert login.operator(other, str) is None
    now[0] = 10.0
    assert login.operator(here, str) is None


def test_portal_is_a_client_only_where_the_topology_has_one() -> None:
    client = PortalClientEntry.of(topology())
    assert client is not None
    assert (client.issuer, client.client_id) == ("https://id.example.com", "portal")
    assert PortalClientEntry.of(topology(portal=None)) is None


def test_logout_tokens_are_for_the_portal_and_the_web_phone() -> None:
    assert clients_of(topology(web_phone={"client_id": "phone"})) == {"phone": "web_phone", "portal": "portal"}
