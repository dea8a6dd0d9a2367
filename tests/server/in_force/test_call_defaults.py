"""Rules of calls of the topology: they count for what a user has no rule about."""

from __future__ import annotations

from pathlib import Path

from scenarios.test_call_rules import BOB, called, comes, history
from sipmesh.routing.call_rules.call_rules import NEVER, NO_RULES, CallerRule, CallRules
from sipmesh.server.in_force.call_defaults import call_defaults, in_effect
from support.call_rules import rules
from support.network import FE1, POOL, POOL2, Network, build_two_pools
from support.running import on_loop

ALICE, CAROL = "sip:alice@example.test", "sip:carol@example.test"
GENERAL = {"no_answer": "carol@example.test", "ring_s": 30, "block": ["anonymous", "@spam.test", "+4930123"]}


def test_rules_of_a_pool_count_before_those_of_all_pools(tmp_path: Path) -> None:
    organisation = build_two_pools(tmp_path)
    organisation.document["call_rules"] = [GENERAL, {"pool": POOL2, "ring_s": 60, "busy": "+493012345"}]
    organisation.write()
    found = call_defaults(organisation.load().topology)
    callers = dict.fromkeys(("anonymous", "@spam.test", "tel:+4930123"), CallerRule.BLOCK)
    assert found[POOL] == CallRules(no_answer=CAROL, ring_s=30, callers=callers)
    assert found[POOL2] == CallRules(no_answer=CAROL, ring_s=60, busy="tel:+493012345", callers=callers)


def test_rules_of_a_user_count_before_those_of_the_topology() -> None:
    defaults = CallRules(no_answer=CAROL, away=CAROL, ring_s=30, callers={"@spam.test": CallerRule.BLOCK})
    assert in_effect(None, None, ALICE) is None
    assert in_effect(None, defaults, ALICE) == defaults
    own = CallRules(no_answer=BOB, away=NEVER, callers={"@spam.test": CallerRule.ALLOW})
    assert in_effect(own, defaults, ALICE) == CallRules(no_answer=BOB, ring_s=30, callers=own.callers)
    assert in_effect(own, None, ALICE) == CallRules(no_answer=BOB, callers=own.callers)
    assert in_effect(None, defaults, CAROL) == CallRules(ring_s=30, callers=defaults.callers)
    group = CallRules(order="all")
    assert in_effect(group, defaults, ALICE) == group
    assert in_effect(NO_RULES, None, ALICE) == NO_RULES


@on_loop
async def test_call_of_a_user_without_rules_goes_where_the_topology_says(pool: Network) -> None:
    example = pool.organisations[0]
    example.document["call_rules"] = [{"away": "carol@example.test", "block": ["bob@example.test"]}]
    example.write()
    async with pool:
        alice, carol = await pool.phone("alice", FE1), await pool.phone("carol", FE1)
        await called(alice, BOB)
        came = await comes(carol)
        assert history(came)[-1] == f"<{CAROL};cause=503>;index=1.1;mp=1"
        await carol.reply(came, 486)
        await alice.final()
        bob = await pool.phone("bob", FE1)
        await called(bob, ALICE)
        assert (await bob.final()).status == 603
        await rules(pool, "alice", callers={"bob": "allow"})
        await called(bob, ALICE)
        await comes(alice)
