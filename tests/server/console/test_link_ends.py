"""The links between two servers, pools or partners, from the reports of both ends."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from sipmesh.server.console.link_ends import LinkEnd, links_between
from sipmesh.server.console.replies import VerdictEntry
from sipmesh.server.management.replies import MemberReply, NetworkReply, ServerReply

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
FE1, FE2, EDGE, MGMT = "fe1.test", "fe2.test", "edge.test", "mgmt.test"


def report(server: str, pool: str, **given: Any) -> MemberReply:
    facts = {"server": server, "number": 1, "pool": pool, "faults": (), "linked": True, "why_not": "", "reached": True}
    return MemberReply.model_validate({**facts, **given})


NETWORK = NetworkReply(
    1,
    NOON,
    ServerReply.model_validate({"server": MGMT, "number": 1, "faults": ()}),
    (
        report(
            FE1,
            "pool.test",
            neighbours=({"peer": EDGE, "kind": "server", "tls": "TLSv1.3", "messages": 7, "used": 30},),
        ),
        report(FE2, "pool.test", unanswered=(EDGE,)),
        report(
            EDGE,
            "edges.test",
            neighbours=({"peer": FE1, "kind": "server"}, {"peer": "partner.test", "kind": "partner"}),
        ),
    ),
)
LIVE = VerdictEntry(NOON, FE1, "accepted", EDGE, "server", "accepted", "", "17", ())


@pytest.mark.parametrize(
    ("one", "other", "ends"),
    [
        (FE1, EDGE, [(FE1, EDGE, ""), (EDGE, FE1, "")]),
        (EDGE, FE1, [(FE1, EDGE, ""), (EDGE, FE1, "")]),
        ("pool.test", "edges.test", [(FE1, EDGE, ""), (FE2, EDGE, "does not answer"), (EDGE, FE1, "")]),
        ("partner.test", "edges.test", [(EDGE, "partner.test", "")]),
        (FE1, "partner.test", []),
        (MGMT, "nobody", []),
    ],
)
def test_ends_are_those_of_the_two_names(one: str, other: str, ends: list[tuple[str, str, str]]) -> None:
    assert [(end.server, end.peer, end.fault) for end in links_between(NETWORK, (), one, other)] == ends


def test_end_on_this_machine_leads_to_the_findings_of_its_link() -> None:
    first, second = links_between(NETWORK, (LIVE,), FE1, EDGE)
    assert first == LinkEnd(FE1, EDGE, tls="TLSv1.3", messages=7, used=30, link="17")
    assert second.link == ""
