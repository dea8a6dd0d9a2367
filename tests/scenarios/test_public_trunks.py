"""A trunk with a certificate for serverAuth alone, as those of public CAs are: it counts where its entry says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scenarios.test_partner_certificates import OtherCa
from scenarios.test_trunks import OFFER, TO_ALICE, invited
from sipmesh.demo.forge import SERVER_AUTH
from sipmesh.demo.organisation import Organisation
from support.descriptions import SDES
from support.network import EXAMPLE, FE1, Network, copied
from support.peer import HungUpError
from support.running import on_loop
from support.trunks import GATEWAY, OUTSIDE, PROVIDER, PlayedTrunk, join_trunks

FROM_OUTSIDE = f"<sip:{OUTSIDE}@{PROVIDER}>"


@pytest.mark.parametrize("usage", ["server-ok", "strict"])
@on_loop
async def test_trunk_of_a_public_ca_calls_where_its_usage_is_allowed_and_is_called(
    trunk_models: dict[str, Organisation], tmp_path: Path, usage: str
) -> None:
    """Calls of our users reach it in both cases: there it is the server."""
    example, own = copied(trunk_models[EXAMPLE], tmp_path / "e"), copied(trunk_models[PROVIDER], tmp_path / "p")
    provider, ca = PlayedTrunk(PROVIDER, own), OtherCa(tmp_path / "ca")
    ca.issue(PROVIDER, usages=(SERVER_AUTH,)).write(own.folder / "servers", PROVIDER)
    join_trunks(example, (provider, {"asserts": ["+"], "carries": ["+"]}))
    federation: Any = example.document["federation"]
    federation["partners"][0].update({**ca.trusted(), "third_party": True, "client_usage": usage})
    example.write()
    async with Network((example,), starts=(FE1, GATEWAY)) as network, provider:
        alice = await network.phone("alice", FE1)
        await invited(alice, f"sip:{OUTSIDE}@{EXAMPLE}", f"<sip:alice@{EXAMPLE}>")
        trunk = await provider.links.get()
        await trunk.reply(await trunk.request_in("INVITE"), 486)
        assert (await alice.final()).status == 486
        link = await provider.opens(network)
        if usage == "server-ok":
            await link.send(link.request("INVITE", TO_ALICE, OFFER, SDES, sender=f"{FROM_OUTSIDE};tag={link.tag}"))
            assert (await alice.request_in("INVITE")).from_.uri == f"sip:{OUTSIDE}@{PROVIDER}"
        else:
            with pytest.raises(HungUpError):
                await link.receive()
