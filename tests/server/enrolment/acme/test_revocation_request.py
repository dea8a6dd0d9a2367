"""Revocation: by the account that has ordered the certificate, or by its key."""

from __future__ import annotations

from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from support.acme_client import AcmeClient, encoded, web_server
from support.console import Answer, Visitor
from support.enrolling import OTHER_BOT, enrolling, new_key, token
from support.model_ports import model_port
from support.network import FE1
from support.running import on_loop


def kind(answer: Answer) -> str:
    return str(answer.json["type"]).rpartition(":")[2]


@on_loop
async def test_certificate_is_revoked_by_its_account_or_its_key_and_by_no_other(tmp_path: Path) -> None:
    port = model_port()
    async with enrolling(tmp_path, "acme", http_port=port) as network, Visitor(network) as visitor:
        client, thief, key = AcmeClient(visitor), AcmeClient(visitor), new_key()
        await client.register(await token(network))
        await thief.register(await token(network, OTHER_BOT))
        async with web_server(client, port):
            first, second = await client.certificate(), await client.certificate(key)
        front_end = x509.load_pem_x509_certificate(network.credentials(FE1)[0].read_bytes())
        stranger = AcmeClient(visitor)
        for other, given in ((thief, first), (stranger, first), (client, front_end)):
            assert kind(await other.post("revoke-cert", {"certificate": encoded(given)})) == "unauthorized"
        for reason in (2, 6, 99, True, "1", [1]):
            wrong = await client.post("revoke-cert", {"certificate": encoded(first), "reason": reason})
            assert kind(wrong) == "badRevocationReason"
        assert kind(await client.post("revoke-cert", {"certificate": "AAAA"})) == "malformed"
        assert kind(await client.post("revoke-cert", {})) == "malformed"
        assert (await client.post("revoke-cert", {"certificate": encoded(first), "reason": 1})).status == 200
        assert (await AcmeClient(visitor, key).post("revoke-cert", {"certificate": encoded(second)})).status == 200
        assert kind(await client.post("revoke-cert", {"certificate": encoded(first)})) == "alreadyRevoked"
        lines = [line for line in network.master.management_db.audit.read() if line.act == "revoke"]
        assert [(line.who, line.about["because"]) for line in lines] == [
            ("bot1.example.test", "key-compromise"),
            ("bot1.example.test", "unspecified"),
        ]


@on_loop
async def test_server_key_revokes_its_own_certificate_of_any_origin(tmp_path: Path) -> None:
    async with enrolling(tmp_path, "acme") as network, Visitor(network) as visitor:
        chain, key_file = network.credentials(FE1)
        key = load_pem_private_key(key_file.read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        leaf = x509.load_pem_x509_certificate(chain.read_bytes())
        assert (await AcmeClient(visitor, key).post("revoke-cert", {"certificate": encoded(leaf)})).status == 200
