"""Contradictions: tokens for SIP whose audience is a client, so that ID tokens would log in users."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from topology.world import Place

MANAGER = (
    "pools:\n",
    "pools:\n  - {name: mgmt.example.test, role: management, servers: [{name: mgmt.example.test, address: 127.0.0.8}]}\n",
)
CONSOLE = "console: {listen: 8444, openid: {issuer: 'https://id.test', client_id: console, roles: [{value: a, role: viewer}]}}"


def written(audience: str) -> tuple[str, str]:
    oauth = (
        f"oauth: {{issuer: 'https://id.test', audience: {audience}, "
        "web_phone: {client_id: phone}, introspection: {client_id: servers, secret_file: secrets/i}}"
    )
    return "federation:\n", f"{CONSOLE}\n{oauth}\nfederation:\n"


@pytest.mark.parametrize(
    ("audience", "place_of"),
    [("console", "console.openid"), ("servers", "oauth.introspection"), ("phone", "oauth.web_phone")],
)
def test_audience_that_is_a_client_is_a_problem(place: Place, audience: str, place_of: str) -> None:
    place.spoil(MANAGER, written(audience))
    [problem] = place.problems()
    assert (problem.field, f"the client at {place_of}" in problem.reason) == ("oauth.audience", True), problem


def test_audience_of_its_own_is_accepted(place: Place) -> None:
    place.spoil(MANAGER, written("sip"))
    oauth = place.load().topology.oauth
    assert oauth is not None
    assert oauth.audience == "sip"


@pytest.mark.parametrize("domain", ["example.test", "evil.test"])
def test_tickets_are_for_users_of_our_domains(place: Place, domain: str) -> None:
    realm = f"{{realm: CORP.TEST, keytab: secrets/k, domain: {domain}}}"
    place.spoil(
        MANAGER, ("federation:\n", f"invitations: {{listen: 8445, portal: {{kerberos: {realm}}}}}\nfederation:\n")
    )
    if domain == "example.test":
        assert place.load().topology.invitations is not None
        return
    [problem] = place.problems()
    assert problem.field == "invitations.portal.kerberos.domain"


def test_portal_needs_the_port_of_the_invitations(place: Place) -> None:
    portal = "oauth: {issuer: 'https://id.test', audience: sip, portal: {client_id: portal}}"
    place.spoil(MANAGER, ("federation:\n", f"{portal}\nfederation:\n"))
    [problem] = place.problems()
    assert (problem.field, "invitations" in problem.reason) == ("oauth.portal", True), problem
    place.spoil(("federation:\n", "invitations: {listen: 8443}\nfederation:\n"))
    assert place.load().topology.oauth is not None
