"""Whom we ask by HTTPS, over real TLS: the rule is the same with any anchors of OpenSSL."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.demo.organisation import Organisation
from sipmesh.demo.ports import HOST, free_port
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.crl.builder import Reason
from sipmesh.server.process.clock import now_utc
from sipmesh.server.process.https_server_check import HttpsServerCheck, https_context
from sipmesh.topology.document.load import load
from support.network import EXAMPLE, FE1
from support.running import on_loop


def check_of(organisation: Organisation) -> HttpsServerCheck:
    loaded, ca = load(organisation.file), CaGenerations(organisation.folder / "ca")
    return HttpsServerCheck(FE1, lambda: loaded, lambda: [one.issuing for one in ca.alive], now_utc)


def anchors_of(organisation: Organisation) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(organisation.root.read_bytes())


@asynccontextmanager
async def serving(certificate: Path, key: Path) -> AsyncIterator[tuple[int, list[str]]]:
    """An HTTPS server; gives its port, and the requests that have arrived."""
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(text="ok")

    app, port = web.Application(), free_port()
    app.add_routes([web.get("/", answer)])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, HOST, port, ssl_context=context).start()
    try:
        yield port, asked
    finally:
        await runner.cleanup()


async def fetch(check: HttpsServerCheck, context: ssl.SSLContext, port: int) -> str:
    connector = aiohttp.TCPConnector(ssl=check)
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.get(f"https://{HOST}:{port}/", ssl=context) as answer,
    ):
        return await answer.text()


@pytest.mark.parametrize(("name", "is_asked"), [("id.example.test", True), (FE1, False)])
@on_loop
async def test_no_server_of_the_topology_is_asked_by_https(
    example: Organisation, tmp_path: Path, name: str, *, is_asked: bool
) -> None:
    issued = CaGenerations(example.folder / "ca").current.issue_for_clients(
        (name,), datetime.now(UTC), rsa=False, addresses=(HOST,)
    )
    files = tmp_path / "one.pem", tmp_path / "one.key"
    issued.write(*files)
    check, context = check_of(example), https_context(anchors_of(example))
    async with serving(*files) as (port, asked):
        if is_asked:
            assert await fetch(check, context, port) == "ok"
        else:
            with pytest.raises(aiohttp.ClientError, match="role-not-allowed"):
                await fetch(check, context, port)
        assert asked == ["/"] * is_asked


@on_loop
async def test_certificate_that_openssl_refuses_is_refused_before_our_check(
    example: Organisation, tmp_path: Path
) -> None:
    """Neither is another name than that of the URL accepted, nor an authority that is not trusted."""
    generation = CaGenerations(example.folder / "ca").current
    files = tmp_path / "one.pem", tmp_path / "one.key"
    generation.issue_for_clients(("id.example.test",), datetime.now(UTC), rsa=False).write(*files)
    async with serving(*files) as (port, asked):
        for context in (https_context(anchors_of(example)), https_context()):
            with pytest.raises(aiohttp.ClientError, match="certificate verify failed"):
                await fetch(check_of(example), context, port)
        assert asked == []


def test_certificate_of_a_front_end_is_refused_at_each_name_that_it_serves(example: Organisation) -> None:
    check = check_of(example)
    leaf = x509.load_pem_x509_certificate((example.folder / "servers" / f"{FE1}.pem").read_bytes())
    for host in (FE1, EXAMPLE):
        assert check.refusal(leaf.public_bytes(Encoding.DER), host).startswith("role-not-allowed: ")
    assert check.refusal(b"no certificate", EXAMPLE)


def test_certificate_of_our_ca_is_judged_with_our_crls_and_one_of_another_ca_is_left_to_openssl(
    example: Organisation, tmp_path: Path
) -> None:
    generation = CaGenerations(example.folder / "ca").current
    issued = generation.issue_for_clients(("id.example.test",), datetime.now(UTC), rsa=False).certificate
    leaf = issued.public_bytes(Encoding.DER)
    assert check_of(example).refusal(leaf, "id.example.test") == ""
    assert "name-mismatch" in check_of(example).refusal(leaf, "other.example.test")
    generation.revoke(issued.serial_number, Reason.KEY_COMPROMISE, datetime.now(UTC))
    assert "revoked" in check_of(example).refusal(leaf, "id.example.test")
    stranger = HttpsServerCheck(FE1, lambda: load(example.file), list, now_utc)
    assert stranger.refusal(leaf, "id.example.test") == ""
    front_end = (example.folder / "servers" / f"{FE1}.pem").read_bytes()
    der = x509.load_pem_x509_certificate(front_end).public_bytes(Encoding.DER)
    assert stranger.refusal(der, EXAMPLE) == f"it names the server {FE1} of the topology"
