"""What a principal uses at one process is known at the others."""

from __future__ import annotations

from sipmesh.demo.organisation import Organisation
from support.running import on_loop, until
from support.siblings import ONE, TWO, pair_of


@on_loop
async def test_use_and_login_at_one_worker_are_known_at_the_other(example: Organisation) -> None:
    async with pair_of(example) as pair:
        await pair.phone("alice", ONE)
        await until(lambda: len(pair.nodes[TWO].accounts.of_users) == 1)
        [flow] = [flow for flow in pair.nodes[ONE].flow_table.sessions() if flow.link.is_here]
        flow.account.add(flow.account.most_branches, 0)
        await until(lambda: any(one.account.branches_elsewhere for one in pair.nodes[TWO].flow_table.sessions()))
        flow.account.add(-flow.account.most_branches, 0)
