"""What the names of applications must agree with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from topology.contradictions import BOT_HOP, POOL2, must_report

if TYPE_CHECKING:
    from topology.world import Place


@pytest.mark.parametrize(
    ("old", "new", "field", "reason"),
    [
        (POOL2, f"{POOL2}\n    sip_addresses: [a@example.test]", "pools[1].sip_addresses", "role front-end has no"),
        (POOL2, f"{POOL2}\n    numbers: ['+4930']", "pools[1].numbers", "role front-end has no"),
        (POOL2, f"{POOL2}\n    public: true", "pools[1].public", "role front-end has no"),
        (
            BOT_HOP,
            f"public: true\n    {BOT_HOP}",
            "pools[3].public",
            "this application has no name for partners and trunks",
        ),
        (
            BOT_HOP,
            f"sip_addresses: [a@exampel.test]\n    {BOT_HOP}",
            "pools[3].sip_addresses[0]",
            "not a SIP domain of the topology",
        ),
        (
            BOT_HOP,
            f"sip_addresses: [a@example.test, a@example.test]\n    {BOT_HOP}",
            "pools[3].sip_addresses[1]",
            "is a name of bot.example.test already",
        ),
        (
            BOT_HOP,
            f"numbers: ['+4930', '+4930']\n    {BOT_HOP}",
            "pools[3].numbers[1]",
            "is a name of bot.example.test already",
        ),
        (POOL2, f"{POOL2}\n    screens: [example.test]", "pools[1].screens", "role front-end has no"),
        (BOT_HOP, f"if_away: pass\n    {BOT_HOP}", "pools[3].if_away", "screens no calls"),
        (
            BOT_HOP,
            f"screens: [a@exampel.test]\n    {BOT_HOP}",
            "pools[3].screens[0]",
            "not a SIP domain of the topology",
        ),
        (
            BOT_HOP,
            f"screens: [a@example.test, a@example.test]\n    {BOT_HOP}",
            "pools[3].screens[1]",
            "bot.example.test screens the calls to a@example.test already",
        ),
        (
            BOT_HOP,
            f"screens: [a@example.test, A@example.test]\n    {BOT_HOP}",
            "pools[3].screens[1]",
            "bot.example.test screens the calls to A@example.test already",
        ),
        (BOT_HOP, f"numbers: ['+']\n    {BOT_HOP}", "pools[3].numbers[0]", ""),
        (BOT_HOP, f"sip_addresses: ['+4930@example.test']\n    {BOT_HOP}", "pools[3].sip_addresses[0]", ""),
        (BOT_HOP, f"sip_addresses: ['%61@example.test']\n    {BOT_HOP}", "pools[3].sip_addresses[0]", ""),
    ],
)
def test_contradiction_is_reported_where_it_is(place: Place, old: str, new: str, field: str, reason: str) -> None:
    must_report(place, old, new, field, reason)


def test_names_of_an_application_pass(place: Place) -> None:
    place.spoil((BOT_HOP, f"sip_addresses: [a@example.test]\n    numbers: ['+4930']\n    public: true\n    {BOT_HOP}"))
    assert place.load().topology.pools[3].sip_addresses == ("a@example.test",)
