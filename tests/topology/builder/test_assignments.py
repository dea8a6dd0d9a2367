"""Keys of the draft are changed by name; every other character stays."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sipmesh.errors import OperatorError
from sipmesh.topology.builder.assignments import NETWORK, Assignment, assign, change
from sipmesh.topology.builder.outline import Outline
from sipmesh.topology.view import view
from support.checkout import DOCS
from topology.world import TOPOLOGY, Place

FILE = Path("topology.yaml")


def changed(name: str, *assignments: str) -> list[str]:
    """The lines that a change adds."""
    after = change(TOPOLOGY, name, [Assignment.read(one) for one in assignments], FILE)
    before = TOPOLOGY.splitlines()
    return [line.strip() for line in after.splitlines() if line not in before]


@pytest.mark.parametrize(
    ("name", "assignments", "lines"),
    [
        (
            "fe1.example.test",
            ["address=127.0.0.9", "ports.client=5071"],
            ["- {name: fe1.example.test, address: 127.0.0.9, ports: {client: 5071, server: 5062}}"],
        ),
        ("FE2.example.test", ["address="], ["- {name: fe2.example.test}"]),
        ("fe3.example.test", ["address=::1"], ['servers: [{name: fe3.example.test, address: "::1"}]']),
        ("sip.example.test", ["next_hop=pool2.example.test"], ["next_hop: pool2.example.test"]),
        ("bot.example.test", ["speaks_for-=example.test"], ["speaks_for: []"]),
        ("bot.example.test", ["speaks_for+=example.net"], ["speaks_for: [example.test, example.net]"]),
        ("bot.example.test", ["metrics=9105"], ["servers: [{name: bot.example.test, metrics: 9105}]"]),
        (NETWORK, ["media.default=any"], ["media:", "default: any"]),
        (NETWORK, ["federation.discovery=off"], ['discovery: "off"']),
        (NETWORK, ["sip_domains+=example.net"], ["sip_domains: [example.test, example.net]  # ours"]),
    ],
)
def test_key_is_changed_in_its_place(name: str, assignments: list[str], lines: list[str]) -> None:
    assert changed(name, *assignments) == lines


def test_command_of_the_page_gives_a_pool_a_store_of_its_own(place: Place) -> None:
    """And a change of one key of it is as short as that of any other key."""
    page = (DOCS / "howto" / "more-than-one-host.md").read_text()
    [text] = re.findall(r"sipmesh topology change pool2\.example\.com '(.*)'\n", page)
    after = change(
        TOPOLOGY, "pool2.example.test", [Assignment.read(text), Assignment.read("storage.valkey.user=p2")], FILE
    )
    place.file.write_text(after)
    storage = view(place.load(), "fe3.example.test").bindings_storage
    assert (storage.bindings, storage.valkey.user) == ("valkeys://valkey2.example.com", "p2")
    assert change(after, "pool2.example.test", [Assignment.read("storage=")], FILE) == TOPOLOGY


@pytest.mark.parametrize(
    ("name", "assignment", "why"),
    [
        ("fe1.example.test", "adress=127.0.0.1", "did you mean 'address'"),
        ("sip.example.test", "nexthop=x", "did you mean 'next_hop'"),
        ("fe11.example.test", "address=127.0.0.1", r"did you mean 'fe1\.example\.test'"),
        ("fe1.example.test", "metrics=", "nothing to remove"),
        ("bot.example.test", "speaks_for-=exampel.test", r"did you mean 'example\.test'"),
        (NETWORK, "name=x", "sipmesh topology rename"),
        (NETWORK, "servers+=x", "sipmesh topology add server"),
        (NETWORK, "address", "write KEY=VALUE"),
        (NETWORK, "media=[", "not YAML"),
        (NETWORK, "organisation=x\nsipmesh: 2", "line break"),
        (NETWORK, "organisation=!!python/name:os.system x", "is not a value"),
        ("example.test", "address=192.0.2.1", "is not a pool or server"),
    ],
)
def test_change_that_makes_no_sense_is_refused(name: str, assignment: str, why: str) -> None:
    with pytest.raises(OperatorError, match=why):
        changed(name, assignment)


def test_partner_is_changed_by_its_entry() -> None:
    entry = Outline(TOPOLOGY, FILE).partner("second.test")
    after = assign(TOPOLOGY, entry, [Assignment.read("client_usage="), Assignment.read("domains+=third.test")])
    assert "    - domains: [other.test, second.test, third.test]\n" in after
    assert "server-ok" not in after
    assert "# our oldest friend" in after


@pytest.mark.parametrize("key", ["users", "management"])
def test_databases_are_changed_one_at_a_time(key: str) -> None:
    """Each key of `storage` is one change: the other database stays where it is."""
    url = f"postgresql+psycopg://sipmesh@127.0.0.1/{key}"
    added = changed(NETWORK, f"storage.{key}={url}")
    assert [line for line in added if key in line] == [f'{key}: "{url}"']
    assert not [line for line in added if {"users": "management", "management": "users"}[key] in line]


def test_key_of_the_network_in_place_of_a_name_is_refused_with_the_command_to_type() -> None:
    with pytest.raises(OperatorError, match=r"write: sipmesh topology change network storage\.users=VALUE$"):
        changed("storage", "users=sqlite:///other.db")
