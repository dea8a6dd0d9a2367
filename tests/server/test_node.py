"""A running server as a whole: what time does to its links."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sipmesh.trust.evidence import LinkKind
from support.network import FE1, FE2, Network
from support.running import on_loop, until


@pytest.mark.parametrize(("after", "closes"), [(timedelta(0), False), (timedelta(days=31), True)])
@on_loop
async def test_link_ends_with_the_certificate_it_stands_on_and_no_other_does(
    pool: Network, after: timedelta, *, closes: bool
) -> None:
    """A certificate counts within its validity; clients show none, and stay."""
    async with pool:
        alice, bob = await pool.phone("alice", FE1), await pool.agent("bob", FE2)
        assert (await bob.register()).ok
        await alice.send(alice.request("MESSAGE", "sip:bob@example.test"))
        assert (await alice.final()).status == 200
        node = pool.nodes[FE1]
        between = {link.id for link in node.pool.all() if link.kind is LinkKind.SERVER}
        assert between
        assert set(node.close_ended(datetime.now(UTC) + after)) == (between if closes else set())
        await until(lambda: closes is not any(link.id in between for link in node.pool.all()))
        assert (await alice.ask(alice.request("OPTIONS", "sip:example.test"))).status == 200
