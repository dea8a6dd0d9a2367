"""Challenges: each kind by a real server, and where they may not lead this server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from sipmesh.demo.nameserver import NameServer
from sipmesh.demo.ports import HOST
from sipmesh.sip import base64url
from support.acme_client import AcmeClient, thumbprint, tls_server, web_server
from support.console import Visitor
from support.enrolling import BOT, enrolling, token
from support.managed import Managed
from support.model_ports import model_port
from support.running import on_loop


@asynccontextmanager
async def registered(folder: Path, port: int) -> AsyncIterator[tuple[Managed, AcmeClient]]:
    """A client with an account, whose challenges lead to *port*."""
    async with (
        enrolling(folder, "acme", http_port=port, tls_alpn_port=port) as network,
        Visitor(network) as visitor,
    ):
        client = AcmeClient(visitor)
        assert (await client.register(await token(network))).status == 201
        yield network, client


def fault(order: Any) -> tuple[str, str]:
    """The kind and the text of the problem of an order that is invalid."""
    assert order["status"] == "invalid", order
    return order["error"]["type"].rpartition(":")[2], order["error"]["detail"]


def address(given: str | None) -> Any:
    """Change the address of the server in the topology."""

    def change(document: dict[str, Any]) -> None:
        for pool in document["pools"]:
            for server in pool["servers"]:
                if server["name"] == BOT:
                    server.pop("address", None)
                    server.update({"address": given} if given is not None else {})

    return change


@on_loop
async def test_http_01_is_answered_by_the_server_and_by_no_redirection(tmp_path: Path) -> None:
    port, other_port = model_port(), model_port()
    async with registered(tmp_path, port) as (_, client):
        async with web_server(client, other_port) as reached:
            async with web_server(client, port, f"http://{HOST}:{other_port}/elsewhere"):
                kind, why = fault(await client.validated(await client.order(BOT)))
            assert (kind, "redirect" in why, reached) == ("connection", True, [])
        async with web_server(client, port, f"http://{BOT}:{port}/elsewhere") as asked:
            kind, why = fault(await client.validated(await client.order(BOT)))
        assert (kind, "redirect" in why, len(asked)) == ("connection", True, 1)
        async with web_server(client, port, "another answer"):
            assert fault(await client.validated(await client.order(BOT)))[0] == "incorrectResponse"
        async with web_server(client, port, "x" * 10_000):
            assert fault(await client.validated(await client.order(BOT)))[0] == "connection"
        assert fault(await client.validated(await client.order(BOT)))[0] == "connection"
        async with web_server(client, port) as asked:
            order = await client.validated(await client.order(BOT))
        assert (order["status"], len(asked)) == ("ready", 1)
        challenge = (await client.post(order["authorizations"][0])).json["challenges"]
        assert [(one["type"], one["status"]) for one in challenge] == [("http-01", "valid")]


@on_loop
async def test_tls_alpn_01_is_answered_by_the_certificate_of_this_challenge_alone(tmp_path: Path) -> None:
    port, folder = model_port(), tmp_path / "t"
    folder.mkdir()
    async with registered(tmp_path, port) as (_, client):
        for authorization, name in (("another", BOT), ("", f"x.{BOT}")):
            begun = await client.order(BOT)
            challenge = await client.challenge_of(begun, "tls-alpn-01")
            shown = authorization or f"{challenge['token']}.{thumbprint(client.key)}"
            async with tls_server(folder, port, shown, name):
                assert fault(await client.validated(begun, "tls-alpn-01"))[0] == "incorrectResponse"
        assert fault(await client.validated(await client.order(BOT), "tls-alpn-01"))[0] == "connection"
        begun = await client.order(BOT)
        challenge = await client.challenge_of(begun, "tls-alpn-01")
        async with tls_server(folder, port, f"{challenge['token']}.{thumbprint(client.key)}"):
            assert (await client.validated(begun, "tls-alpn-01"))["status"] == "ready"


@on_loop
async def test_dns_01_is_answered_by_the_record_of_this_challenge(tmp_path: Path) -> None:
    nameserver = await NameServer({(BOT, "A"): [HOST]}).start()
    async with registered(tmp_path, model_port()) as (network, client):
        await network.publish(lambda document: document.update(dns={"servers": [nameserver.setting]}))
        kind, why = fault(await client.validated(await client.order(BOT), "dns-01"))
        assert (kind, f"_acme-challenge.{BOT} has no TXT record" in why) == ("incorrectResponse", True)
        begun = await client.order(BOT)
        challenge = await client.challenge_of(begun, "dns-01")
        digest = sha256(f"{challenge['token']}.{thumbprint(client.key)}".encode()).digest()
        nameserver.records[f"_acme-challenge.{BOT}", "TXT"] = ['"other"', f'"{base64url.encode(digest)}"']
        assert (await client.validated(begun, "dns-01"))["status"] == "ready"
    nameserver.close()


@on_loop
async def test_dns_leads_no_challenge_to_this_machine_and_the_topology_may(tmp_path: Path) -> None:
    port, nameserver = model_port(), await NameServer({(BOT, "A"): [HOST]}).start()
    async with registered(tmp_path, port) as (network, client):
        await network.publish(lambda document: document.update(dns={"servers": [nameserver.setting]}))
        await network.publish(address(None))
        async with web_server(client, port) as asked:
            for where in (HOST, "169.254.169.254", "0.0.0.0", "224.0.0.1"):  # noqa: S104 - an answer of DNS
                nameserver.records[BOT, "A"] = [where]
                for kind in ("http-01", "tls-alpn-01"):
                    found = fault(await client.validated(await client.order(BOT), kind))
                    assert (found[0], where in found[1]) == ("dns", True)
            nameserver.records[BOT, "A"] = []
            assert fault(await client.validated(await client.order(BOT)))[0] == "dns"
            assert asked == []
            await network.publish(address(HOST))
            assert (await client.validated(await client.order(BOT)))["status"] == "ready"
    nameserver.close()
