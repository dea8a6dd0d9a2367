"""Whose an address is."""

from __future__ import annotations

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.server.in_force.address_rules import AddressRules
from sipmesh.server.proxy.login.user_stores import open_users
from sipmesh.storage.users.user_database import Users
from sipmesh.topology.document.watching import Watching
from sipmesh.topology.view import view
from support.in_force import current_of, put
from support.network import FE1, PARTNER_EDGES, Network


def rules_of(organisation: Organisation) -> AddressRules:
    """The rules of the first front end."""
    own = view(organisation.load(), FE1)
    users = open_users(own)
    rules = AddressRules(current_of(own.loaded, FE1, users))
    users.close()
    return rules


@pytest.fixture(name="rules")
def _rules(federated_pools: Network) -> AddressRules:
    """Alice is at home in our pool, bob in the second one; carol has no home pool. partner.test is a partner."""
    return rules_of(federated_pools.organisations[0])


def test_domain_of_a_partner_has_its_name_and_others_have_none(rules: AddressRules) -> None:
    domains = ("partner.test", "example.test", "unknown.test")
    assert [rules.partner_of(domain) for domain in domains] == [PARTNER_EDGES, "", ""]


def test_address_is_ours_if_its_home_is_our_pool(rules: AddressRules) -> None:
    addresses = ("sip:alice@example.test", "sip:bob@example.test", "sip:carol@partner.test")
    assert [rules.is_ours(aor) for aor in addresses] == [True, False, False]


@pytest.mark.parametrize(
    ("aor", "may"),
    [
        ("sip:alice@example.test", True),
        ("sip:bob@example.test", True),
        ("sip:nobody@example.test", False),
        ("sip:anybody@partner.test", True),
        ("sip:anybody@unknown.test", False),
    ],
)
def test_address_may_exist_as_a_known_user_or_at_a_partner(rules: AddressRules, aor: str, *, may: bool) -> None:
    assert rules.may_exist(aor) is may


def test_no_user_exists_in_a_blocked_domain(federated_pools: Network) -> None:
    organisation = federated_pools.organisations[0]
    rules = rules_of(organisation)
    federation = organisation.document["federation"]
    assert isinstance(federation, dict)
    organisation.federate(federation["route"], [], ("partner.test",))
    organisation.write()
    put(rules._current, organisation)
    assert not rules.may_exist("sip:anybody@partner.test")
    assert rules.partner_of("partner.test") == ""


def test_rule_of_a_user_goes_before_the_default_of_the_topology(federated_pools: Network) -> None:
    organisation = federated_pools.organisations[0]
    organisation.document["presence"] = {"inside": "allow", "partners": "polite-block"}
    organisation.write()
    users = Users(organisation.load().users_url)
    users.set_watcher("alice@example.test", "sip:bob@example.test", Watching.BLOCK)
    users.close()
    rules, alice = rules_of(organisation), "sip:alice@example.test"
    watchers = ("sip:bob@example.test", "sip:dora@example.test", "sip:erin@partner.test")
    assert [rules.watching(alice, watcher) for watcher in watchers] == [
        Watching.BLOCK,
        Watching.ALLOW,
        Watching.POLITE_BLOCK,
    ]
