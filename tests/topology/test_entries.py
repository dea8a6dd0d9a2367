"""The entries of a topology: what each server and partner asserts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sipmesh.topology.view import ServerView, view
from sipmesh.trust.own_names import OwnNames
from sipmesh.trust.role import ClientUsage

if TYPE_CHECKING:
    from topology.world import Place

FE1, FE2, FE3 = "fe1.example.test", "fe2.example.test", "fe3.example.test"
EDGE, BOT = "edge1.example.test", "bot.example.test"


@pytest.fixture(name="views")
def _views(place: Place) -> dict[str, ServerView]:
    loaded = place.load()
    return {name: view(loaded, name) for name in (FE2, EDGE)}


@pytest.mark.parametrize(
    ("peer", "asserts"),
    [
        (FE1, {"example.test", BOT}),
        (FE3, {"example.test"}),
        (EDGE, {"partner.test", "other.test", "second.test"}),
        (BOT, {"example.test", BOT}),
    ],
)
def test_each_server_asserts_what_the_table_says(views: dict[str, ServerView], peer: str, asserts: set[str]) -> None:
    assert views[FE2].trusted[peer].asserts == asserts


@pytest.mark.parametrize(("workers", "processes"), [("1", 1), ("2", 3), ("64", 65), ("auto", 65)])
def test_peer_may_open_links_from_each_of_its_processes(place: Place, workers: str, processes: int) -> None:
    """Its workers and their supervisor; ``auto`` may be any number."""
    place.spoil(("servers: [edge1.example.test]", f"servers: [{{name: edge1.example.test, workers: {workers}}}]"))
    loaded = place.load()
    assert view(loaded, FE1).trusted[EDGE].processes == processes
    assert view(loaded, EDGE).workers == (workers if workers == "auto" else int(workers))


def test_an_application_asserts_its_certified_name_alone_by_default(place: Place) -> None:
    place.spoil(("speaks_for: [example.test]", "speaks_for: []"))
    bot = view(place.load(), FE1).trusted[BOT]
    assert (bot.asserts, bot.own) == (frozenset({BOT}), None)


def test_names_of_an_application_are_its_own(place: Place) -> None:
    place.spoil(("speaks_for: [example.test]", "sip_addresses: [echo@example.test]\n    numbers: ['+4930']"))
    here = view(place.load(), FE1)
    assert here.trusted[BOT].own == OwnNames(frozenset({"sip:echo@example.test"}), ("+4930",), here.sip_domains)
    assert here.trusted[FE1].own is None


def test_a_partner_asserts_its_own_domains_under_its_own_authority(views: dict[str, ServerView]) -> None:
    first, second = views[EDGE].partners
    assert first.peer.asserts == {"partner.test"}
    assert first.peer.identity == first.peer.names == {"partner.test", "sip.partner.test"}
    assert first.peer.role is None
    assert first.peer.authority.name == "partner.test"
    assert second.peer.client_usage is ClientUsage.SERVER_OK
    assert second.peer.name == "other.test"
