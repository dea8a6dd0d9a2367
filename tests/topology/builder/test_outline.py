"""The names in a draft and their places."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipmesh.errors import OperatorError
from sipmesh.topology.builder.outline import Kind, Outline
from topology.world import TOPOLOGY

FILE = Path("topology.yaml")


@pytest.fixture(name="outline")
def _outline() -> Outline:
    return Outline(TOPOLOGY, FILE)


def test_each_part_has_its_place(outline: Outline) -> None:
    assert [pool.loc for pool in outline.pools] == [("pools", n) for n in range(4)]
    fe3 = outline.one(Kind.SERVER, "FE3.example.test")
    assert (fe3.loc, fe3.short, fe3.pool and fe3.pool.name) == (("pools", 1, "servers", 0), True, "pool2.example.test")
    assert outline.partner("second.test").loc == ("federation", "partners", 1)


def test_pool_and_its_only_server_share_a_name(outline: Outline) -> None:
    assert [entry.kind for entry in outline.named("bot.example.test")] == [Kind.POOL, Kind.SERVER]


def test_first_label_is_enough_where_it_means_one_name() -> None:
    outline = Outline(TOPOLOGY.replace("servers: [fe3.example.test]", "servers: [fe1.other.test, bot]"), FILE)
    assert [entry.name for entry in outline.named("POOL2")] == ["pool2.example.test"]
    assert [entry.name for entry in outline.named("bot")] == ["bot"]
    assert outline.named("fe1") == outline.named("example") == []


def test_missing_place_has_no_value(outline: Outline) -> None:
    assert outline.plain(("federation", "route")) == "sip.example.test"
    assert outline.plain(("websocket",)) is None
    assert outline.items(("federation", "route")) == ()


def test_error_has_the_nearest_name(outline: Outline) -> None:
    with pytest.raises(OperatorError, match=r"did you mean 'fe3\.example\.test'"):
        outline.one(Kind.SERVER, "fe33.example.test")
    with pytest.raises(OperatorError, match=r"did you mean 'second\.test'"):
        outline.partner("secnd.test")


def test_draft_with_problems_has_an_outline() -> None:
    outline = Outline("pools: [{role: edge}, x.test, {name: y.test, servers: 5}]\nsip_domains: yes\n", FILE)
    assert [pool.name for pool in outline.pools] == ["none", "x.test", "y.test"]
    assert outline.servers == outline.domains == outline.sites == outline.partners == ()
