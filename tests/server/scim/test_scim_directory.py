"""Groups of SCIM clients decide the home pool of their members."""

from __future__ import annotations

from pathlib import Path

from support.managed import second_pool
from support.network import POOL2
from support.running import within
from support.scim import scim_client, scim_network, users_of


@within(150.0)
async def test_group_decides_the_home_pool_by_its_external_id(tmp_path: Path) -> None:
    """A group of the same display name does not. An unknown member is refused."""
    pools = [{"group": "berlin", "pool": POOL2}]
    async with scim_network(tmp_path, further=(second_pool(),), pools=pools) as network, scim_client(network) as client:
        carol, dave = await client.add("carol"), await client.add("dave")
        await client.group("berlin", dave)
        berlin = await client.group("Everyone in Berlin", externalId="berlin")
        assert users_of(network)["carol"].pool != POOL2
        added = {"op": "Add", "path": "members", "value": [{"value": carol}]}
        assert (await client.patch(f"/Groups/{berlin}", added))[0] == 200
        assert (users_of(network)["carol"].pool, users_of(network)["dave"].pool == POOL2) == (POOL2, False)
        unknown = {"op": "Add", "path": "members", "value": [{"value": "x"}]}
        status, refused = await client.patch(f"/Groups/{berlin}", unknown)
        assert (status, "there is no user and no group with the id x" in refused["detail"]) == (400, True)
        found = (await client.ask("GET", f'/Groups?filter=members eq "{carol}"'))[1]["Resources"]
        assert [one["id"] for one in found] == [berlin]
        assert (await client.ask("DELETE", f"/Users/{carol}"))[0] == 204
        assert "members" not in (await client.ask("GET", f"/Groups/{berlin}"))[1]
