"""A server that exists has a certificate: it gets another role or pool by a security officer only."""

from __future__ import annotations

import pytest

from sipmesh.topology.versions.grants.rules import grants
from topology.versions.grants.test_rules import FE3, MANAGED, MG1, OFFICER, OPERATOR, changed, loaded


@pytest.mark.parametrize(
    ("pool", "role"),
    [("mgmt", "management"), ("pool2", "front-end"), ("bot", "application"), ("sip", "edge")],
)
def test_server_that_moves_with_its_certificate_needs_a_security_officer(pool: str, role: str) -> None:
    """A new name needs a certificate, which only a security officer issues. A name that has one needs nothing more."""
    member = {
        "mgmt": MG1,
        "pool2": FE3,
        "bot": "    servers: [bot.example.test]\n",
        "sip": "servers: [edge1.example.test]",
    }[pool]
    gone = "      - {name: fe2.example.test, address: 127.0.0.2}\n"
    more = member.replace("]", ", fe2.example.test]")
    moved = grants(loaded(MANAGED), loaded(changed((gone, ""), (member, more))))
    [grant] = [one for one in moved if one.key == "pools.servers"]
    assert grant.role is OFFICER
    assert role in grant.sentence
    new = member.replace("]", ", fe7.example.test]")
    found_new = grants(loaded(MANAGED), loaded(changed((gone, ""), (member, new))))
    assert [one.role for one in found_new] == [OFFICER if pool == "mgmt" else OPERATOR]


def test_pools_that_exchange_their_names_move_their_servers() -> None:
    swapped = MANAGED.replace("pool1.example.test\n    role", "poolX\n    role").replace(
        "pool2.example", "pool1.example"
    )
    swapped = swapped.replace("poolX\n", "pool2.example.test\n")
    moved = [grant for grant in grants(loaded(MANAGED), loaded(swapped)) if grant.key == "pools.servers"]
    assert len(moved) == 3
    assert {grant.role for grant in moved} == {OFFICER}
