"""The demo's two organisations as real processes, with users whose phones know no digest but MD5."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from interop.baresip import Baresip
from sipmesh.demo.network import FE1, FE2, PARTNER_FE, DemoNetwork
from sipmesh.sip.digest import Algorithm
from sipmesh.trust.evidence import LinkKind


async def started(folder: Path, *servers: str, identity: str = "") -> DemoNetwork:
    """Start the *servers*, or all of them; dora, emil and gina are ours, fritz and hanna are the partner's.

    *identity* is what each organisation does about signatures of the other.
    """
    network = await DemoNetwork.build(folder)
    if identity:
        ask_for_signatures(network, identity)
    network.example.add_users("dora", "emil", "gina", algorithms=(Algorithm.MD5,))
    network.partner.add_users("fritz", "hanna", algorithms=(Algorithm.MD5,))
    for server in (FE1, FE2, PARTNER_FE):
        network.dns.records[server, "A"] = ["127.0.0.1"]
    await network.start(*servers)
    return network


def ask_for_signatures(network: DemoNetwork, identity: str) -> None:
    """Set what each organisation does about signatures of the other; it signs in any case."""
    for organisation in (network.example, network.partner):
        federation: Any = organisation.document["federation"]
        federation["partners"] = [entry | {"identity": identity} for entry in federation["partners"]]
        organisation.write()


def phone(network: DemoNetwork, user: str, server: str, *, name: str = "", **settings: Any) -> Baresip:
    """A phone of *user* that logs in at *server* by its name, or at the server that DNS gives for *name*."""
    organisation = network.organisation_of(server)
    port = organisation.ports[server][LinkKind.CLIENT]
    return Baresip(
        network.folder / f"{user}-{len(list(network.folder.iterdir()))}",
        user,
        f"{user}-secret",
        organisation.domain,
        name or f"{server}:{port}",
        anchor=organisation.root,
        dns=network.dns.setting,
        **settings,
    )


async def killed(network: DemoNetwork, server: str) -> None:
    """Kill a front end; it sends no goodbye."""
    process = network.servers[server]
    process.kill()
    await process.waited()
