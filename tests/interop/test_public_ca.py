"""Two real phones that know the public CA alone call each other at a server that got its certificate by ACME."""

from __future__ import annotations

from pathlib import Path

import pytest

from interop.baresip import Baresip
from sipmesh.demo.nameserver import NameServer
from sipmesh.demo.organisation import Organisation
from sipmesh.demo.ports import HOST
from sipmesh.pki.files import certificates_pem
from sipmesh.sip.digest import Algorithm
from sipmesh.trust.evidence import LinkKind
from support.network import FE1
from support.pebble import pebble
from support.public_ca import Site
from support.running import on_loop, until
from support.service import serving_here

pytestmark = [pytest.mark.peer("baresip"), pytest.mark.peer("pebble")]
PACKETS = 10


@on_loop
async def test_two_phones_that_know_the_public_root_alone_call_over_srtp(example: Organisation, tmp_path: Path) -> None:
    example.add_users("dora", "emil", algorithms=(Algorithm.MD5,))  # baresip knows no other
    site, names = Site(example), NameServer({(FE1, "A"): [HOST]})
    await names.start(HOST)
    try:
        async with pebble(tmp_path / "ca", certificateValidityPeriod=7776000) as ca:
            await site.orders_from(ca)
            root = tmp_path / "public.pem"
            root.write_bytes(certificates_pem([await ca.root()]))
            async with serving_here(example, site.told) as node:
                await site.issued()
                await until(lambda: node.certificates.for_clients.identities)
                server = f"{FE1}:{example.ports[FE1][LinkKind.CLIENT]}"
                dora, emil = (
                    Baresip(
                        tmp_path / user, user, f"{user}-secret", "example.test", server, anchor=root, dns=names.setting
                    )
                    for user in ("dora", "emil")
                )
                async with dora, emil:
                    await dora.registered()
                    await emil.registered()
                    await dora.command("dial", "sip:emil@example.test")
                    await emil.event("CALL_ESTABLISHED")
                    await dora.event("CALL_ESTABLISHED")
                    await emil.hears(PACKETS)
                    assert "SRTP is Enabled" in dora.log
    finally:
        names.close()
