"""What each server takes from the trunks of a topology."""

from __future__ import annotations

import pytest

from sipmesh.demo.organisation import Organisation
from sipmesh.routing.numbers.site_plans import site_plans_of
from sipmesh.server.in_force.trunk_rules import emergency_gateways, told_numbers, trunk_names, trunk_table
from sipmesh.topology.view import ServerView, view
from support.network import BOT, EDGE, FE1, Network
from support.trunks import GATEWAY, GATEWAYS, PROVIDER, PlayedTrunk, build_gateway, build_trunk, join_trunks


@pytest.fixture(name="trunked", scope="module")
def _trunked(tmp_path_factory: pytest.TempPathFactory) -> Organisation:
    folder = tmp_path_factory.mktemp("trunks")
    example = build_gateway(folder / "example")
    premium = {"name": "premium", "numbers": ["+49900"], "users": ["alice@example.test"]}
    example.document["numbers"] = {"country": "49", "emergency": ["112"], "classes": [premium]}
    join_trunks(
        example,
        (
            PlayedTrunk(PROVIDER, build_trunk(folder / "provider", PROVIDER)),
            {"asserts": ["+"], "carries": ["+49"], "weight": 2, "main_number": "+493012300", "emergency": True},
        ),
    )
    return example


def seen(trunked: Organisation, server: str) -> ServerView:
    return view(trunked.load(), server)


def test_each_server_knows_all_trunks(trunked: Organisation) -> None:
    for server in (FE1, GATEWAY):
        table = trunk_table(seen(trunked, server))
        assert table is not None
        trunk = table.trunks[PROVIDER]
        assert (trunk.gateway, trunk.asserts, trunk.carries, trunk.weight) == (GATEWAYS, ("+",), ("+49",), 2)
        assert trunk.main_number == "+493012300"


def test_gateway_names_the_parties_and_a_front_end_names_the_gateways(trunked: Organisation) -> None:
    names = trunk_names(seen(trunked, GATEWAY))
    assert names is not None
    assert (names.host, names.domain) == (GATEWAYS, "example.test")
    assert trunk_names(seen(trunked, FE1)) is None
    assert told_numbers(seen(trunked, FE1)) == {GATEWAYS}
    assert told_numbers(seen(trunked, GATEWAY)) == frozenset()


def test_topology_without_trunks_has_no_table(federation: Network) -> None:
    for server in (FE1, EDGE):
        here = view(federation.of(server).load(), server)
        assert (trunk_table(here), trunk_names(here)) == (None, None)


def test_front_end_tells_applications_the_number_of_a_caller(federation: Network) -> None:
    here = view(federation.of(FE1).load(), FE1)
    assert told_numbers(here) == {BOT}
    assert told_numbers(view(federation.of(EDGE).load(), EDGE)) == frozenset()


def test_trunk_belongs_to_its_gateway_and_not_to_edges(trunked: Organisation) -> None:
    assert [partner.name for partner in seen(trunked, GATEWAY).partners] == [PROVIDER]
    assert seen(trunked, GATEWAY).trusted[GATEWAY].asserts == {PROVIDER}
    assert seen(trunked, FE1).may_open_to(GATEWAY)
    assert seen(trunked, GATEWAY).may_open_to(FE1)


def test_numbers_are_dialled_by_the_rules_of_the_organisation(trunked: Organisation) -> None:
    plan = site_plans_of(seen(trunked, FE1).loaded.topology).general.plan
    assert (plan.country, plan.national, plan.international, plan.emergency) == ("49", "0", "00", frozenset({"112"}))
    [premium] = plan.classes
    assert (premium.name, premium.numbers, premium.users) == (
        "premium",
        ("+49900",),
        frozenset({"sip:alice@example.test"}),
    )


def test_emergency_calls_go_to_the_gateways_of_the_trunks_that_take_them(
    trunked: Organisation, federation: Network
) -> None:
    [(site, gateways)] = emergency_gateways(seen(trunked, FE1)).items()
    assert (site, tuple(gateways.servers), gateways.trunks) == ("", (GATEWAY,), ())
    assert not emergency_gateways(view(federation.of(FE1).load(), FE1))
