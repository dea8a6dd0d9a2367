"""Edits by command: partners come and are blocked, and the operator's comments stay."""

from __future__ import annotations

import stat
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from sipmesh.errors import OperatorError
from sipmesh.topology.document import yaml_tree
from sipmesh.topology.document.changes import (
    add_partner,
    block_partner,
    edit,
    edit_text,
    move_management,
    unblock,
)
from topology.world import TOPOLOGY

if TYPE_CHECKING:
    from topology.world import Place

FILE = Path("topology.yaml")
NEW = {
    "domains": ["new.test"],
    "edge": "sip.new.test:5081",
    "anchors": ["partners/d/root.pem"],
    "crls": ["partners/d/root.crl"],
}


def removed(before: str, after: str) -> list[str]:
    return [line for line in before.splitlines() if line not in after.splitlines()]


def test_a_new_partner_is_written_behind_the_others() -> None:
    after = add_partner(TOPOLOGY, NEW)
    assert removed(TOPOLOGY, after) == []
    new = (
        "    - domains: [new.test]\n"
        "      edge: sip.new.test:5081\n"
        "      anchors: [partners/d/root.pem]\n"
        "      crls: [partners/d/root.crl]\n"
    )
    assert f"      client_usage: server-ok\n{new}  # never again\n" in after


def test_what_is_not_given_of_a_partner_is_not_written() -> None:
    assert "edge" not in add_partner("x: 1\n", {**NEW, "edge": None})


def test_blocking_moves_a_partner_with_all_its_names() -> None:
    after = block_partner(TOPOLOGY, "Partner.test", FILE)
    assert "blocked: [evil.test, partner.test, sip.partner.test]" in after
    assert "# our oldest friend\n    - domains: [other.test, second.test]" in after
    assert len(removed(TOPOLOGY, after)) == 2


def test_blocking_by_the_name_of_the_edge_is_blocking_the_partner() -> None:
    after = block_partner(TOPOLOGY, "sip.partner.test", FILE)
    assert "blocked: [evil.test, sip.partner.test, partner.test]" in after


def test_blocking_all_partners_leaves_an_empty_list() -> None:
    after = block_partner(block_partner(TOPOLOGY, "second.test", FILE), "partner.test", FILE)
    assert "  partners: []\n    # our oldest friend\n" in after
    assert "blocked: [evil.test, second.test, other.test, partner.test, sip.partner.test]" in after


@pytest.mark.parametrize("name", ["partner.test", "SIP.partner.test"])
def test_unblocked_partner_has_its_entry_again_whole(place: Place, name: str) -> None:
    """By any of its names; a name that was blocked before stays blocked."""
    before = place.load().topology.federation
    blocked = edit(place.file, lambda text: block_partner(text, name, place.file)).topology.federation
    assert [entry["domains"][0] for entry in blocked.blocked_partners] == ["partner.test"]
    assert "partner.test" not in {partner.name for partner in blocked.partners}
    again = edit(place.file, lambda text: unblock(text, name, place.file)).topology.federation
    assert (again.blocked, again.blocked_partners) == (before.blocked, ())
    assert {one.name: one for one in again.partners} == {one.name: one for one in before.partners}


def test_name_is_no_longer_blocked() -> None:
    assert "blocked: []" in unblock(TOPOLOGY, "EVIL.test", FILE)
    with pytest.raises(OperatorError, match=r"did you mean 'evil\.test'"):
        unblock(TOPOLOGY, "evill.test", FILE)


def test_name_without_a_partner_is_blocked_alone() -> None:
    after = block_partner(TOPOLOGY, "stranger.test", FILE)
    assert removed(TOPOLOGY, after) == ["  blocked: [evil.test]"]
    assert "blocked: [evil.test, stranger.test]" in after


def test_blocking_twice_changes_nothing() -> None:
    once = block_partner(TOPOLOGY, "partner.test", FILE)
    assert block_partner(once, "partner.test", FILE) == once


def test_an_edit_is_on_disk_when_it_returns(place: Place) -> None:
    place.file.chmod(0o640)
    loaded = edit(place.file, lambda text: block_partner(text, "partner.test", place.file))
    assert [partner.name for partner in loaded.topology.federation.partners] == ["other.test"]
    assert place.load().digest == loaded.digest
    assert stat.S_IMODE(place.file.stat().st_mode) == 0o640
    assert [file.name for file in place.file.parent.iterdir() if file.is_file()] == ["topology.yaml"]


def test_dry_run_changes_no_file(place: Place) -> None:
    before = place.file.read_bytes()
    made = edit_text(place.file, lambda text: block_partner(text, "partner.test", place.file), dry_run=True)
    assert place.file.read_bytes() == before
    assert "+  blocked: [evil.test, partner.test, sip.partner.test]" in made.diff
    assert [partner.name for partner in made.loaded.topology.federation.partners] == ["other.test"]


def test_edits_at_the_same_time_lose_no_change(place: Place) -> None:
    """The second edit starts while the first one has read the file, and waits for it."""
    second: list[Thread] = []

    def first(text: str) -> str:
        second.append(Thread(target=edit, args=(place.file, lambda text: block_partner(text, "b.test", place.file))))
        second[0].start()
        return block_partner(text, "a.test", place.file)

    edit(place.file, first)
    second[0].join()
    assert place.load().topology.federation.blocked == ("evil.test", "a.test", "b.test")


def test_an_edit_that_would_break_the_topology_changes_nothing(place: Place) -> None:
    """The new partner's files do not exist."""
    before = place.file.read_bytes()
    with pytest.raises(OperatorError, match=r"partners/d/root\.pem"):
        edit(place.file, lambda text: add_partner(text, NEW))
    assert place.file.read_bytes() == before


def test_remedy_of_an_impossible_edit_is_to_edit_by_hand(place: Place) -> None:
    place.spoil(("blocked: [evil.test]", "blocked: [evil.test  # why\n    ]"))
    before = place.file.read_bytes()
    with pytest.raises(OperatorError, match="by hand"):
        edit(place.file, lambda text: block_partner(text, "stranger.test", place.file))
    assert place.file.read_bytes() == before


@pytest.mark.parametrize(
    ("servers", "after"),
    [
        ("[mg1.example.test]", {"name": "mg1.example.test", "address": "192.0.2.20"}),
        (
            "\n      # it signs\n      - {name: mg1.example.test, address: 192.0.2.1, bind: 0.0.0.0, ports: {server: 5070}}",
            {"name": "mg1.example.test", "ports": {"server": 5070}, "address": "192.0.2.20"},
        ),
    ],
)
def test_management_that_moves_keeps_all_but_its_address(place: Place, servers: str, after: dict[str, object]) -> None:
    """The old address is no longer used for listening or connecting."""
    place.spoil(("pools:\n", f"pools:\n  - name: mgmt.example.test\n    role: management\n    servers: {servers}\n"))
    before = place.file.read_text()
    moved = move_management(before, "192.0.2.20", place.file)
    read = yaml_tree.parse(moved.encode(), place.file)[0].at(("pools", 0, "servers", 0)).plain()
    assert read == after
    assert [line for line in before.splitlines() if "fe1" in line] == [
        line for line in moved.splitlines() if "fe1" in line
    ]
    place.file.write_text(moved)
    pool = place.load().topology.pools[0]
    assert (pool.servers[0].address, pool.servers[0].bind) == ("192.0.2.20", None)


def test_network_without_management_is_unchanged(place: Place) -> None:
    text = place.file.read_text()
    assert move_management(text, "192.0.2.20", place.file) == text
