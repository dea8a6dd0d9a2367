"""Renewal information: two thirds of a life, and at once after a revocation."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from support.acme_client import AcmeClient, certificate_id, encoded, web_server
from support.console import Visitor
from support.enrolling import enrolling, token
from support.managed import MGMT
from support.model_ports import model_port
from support.network import FE1
from support.running import on_loop

PATH = "/acme/renewal-info"


@on_loop
async def test_window_begins_at_two_thirds_of_the_life_and_is_over_after_a_revocation(tmp_path: Path) -> None:
    port = model_port()
    async with enrolling(tmp_path, "acme", http_port=port) as network, Visitor(network) as visitor:
        client = AcmeClient(visitor)
        await client.register(await token(network))
        async with web_server(client, port):
            leaf = await client.certificate()
        answer = await visitor.get(f"{PATH}/{certificate_id(leaf)}")
        start, end = (datetime.fromisoformat(answer.json["suggestedWindow"][name]) for name in ("start", "end"))
        life = leaf.not_valid_after_utc - leaf.not_valid_before_utc
        assert abs((start - leaf.not_valid_before_utc) / life - 2 / 3) < 0.01
        assert start < end < leaf.not_valid_after_utc
        assert int(answer.headers["Retry-After"]) > 0
        assert (await client.post("revoke-cert", {"certificate": encoded(leaf)})).status == 200
        over = (await visitor.get(f"{PATH}/{certificate_id(leaf)}")).json["suggestedWindow"]
        assert datetime.fromisoformat(over["end"]) < datetime.now(UTC)


@on_loop
async def test_certificate_that_is_not_ours_has_none(tmp_path: Path) -> None:
    async with enrolling(tmp_path, "acme") as network, Visitor(network) as visitor:
        ours = x509.load_pem_x509_certificate(network.credentials(FE1)[0].read_bytes())
        known = certificate_id(ours)
        assert (await visitor.get(f"{PATH}/{known}")).status == 200
        for other in (f"AAAA.{known.partition('.')[2]}", f"{known.partition('.')[0]}.AAAA"):
            assert (await visitor.get(f"{PATH}/{other}")).status == 404
        assert (await visitor.get(f"{PATH}/{MGMT}")).status == 400
