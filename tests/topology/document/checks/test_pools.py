"""Contradictions: pools: where their next hops and backup pools lead, and for whom they speak."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from topology.contradictions import BOT_HOP, EDGE_HOP, POOL2, must_report

if TYPE_CHECKING:
    from topology.world import Place


@pytest.mark.parametrize(
    ("old", "new", "field", "reason"),
    [
        (EDGE_HOP, "next_hop: gone.example.test\n  - name: bot", "pools[2].next_hop", "is not a pool"),
        (EDGE_HOP, "next_hop: fe1.example.test\n  - name: bot", "pools[2].next_hop", "is not a pool"),
        (EDGE_HOP, "next_hop: bot.example.test\n  - name: bot", "pools[2].next_hop", "is of role application"),
        (EDGE_HOP, "next_hop: sip.example.test\n  - name: bot", "pools[2].next_hop", "is a loop"),
        (EDGE_HOP, "\n  - name: bot", "pools[2]", "needs `next_hop`"),
        (BOT_HOP, "speaks_for", "pools[3]", "needs `next_hop`"),
        (POOL2, f"{POOL2}\n    next_hop: pool1.example.test", "pools[1].next_hop", "a front-end pool has no next hop"),
        (
            "speaks_for: [example.test]",
            "speaks_for: [partner.test]",
            "pools[3].speaks_for[0]",
            "not a SIP domain of the topology",
        ),
        (
            "  # ours",
            "\nmedia: {domains: {exampel.test: any}}",
            "media.domains.exampel.test",
            "not a SIP domain of ours",
        ),
        (POOL2, f"{POOL2}\n    takeover_after: 1", "pools[1].takeover_after", "a number from 2 on"),
        (POOL2, f"{POOL2}\n    backup_pool: gone.example.test", "pools[1].backup_pool", "is not a pool"),
        (POOL2, f"{POOL2}\n    backup_pool: sip.example.test", "pools[1].backup_pool", "is of role edge"),
        (POOL2, f"{POOL2}\n    backup_pool: pool2.example.test", "pools[1].backup_pool", "is the pool itself"),
        (
            EDGE_HOP,
            "next_hop: pool1.example.test\n    backup_pool: pool1.example.test\n  - name: bot",
            "pools[2].backup_pool",
            "a pool of role edge has no backup pool",
        ),
    ],
)
def test_contradiction_is_reported_at_its_place(place: Place, old: str, new: str, field: str, reason: str) -> None:
    must_report(place, old, new, field, reason)


def test_a_misspelt_next_hop_is_answered_with_the_nearest_pool(place: Place) -> None:
    place.spoil((BOT_HOP, "next_hop: pool1.exampel.test\n    speaks_for"))
    assert place.problem().remedy == "did you mean 'pool1.example.test'?"


def test_loop_is_reported_at_each_of_its_pools(place: Place) -> None:
    place.spoil(
        (EDGE_HOP, "next_hop: pool2.example.test\n  - name: bot"), (POOL2, f"{POOL2}\n    next_hop: sip.example.test")
    )
    told = {problem.field: problem.reason for problem in place.problems()}
    assert told["pools[1].next_hop"].endswith("pool2.example.test → sip.example.test → pool2.example.test")
    assert told["pools[2].next_hop"].endswith("sip.example.test → pool2.example.test → sip.example.test")
