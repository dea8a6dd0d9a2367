"""An operator gives a gateway the name of another host as our name at a trunk: its next certificate would have this name."""

from __future__ import annotations

from pathlib import Path

from attacks.test_operator_token import drafted, published
from sipmesh.demo.organisation import PoolPlan
from sipmesh.topology.view import certificate_names
from sipmesh.trust.role import Role
from support.console import Answer, Visitor, management_with_console
from support.managed import MGMT, Managed
from support.network import POOL
from support.running import on_loop
from support.trunks import GATEWAY, GATEWAYS, PROVIDER, build_trunk

DATABASE = "db.example.test"
CHANGES = [f"trunk.host={DATABASE}"]


def names_of_gateway(network: Managed) -> tuple[str, ...]:
    """The names in the next certificate of the gateway, by the topology in force."""
    return certificate_names(network.nodes[MGMT].view.loaded.topology, GATEWAY)


async def add_trunk(officer: Visitor, folder: Path) -> Answer:
    """Add a trunk by `partner add` with keys of its own."""
    provider = build_trunk(folder, PROVIDER)
    crls = [f"http://crl.provider.test/{n}.crl" for n in range(len(provider.lists))]
    anchors, changes = [provider.root.read_text()], [f"trunk.gateway={GATEWAYS}"]
    added = {"domains": [PROVIDER], "anchors": anchors, "crls": crls, "changes": changes}
    return await officer.ask("POST", "/api/v1/partner/add", json=added)


@on_loop
async def test_operator_gives_a_gateway_no_name_of_another_host(tmp_path: Path) -> None:
    """Not by a change of the partner, and not by the draft, which a partner command publishes with no other change.

    A security officer may.
    """
    gateway = PoolPlan(GATEWAYS, Role.GATEWAY, (GATEWAY,), {"next_hop": POOL})
    async with (
        management_with_console(tmp_path, gateway) as network,
        Visitor(network, "otto-token") as operator,
        Visitor(network, "sona-token") as officer,
    ):
        added = await add_trunk(officer, tmp_path / "provider")
        assert added.status == 200, added.text
        refused = await operator.ask("POST", "/api/v1/partner/change", json={"domain": PROVIDER, "changes": CHANGES})
        assert refused.status == 409, refused.text
        assert f"gets certificates with the name {DATABASE}" in refused.json["error"]
        await drafted(operator, "network", ["sites=[here]"])
        kept = await operator.ask("POST", "/api/v1/partner/change", json={"domain": PROVIDER, "changes": CHANGES})
        assert (kept.status, network.number(MGMT)) == (200, 2), kept.text
        plan = (await operator.get("/api/v1/plan")).json
        for way in ("publish", "apply"):
            assert (await published(operator, plan, way)).status == 409
        assert names_of_gateway(network) == (GATEWAY, GATEWAYS)
        assert (await published(officer, plan)).status == 200
        assert names_of_gateway(network) == (GATEWAY, GATEWAYS, DATABASE)
        taken = {"domain": PROVIDER, "changes": ["trunk.host="]}
        assert (await operator.ask("POST", "/api/v1/partner/change", json=taken)).status == 200
        assert names_of_gateway(network) == (GATEWAY, GATEWAYS), "an operator may take the name away"
