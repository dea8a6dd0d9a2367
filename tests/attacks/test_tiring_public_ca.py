"""A public CA, or who has our account there, neither ends the renewals of a server nor fills its memory or its time."""

from __future__ import annotations

import asyncio
import json
import ssl
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from acme.client import ClientV2
from aiohttp import web

from sipmesh.demo.forge import Wish
from sipmesh.demo.organisation import Organisation
from sipmesh.demo.ports import HOST, free_port
from sipmesh.server.process.https_server_check import https_context
from sipmesh.server.public_certificates.acme_account import ALG, AcmeAccount
from sipmesh.server.public_certificates.acme_network import AcmeNetwork, Origin
from sipmesh.topology.document.named_files.trust_anchors import read_certificates
from support.pebble import Pebble, pebble
from support.public_ca import Site, Tamper, cheating
from support.running import on_loop
from support.service import serving_here
from support.tiers import wide_after

pytestmark = pytest.mark.peer("pebble")


def telling(directory: str, start: str, retry_after: str) -> Tamper:
    """A directory whose renewal information, at a query of the same path, has these times."""

    async def tamper(request: web.Request, body: bytes, _signed: dict[str, Any]) -> web.StreamResponse | bytes:
        if not request.query_string:
            return json.dumps({**json.loads(body), "renewalInfo": f"{directory}?of="}).encode()
        window = {"start": start, "end": "2100-01-01T00:00:00+00:00"}
        return web.json_response({"suggestedWindow": window}, headers={"Retry-After": retry_after})

    return tamper


INFORMATION: Final = {
    "right": ("2099-01-01T00:00:00+00:00", "1"),
    "asked again in a billion years": ("2099-01-01T00:00:00+00:00", "9" * 17),
    "before the calendar": ("0001-01-01T00:00:00+01:00", "1"),
}


@pytest.mark.parametrize("kind", wide_after(2, INFORMATION))
@on_loop
async def test_no_renewal_information_keeps_a_due_certificate(example: Organisation, tmp_path: Path, kind: str) -> None:
    """Two thirds of the lifetime are over, so it is renewed. The control is a late time, which is in the calendar."""
    site, again = Site(example), Site(example)
    async with pebble(tmp_path / "ca") as real, cheating(real) as ca:
        await site.orders_from(real, directory=ca.directory)
        ca.tampers["/certZ/"] = ca.issues(lasting)
        async with serving_here(example, site.told):
            first = await site.issued()
        del ca.tampers["/certZ/"]
        ca.tampers["/dir"] = telling(ca.directory, *INFORMATION[kind])
        async with serving_here(example, again.told):
            assert (await again.issued()).serial_number != first.serial_number


def lasting(right: Wish) -> Wish:
    """A certificate that is due, and valid for another hour."""
    return replace(right, begins=timedelta(days=-30), ends=timedelta(hours=1))


@pytest.mark.parametrize("is_deactivated", [True, False])
@on_loop
async def test_account_that_was_deactivated_is_replaced(
    example: Organisation, tmp_path: Path, *, is_deactivated: bool
) -> None:
    """Who has had its key for a moment can deactivate an account (RFC 8555 7.3.6), and no CA takes that back."""
    site, refused, again = Site(example), Site(example), Site(example)
    async with pebble(tmp_path / "ca") as ca:
        await site.orders_from(ca)
        async with serving_here(example, site.told):
            await site.issued()
        before = AcmeAccount.at(site.account, ca.directory)
        site.file.unlink()
        site.key.unlink()
        if is_deactivated:
            await asyncio.to_thread(deactivate, ca, before)
            async with serving_here(example, refused.told):
                assert "deactivated" in await refused.failed()
        async with serving_here(example, again.told):
            await again.issued()
        assert (AcmeAccount.at(site.account, ca.directory).url != before.url) is is_deactivated


def deactivate(ca: Pebble, account: AcmeAccount) -> None:
    """Deactivate an account as who has stolen its key."""
    origin = Origin(ca.directory, HOST, https_context(read_certificates(ca.web_root)))
    network = AcmeNetwork(origin, account.jwk, ALG, account.resource)
    client = ClientV2(ClientV2.get_directory(ca.directory, network), network)
    assert account.resource is not None
    client.deactivate_registration(account.resource)


def endless(begin: bytes, piece: bytes) -> Any:
    """Answer the first request with *begin*, then with *piece* until the client ends the connection; counts the octets."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(begin)
            for _ in range(ENOUGH // len(piece)):
                writer.write(piece)
                await writer.drain()
        writer.close()

    return serve


ENOUGH: Final = 64 << 20
"""Octets after which a client that reads all of them has lost."""

FLOODS: Final = {
    "answers before the answer": (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
    "a body": (b"HTTP/1.1 200 OK\r\n\r\n", b" " * 16_000),
}


@pytest.mark.parametrize("kind", FLOODS)
@on_loop
async def test_endless_answer_of_the_ca_ends_the_connection(example: Organisation, tmp_path: Path, kind: str) -> None:
    """Its thread shares the interpreter with the loop that carries the messages."""
    site, begin_and_piece = Site(example), FLOODS[kind]
    async with pebble(tmp_path / "ca") as real:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(real.folder / "leaf.pem", real.folder / "leaf.key")
        port = free_port()
        server = await asyncio.start_server(endless(*begin_and_piece), HOST, port, ssl=context)
        async with server:
            await site.orders_from(real, directory=f"https://{HOST}:{port}/dir")
            async with serving_here(example, site.told):
                assert "more than 262144 octets" in await site.failed()


@pytest.mark.parametrize("count", [1, 60])
@on_loop
async def test_authorizations_of_an_order_do_not_fill_the_memory(
    example: Organisation, tmp_path: Path, count: int
) -> None:
    """The client reads each before it counts them. The control is the right order, of one."""
    site = Site(example)
    async with pebble(tmp_path / "ca") as real, cheating(real) as ca:

        async def multiplied(_request: web.Request, body: bytes, _signed: dict[str, Any]) -> bytes:
            found = json.loads(body)
            return json.dumps({**found, "authorizations": found["authorizations"] * count}).encode()

        async def padded(_request: web.Request, body: bytes, _signed: dict[str, Any]) -> bytes:
            return body + b" " * (200 << 10)

        ca.tampers |= {"/order-plz": multiplied, **({"/authZ/": padded} if count > 1 else {})}
        await site.orders_from(real, directory=ca.directory)
        async with serving_here(example, site.told):
            if count == 1:
                await site.issued()
            else:
                assert "for one order" in await site.failed()
