"""Parts are removed by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipmesh.errors import OperatorError
from sipmesh.topology.builder.outline import Kind, Outline
from sipmesh.topology.builder.removal import remove, remove_partner
from topology.world import TOPOLOGY

FILE = Path("topology.yaml")


def test_pool_server_and_domain_are_removed_by_name() -> None:
    without = Outline(remove(TOPOLOGY, "POOL2.example.test", FILE), FILE)
    assert [pool.name for pool in without.pools] == ["pool1.example.test", "sip.example.test", "bot.example.test"]
    assert "fe2" not in remove(TOPOLOGY, "fe2.example.test", FILE)
    assert "sip_domains: []  # ours" in remove(TOPOLOGY, "example.test", FILE)


def test_application_is_removed_with_its_only_server() -> None:
    assert "bot" not in remove(TOPOLOGY, "bot.example.test", FILE)


def test_only_server_of_a_pool_is_removed_with_the_pool() -> None:
    with pytest.raises(OperatorError, match=r"sipmesh topology remove pool2\.example\.test"):
        remove(TOPOLOGY, "fe3.example.test", FILE)
    with pytest.raises(OperatorError, match="is the only server"):
        remove(TOPOLOGY, "bot.example.test", FILE, Kind.SERVER)


def test_unknown_name_has_the_nearest_one() -> None:
    with pytest.raises(OperatorError, match=r"did you mean 'fe3\.example\.test'"):
        remove(TOPOLOGY, "fe33.example.test", FILE)
    with pytest.raises(OperatorError, match="is not a site"):
        remove(TOPOLOGY, "fe2.example.test", FILE, Kind.SITE)


def test_partner_is_removed_and_not_blocked() -> None:
    after = remove_partner(TOPOLOGY, "second.test", FILE)
    assert "other.test" not in after
    assert "blocked: [evil.test]" in after
