"""Certificates for clients on a running front end: chosen by name, renewed without restart, and never on a link of servers."""

from __future__ import annotations

import asyncio
import ssl
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from sipmesh.demo.organisation import Organisation
from sipmesh.trust.evidence import LinkKind
from support.network import FE1, FE2, Network
from support.peer import HungUpError
from support.running import on_loop, until
from support.service import serving_here
from support.telling import Told
from support.web_peer import WebPeer, open_websocket, upgrade, web_address
from transport.authority import Authority


@pytest.fixture(name="public")
def _public(tmp_path: Path) -> Authority:
    """A CA that browsers know, and our topology does not."""
    return Authority.create(tmp_path / "public", "Public CA")


@pytest.fixture(name="web")
def _web(example: Organisation, public: Authority) -> Network:
    """Two front ends; fe1 has a certificate of the public CA beside its own."""
    public.issue("example.test", file="first")
    return presenting(example, public)


def presenting(example: Organisation, public: Authority, **limits: Any) -> Network:
    """Two front ends; fe1 has the certificate ``first`` of the public CA beside its own, with *limits*."""
    document: dict[str, Any] = example.document
    pair = {"certificate": str(public.folder / "first.pem"), "key": str(public.folder / "first.key"), **limits}
    next(server for pool in document["pools"] for server in pool["servers"] if server["name"] == FE1)[
        "client_certificates"
    ] = [pair]
    open_websocket(example)
    return Network((example,), starts=(FE1, FE2))


