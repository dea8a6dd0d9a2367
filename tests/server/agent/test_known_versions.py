"""A version that a peer claims is known until its link is closed; a version that management has signed stays known."""

from __future__ import annotations

from sipmesh.server.agent.known_versions import KnownVersions
from support.control_plane import Plane
from support.managed import Managed
from support.network import FE1
from support.running import on_jumping_loop
from support.wires import Wire


@on_jumping_loop
async def test_claim_ends_with_its_link_and_a_signed_version_stays(managed: Managed) -> None:
    with Plane(managed, FE1) as plane:
        host, documents = plane.hosts[FE1], managed.holding(FE1)
        known = KnownVersions(host, documents)
        one, other = Wire().link, Wire().link
        assert (known.claim(one, 7), known.claim(other, 9), known.claim(one, 8)) == (True, True, False)
        assert (known.newest, known.claim(other, 3), known.newest) == (9, False, 8)
        known.forget(one)
        assert known.newest == 3
        documents.known_to_exist = 2
        for _ in range(2):
            known.forget(other)
        assert (known.newest, host.known[-1]) == (2, 2)
