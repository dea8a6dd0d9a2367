"""What the executor does with decisions: requests that wait for the store count for their senders."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from sipmesh.storage.location_service.sqlite_locations import SqliteLocations
from sipmesh.transport.limits import Limits
from support.network import FE1, Network
from support.running import on_loop, until

if TYPE_CHECKING:
    from sipmesh.server.running.running_server import RunningServer
    from sipmesh.storage.location_service.locations import StoredRows

CAROL = "sip:carol@example.test"


def changed_elsewhere(node: RunningServer) -> None:
    """Another server has changed every row, so that nothing in memory counts any more."""
    locations = node.registrations._locations
    assert isinstance(locations, SqliteLocations)
    locations._reading.versions.mark_all()


@pytest.mark.parametrize(("requests", "refused"), [(3, 0), (4, 1)])
@on_loop
async def test_requests_that_wait_for_the_store_are_branches_of_their_sender(
    home: Network, monkeypatch: pytest.MonkeyPatch, requests: int, refused: int
) -> None:
    """Carol is not in memory, and the store does not answer. Bob, who has sent nothing yet, waits with the others."""
    home.limits = Limits(branches_per_user=3)
    async with home:
        alice, bob = await home.phone("alice", FE1), await home.phone("bob", FE1)
        node = home.nodes[FE1]
        changed_elsewhere(node)
        reads = list[Callable[["StoredRows | None"], None]]()
        monkeypatch.setattr(node.registrations._locations, "find", lambda _aor, found: reads.append(found))
        await alice.send(*(alice.request("MESSAGE", CAROL) for _ in range(requests)))
        assert [(await alice.final()).status for _ in range(refused)] == [503] * refused
        await bob.send(bob.request("MESSAGE", CAROL))
        await until(lambda: node.registrations._lookups.count == 4)
        while reads:
            reads.pop()(None)
        assert [(await alice.final()).status for _ in range(3)] == [503] * 3
        assert (await bob.final()).status == 503
        assert node.accounts.refused == ({"user": 1} if refused else {})
        monkeypatch.undo()
        assert (await alice.ask(alice.request("MESSAGE", CAROL))).status == 202
