"""A rename changes a name wherever the draft means it, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipmesh.errors import OperatorError
from sipmesh.topology.builder.outline import Kind
from sipmesh.topology.builder.renaming import rename
from topology.world import TOPOLOGY

FILE = Path("topology.yaml")


def lines(after: str, before: str = TOPOLOGY) -> list[str]:
    """The lines that a rename adds."""
    return [line.strip() for line in after.splitlines() if line not in before.splitlines()]


def test_pool_is_renamed_as_a_next_hop_also() -> None:
    assert lines(rename(TOPOLOGY, "pool1.example.test", "main", FILE)) == [
        "- name: main.example.test",
        "next_hop: main.example.test",
        "next_hop: main.example.test",
    ]


def test_pool_is_renamed_as_a_backup_pool_also() -> None:
    before = TOPOLOGY.replace("    servers: [fe3", "    backup_pool: pool1.example.test\n    servers: [fe3")
    assert "backup_pool: main.example.test" in lines(rename(before, "pool1.example.test", "main", FILE), before)


def test_edge_pool_is_renamed_as_the_route_also() -> None:
    after = rename(TOPOLOGY, "sip.example.test", "Border.example.test", FILE)
    assert lines(after) == ["- name: border.example.test", "route: border.example.test"]


def test_application_keeps_the_name_of_its_server() -> None:
    after = rename(TOPOLOGY, "bot.example.test", "robot", FILE)
    assert lines(after) == ["- name: robot.example.test", "servers: [robot.example.test]"]


def test_server_keeps_its_keys() -> None:
    after = rename(TOPOLOGY, "fe2.example.test", "fe7", FILE)
    assert lines(after) == ["- {name: fe7.example.test, address: 127.0.0.2}"]


def test_domain_is_renamed_where_applications_speak_for_it_and_media_policies_name_it() -> None:
    before = TOPOLOGY + "media: {domains: {Example.test: any}}\n"
    after = rename(before, "example.test", "example.net", FILE)
    assert lines(after, before) == [
        "sip_domains: [example.net]  # ours",
        "speaks_for: [example.net]",
        "media: {domains: {example.net: any}}",
    ]


def test_site_is_renamed_at_pools_and_servers() -> None:
    before = TOPOLOGY.replace("[fe3.example.test]", "[{name: fe3.example.test, site: Berlin}]") + "sites: [berlin]\n"
    after = rename(before, "berlin", "Paris", FILE)
    assert lines(after, before) == ["servers: [{name: fe3.example.test, site: paris}]", "sites: [paris]"]


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("pool9.example.test", "x", r"did you mean 'pool\d\.example\.test'"),
        ("fe1.example.test", "FE1", "has this name already"),
    ],
)
def test_rename_without_effect_is_refused(old: str, new: str, why: str) -> None:
    with pytest.raises(OperatorError, match=why):
        rename(TOPOLOGY, old, new, FILE)


def test_pool_is_renamed_without_its_server_of_the_same_name() -> None:
    after = rename(TOPOLOGY, "bot.example.test", "robots", FILE, Kind.POOL)
    assert lines(after) == ["- name: robots.example.test"]
    assert "servers: [bot.example.test]" in after
