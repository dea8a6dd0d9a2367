"""tls-alpn-01: a handshake for a name of an order under way gets its certificate, and each other one is refused."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import socket
import ssl
import threading
from pathlib import Path

import pytest
from cryptography import x509

from sipmesh.demo.ports import HOST, free_port
from sipmesh.server.public_certificates.acme_account import AcmeAccount
from sipmesh.server.public_certificates.acme_error import AcmeError
from sipmesh.server.public_certificates.alpn_challenges import (
    ACME_IDENTIFIER,
    MOST_HANDSHAKES,
    PROTOCOL,
    AlpnChallenges,
    TlsAlpn01,
)
from support.public_ca import reached
from support.running import on_loop

NAME = "fe1.example.test"
REFUSED = r"(?i)unrecognized.name"


async def shown(port: int, name: str | None) -> tuple[x509.Certificate, str | None]:
    """Connect as a CA does; gives the certificate and the protocol."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols([PROTOCOL])
    _, writer = await asyncio.open_connection(HOST, port, ssl=context, server_hostname=name or "")
    tls = writer.get_extra_info("ssl_object")
    writer.close()
    return x509.load_der_x509_certificate(tls.getpeercert(binary_form=True)), tls.selected_alpn_protocol()


@on_loop
async def test_only_the_name_of_the_order_gets_a_certificate(tmp_path: Path) -> None:
    account = AcmeAccount.at(tmp_path / "account.json", "https://ca.test/dir")
    challenge, port = TlsAlpn01(token=secrets.token_bytes(16)), free_port()
    async with AlpnChallenges(HOST, port) as solver:
        with pytest.raises(ssl.SSLError, match=REFUSED):
            await shown(port, NAME)
        solver.publish(NAME, challenge, account.jwk)
        solver.settle(threading.Event())
        leaf, protocol = await shown(port, NAME)
        for other in ("evil.test", f"www.{NAME}"):
            with pytest.raises(ssl.SSLError, match=REFUSED):
                await shown(port, other)
        solver.retract()
        with pytest.raises(ssl.SSLError, match=REFUSED):
            await shown(port, NAME)
    digest = hashlib.sha256(challenge.key_authorization(account.jwk).encode()).digest()
    extension = leaf.extensions.get_extension_for_oid(ACME_IDENTIFIER)
    assert (protocol, extension.critical) == (PROTOCOL, True)
    assert extension.value.public_bytes() == b"\x04\x20" + digest
    assert not reached(port)


@on_loop
async def test_silent_connections_do_not_keep_the_ca_out(tmp_path: Path) -> None:
    account = AcmeAccount.at(tmp_path / "account.json", "https://ca.test/dir")
    challenge, port = TlsAlpn01(token=secrets.token_bytes(16)), free_port()
    async with AlpnChallenges(HOST, port) as solver:
        solver.publish(NAME, challenge, account.jwk)
        silent = [socket.create_connection((HOST, port)) for _ in range(2 * MOST_HANDSHAKES)]
        try:
            assert (await shown(port, NAME))[1] == PROTOCOL
        finally:
            for sock in silent:
                sock.close()


@on_loop
async def test_taken_port_says_which() -> None:
    port = free_port()
    async with AlpnChallenges(HOST, port):
        with pytest.raises(AcmeError, match="Address already in use") as refused:
            await AlpnChallenges(HOST, port).__aenter__()
    assert f"free port {port}" in refused.value.remedy
