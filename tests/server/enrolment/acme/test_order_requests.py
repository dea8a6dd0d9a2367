"""Orders: for the names of the topology alone; a certificate comes after a challenge, once."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from sipmesh.server.enrolment.acme.order_requests import LIFETIME
from sipmesh.server.enrolment.enrolment_issuer import MOST_A_DAY
from support.acme_client import AcmeClient, certificate_id, web_server
from support.console import Answer, Visitor
from support.enrolling import BOT, BOTS, OTHER_BOT, enrolling, new_key, request, token
from support.managed import MGMT
from support.model_ports import model_port
from support.network import FE1
from support.running import on_loop


def kind(answer: Answer) -> str:
    return str(answer.json["type"]).rpartition(":")[2]


@on_loop
async def test_order_gives_a_certificate_with_the_names_of_the_topology(tmp_path: Path) -> None:
    port = model_port()
    async with enrolling(tmp_path, "acme", http_port=port) as network, Visitor(network) as visitor:
        client, key = AcmeClient(visitor), new_key()
        await client.register(await token(network))
        async with web_server(client, port) as asked:
            leaf = await client.certificate(key)
            names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            assert names.get_values_for_type(x509.DNSName) == [BOT, BOTS]
            assert (len(asked), leaf.public_key() == key.public_key()) == (1, True)
            renewed = await client.validated(await client.order(BOT, BOTS))
            done = await client.finalized(renewed, request(new_key(), BOT, BOTS))
            assert done.json["status"] == "valid"
        lines = [line for line in network.master.management_db.audit.read() if line.act == "issue"]
        assert [line.about["protocol"] for line in lines[-2:]] == ["acme", "acme"]
        assert "http-01" in lines[-1].about["because"]
        orders = (await client.post((await client.post(client.account)).json["orders"])).json["orders"]
        assert len(orders) == 2


@on_loop
async def test_order_for_anything_but_the_own_names_is_refused_with_the_reason(tmp_path: Path) -> None:
    async with enrolling(tmp_path, "acme") as network, Visitor(network) as visitor:
        client = AcmeClient(visitor)
        await client.register(await token(network))
        for names in ((FE1,), (OTHER_BOT,), (f"*.{BOT}",), (BOT, FE1), (BOTS,), ("example.test",)):
            answer = await client.order(*names)
            assert (answer.status, kind(answer), BOT in answer.json["detail"]) == (403, "rejectedIdentifier", True)
        ip = await client.post("new-order", {"identifiers": [{"type": "ip", "value": "127.0.0.1"}]})
        assert kind(ip) == "unsupportedIdentifier"
        assert kind(await client.post("new-order", {"identifiers": []})) == "malformed"
        assert kind(await client.order(BOT, notAfter="2036-01-01T00:00:00Z")) == "malformed"
        assert (await client.order(BOT.upper())).status == 201


@on_loop
async def test_request_for_a_ca_another_name_or_usage_is_refused_and_the_order_stays(tmp_path: Path) -> None:
    port = model_port()
    async with enrolling(tmp_path, "acme", http_port=port) as network, Visitor(network) as visitor:
        client, key = AcmeClient(visitor), new_key()
        await client.register(await token(network))
        async with web_server(client, port):
            order = await client.validated(await client.order(BOT))
        ca = x509.BasicConstraints(ca=True, path_length=None)
        signing = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING])
        for der in (
            request(key, BOT, FE1, common=""),
            request(key, f"*.{BOT}", common=""),
            request(key, BOT, BOTS),
            request(key, BOT, extensions=[ca]),
            request(key, BOT, extensions=[signing]),
            request(client.key, BOT),
            b"\x30\x00",
        ):
            assert kind(await client.finalized(order, der)) == "badCSR"
        assert kind(await client.finalized(order, request(rsa.generate_private_key(65537, 2048)))) == "badPublicKey"
        assert kind(await client.post(order["finalize"], {"csr": "="})) == "badCSR"
        assert (await client.finalized(order, request(key, BOT))).json["status"] == "valid"
        again = await client.finalized(order, request(key, BOT))
        assert (again.status, kind(again)) == (403, "orderNotReady")


@on_loop
async def test_account_does_not_see_or_finish_the_order_of_another(tmp_path: Path) -> None:
    port = model_port()
    async with enrolling(tmp_path, "acme", http_port=port) as network, Visitor(network) as visitor:
        client, thief = AcmeClient(visitor), AcmeClient(visitor)
        await client.register(await token(network))
        await thief.register(await token(network, OTHER_BOT))
        begun = await client.order(BOT)
        async with web_server(client, port):
            order = await client.validated(begun)
        for where in (begun.headers["Location"], order["authorizations"][0], order["finalize"]):
            assert kind(await thief.post(where, {"csr": ""} if "finalize" in where else None)) == "unauthorized"
        orders = (await client.post(client.account)).json["orders"]
        assert kind(await thief.post(orders)) == "unauthorized"
        assert (await thief.post("order/none")).status == 404
        assert (await client.finalized(order, request(new_key()))).json["status"] == "valid"


@on_loop
async def test_order_that_was_given_up_or_has_expired_is_invalid(tmp_path: Path) -> None:
    async with enrolling(tmp_path, "acme") as network, Visitor(network) as visitor:
        client = AcmeClient(visitor)
        await client.register(await token(network))
        begun = await client.order(BOT)
        authorization = begun.json["authorizations"][0]
        assert kind(await client.post(authorization, {"status": "valid"})) == "malformed"
        assert kind(await client.post(begun.json["finalize"], {"csr": ""})) == "orderNotReady"
        assert (await client.post(f"cert/{begun.headers['Location'].rpartition('/')[2]}")).status == 404
        assert (await client.post(f"{authorization.replace('authz', 'chall')}/tape-01", {})).status == 404
        assert (await client.post(authorization, {"status": "deactivated"})).json["status"] == "deactivated"
        assert (await client.post(begun.headers["Location"])).json["status"] == "invalid"
        orders = network.master.management_db.acme_orders
        found = orders.find((await client.order(BOT)).headers["Location"].rpartition("/")[2])
        assert found is not None
        assert [found.at(found.made + late).status for late in (timedelta(0), LIFETIME)] == ["pending", "invalid"]


@on_loop
async def test_replacement_is_of_the_own_name_and_once_and_a_day_has_a_limit(tmp_path: Path) -> None:
    port = model_port()
    async with enrolling(tmp_path, "acme", http_port=port) as network, Visitor(network) as visitor:
        client = AcmeClient(visitor)
        await client.register(await token(network))
        async with web_server(client, port):
            first = await client.certificate()
            await client.certificate(replaces=certificate_id(first))
            twice = await client.order(BOT, replaces=certificate_id(first))
            assert (twice.status, kind(twice)) == (409, "alreadyReplaced")
            own = x509.load_pem_x509_certificate(network.credentials(MGMT)[0].read_bytes())
            assert kind(await client.order(BOT, replaces=certificate_id(own))) == "malformed"
            assert kind(await client.order(BOT, replaces="x")) == "malformed"
            ready = await client.validated(await client.order(BOT))
            for _ in range(MOST_A_DAY - 2):
                await client.certificate()
            late = await client.finalized(ready, request(new_key()))
            assert (late.status, kind(late)) == (429, "rateLimited")
        surplus = await client.order(BOT)
        assert (surplus.status, kind(surplus), "Retry-After" in surplus.headers) == (429, "rateLimited", True)