async def shown(address: tuple[str, int], name: str, credentials: tuple[Path, Path] | None = None) -> x509.Certificate:
    """Return the certificate that a client gets which asks for *name*."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if credentials is not None:
        context.load_cert_chain(*credentials)
    _, writer = await asyncio.open_connection(*address, ssl=context, server_hostname=name)
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.transport.abort()
    return x509.load_der_x509_certificate(der)


@on_loop
async def test_clients_get_the_certificate_of_their_name_and_servers_our_own(web: Network, public: Authority) -> None:
    async with web:
        example = web.of(FE1)
        for address in (web.address(FE1), web_address(example, FE1)):
            assert (await shown(address, "example.test")).issuer == public.root.subject
            assert (await shown(address, FE1)).issuer == example.ca.issuing.subject
        server = web.address(FE1, LinkKind.SERVER)
        assert (await shown(server, "example.test", web.credentials(FE2))).issuer == example.ca.issuing.subject


async def connects(address: tuple[str, int], name: str, root: x509.Certificate) -> bool:
    """Tell whether a phone connects that trusts *root* alone, and checks the *name*."""
    context = ssl.create_default_context(cadata=root.public_bytes(Encoding.PEM).decode())
    try:
        _, writer = await asyncio.open_connection(*address, ssl=context, server_hostname=name)
    except ssl.SSLCertVerificationError:
        return False
    writer.transport.abort()
    return True


@pytest.mark.parametrize("key", [None, rsa.generate_private_key(65537, 2048)])
@on_loop
async def test_phone_that_knows_our_root_only_and_browser_connect_at_the_same_name(
    example: Organisation, public: Authority, key: Any
) -> None:
    """On a port of their own each; both types of key of the public CA. Without `port`, phones are refused at this name."""
    public.issue("example.test", file="first", key=key)
    async with presenting(example, public, port="websocket") as web:
        phones, browsers = web.address(FE1), web_address(example, FE1)
        assert await connects(phones, "example.test", example.ca.root)
        assert await connects(browsers, "example.test", public.root)
        assert not await connects(phones, "example.test", public.root)
        assert not await connects(browsers, "example.test", example.ca.root)
        document: dict[str, Any] = example.document
        server = next(one for pool in document["pools"] for one in pool["servers"] if one["name"] == FE1)
        del server["client_certificates"][0]["port"]
        example.write()
        web.nodes[FE1].put_in_force(example.load())
        assert await connects(phones, "example.test", public.root)
        assert not await connects(phones, "example.test", example.ca.root)


@on_loop
async def test_phones_of_both_kinds_connect_at_one_port_by_names_of_their_own(
    example: Organisation, public: Authority
) -> None:
    """A wildcard of a public CA holds the name of the server too: `names` leaves this name to our own certificate."""
    names = [x509.DNSName("example.test"), x509.DNSName("*.example.test")]
    public.issue("example.test", file="first", names=names)
    async with presenting(example, public, names=["example.test"]) as web:
        phones = web.address(FE1)
        assert await connects(phones, "example.test", public.root)
        assert await connects(phones, FE1, example.ca.root)
        assert await connects(phones, "pool1.example.test", example.ca.root)
        assert (await shown(phones, "")).issuer == example.ca.issuing.subject


@on_loop
async def test_name_that_a_certificate_for_clients_does_not_hold_is_logged(
    example: Organisation, public: Authority
) -> None:
    public.issue("example.test", file="first")
    async with presenting(example, public, names=["example.test", FE1]) as web:
        line = web.told[FE1].last("certificate for clients rejected: clients get what they got before")
        assert f"it does not hold {FE1}, which `names` has" in line["why"]


@on_loop
async def test_renewed_certificate_is_presented_without_restart_and_a_wrong_one_is_not(
    web: Network, public: Authority
) -> None:
    async with web:
        node, address = web.nodes[FE1], web.address(FE1)
        first = await shown(address, "example.test")
        public.issue("example.test", file="first")
        node.put_in_force(web.of(FE1).load())
        second = await shown(address, "example.test")
        assert second.serial_number != first.serial_number
        public.issue("other.test", file="first")
        node.put_in_force(web.of(FE1).load())
        assert await shown(address, "example.test") == second
        line = web.told[FE1].last("certificate for clients rejected: clients get what they got before")
        assert "holds none of the names" in line["why"]
        assert len(list(node.certificates.faults)) == 1
        (chain,) = node.use().for_clients
        assert chain.fault


@on_loop
async def test_certificate_that_becomes_valid_is_noticed(web: Network, public: Authority) -> None:
    """The server looks again at a certificate that was refused, as it does for its own."""
    public.issue("example.test", file="first", since=timedelta(hours=1), until=timedelta(days=2))
    async with web:
        certificates = web.nodes[FE1].certificates
        now = web.nodes[FE1].gatekeeper.clock()
        assert certificates.for_clients.identities == ()
        assert not certificates.would_change(now)
        assert certificates.would_change(now + timedelta(hours=2))


@on_loop
@pytest.mark.wide
async def test_files_are_watched_and_taken_once_certificate_and_key_fit(web: Network, public: Authority) -> None:
    """The key is written first, as an ACME client does; the server gets no notification."""
    example, told = web.of(FE1), Told()
    async with serving_here(example, told) as node:
        address = example.address(FE1, LinkKind.CLIENT)
        first = await shown(address, "example.test")
        renewed = public.issue("example.test", file="renewed")
        (public.folder / "first.key").write_bytes(renewed.key_path.read_bytes())
        (public.folder / "first.pem").write_bytes(renewed.chain_path.read_bytes())
        await until(lambda: [one.leaf for one in node.certificates.for_clients.identities] == [renewed.leaf])
        assert await shown(address, "example.test") == renewed.leaf != first


@on_loop
async def test_page_may_use_each_name_that_is_in_a_certificate_for_clients(web: Network, public: Authority) -> None:
    """The name is in no certificate of the enterprise CA; another name is misdirected (RFC 9110 section 15.5.20)."""
    public.issue("example.test", file="first", names=[x509.DNSName("*.pages.test")])
    async with web:
        address = web_address(web.of(FE1), FE1)
        async with await WebPeer.dial(address, "a@example.test", upgrade(host="sip.pages.test:8443")):
            pass
        with pytest.raises(HungUpError, match="421 Misdirected"):
            await WebPeer.dial(address, "a@example.test", upgrade(host="sip.rebound.test:8443"))
