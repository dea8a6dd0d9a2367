"""The TLS versions and ciphers that we use, and the errors for unusable certificates."""

from __future__ import annotations

import asyncio
import socket
import ssl
from asyncio.subprocess import DEVNULL, PIPE
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from sipmesh.demo.ports import HOST, free_port
from sipmesh.errors import OperatorError
from sipmesh.transport.tls.contexts import ClientPortContext, Identity, MutualContext
from sipmesh.transport.tls.pyopenssl import require_group
from sipmesh.transport.tls.results import HandshakeError, Progress
from sipmesh.trust.evidence import LinkKind
from support.running import until
from transport.world import WITHIN_S, Node, on_loop, request, s_client, s_client_at

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from transport.authority import Authority

both_ports = pytest.mark.parametrize("kind", [LinkKind.CLIENT, LinkKind.SERVER])


@pytest.mark.skipif(ssl.OPENSSL_VERSION_INFO < (3, 5), reason="the system's OpenSSL has no ML-KEM before 3.5")
@both_ports
@on_loop
async def test_hybrid_group_is_negotiated(ca: Authority, here: Identity, there: Identity, kind: LinkKind) -> None:
    async with Node(ca, here) as server, Node(ca, there) as client:
        link = client.pool.obtain(client.hop("here.test", server.listen(kind)))
        await client.heard.until(lambda: client.heard.up)
        assert (link.peer.facts.version, link.peer.facts.cipher) == ("TLSv1.3", "TLS_AES_256_GCM_SHA384")
        assert link.peer.facts.group == "X25519MLKEM768"


@both_ports
@on_loop
async def test_both_ends_report_the_same_facts(ca: Authority, here: Identity, there: Identity, kind: LinkKind) -> None:
    async with Node(ca, here) as server, Node(ca, there) as client:
        client.pool.obtain(client.hop("here.test", server.listen(kind)))
        await server.heard.until(lambda: server.heard.up)
        facts = server.heard.up[0].peer.facts
        assert (facts.version, facts.cipher, facts.sni) == ("TLSv1.3", "TLS_AES_256_GCM_SHA384", "here.test")


@both_ports
@pytest.mark.parametrize(
    ("cipher", "ups"),
    [
        ("ECDHE-ECDSA-AES256-GCM-SHA384", 1),
        ("ECDHE-ECDSA-CHACHA20-POLY1305", 1),
        ("ECDHE-ECDSA-AES256-SHA384", 0),
        ("ECDHE-ECDSA-AES256-CCM8", 0),
    ],
)
@on_loop
async def test_tls_1_2_is_spoken_with_aead_and_forward_secrecy_only(
    ca: Authority, here: Identity, there: Identity, kind: LinkKind, cipher: str, ups: int
) -> None:
    async with Node(ca, here) as node:
        out = await s_client(node.listen(kind), there, "-tls1_2", "-cipher", f"{cipher}:@SECLEVEL=0")
        await node.heard.until(lambda: node.heard.up or node.heard.refusals)
        assert (f"Cipher is {cipher}" in out, len(node.heard.up)) == (bool(ups), ups)


@both_ports
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
@on_loop
async def test_link_is_never_resumed(
    ca: Authority, here: Identity, there: Identity, kind: LinkKind, version: str
) -> None:
    """The client offers its session five times and gets a full handshake each time, with a certificate on mutual links."""
    async with Node(ca, here) as node:
        out = await s_client(node.listen(kind), there, version, "-reconnect")
        await node.heard.until(lambda: len(node.heard.up) == 6)
        assert "Reused" not in out
        assert all(bool(evidence.presented) is (kind is LinkKind.SERVER) for evidence in node.heard.evidence)


@both_ports
@on_loop
async def test_early_data_is_refused_and_not_read(
    ca: Authority, here: Identity, there: Identity, kind: LinkKind, tmp_path: Path
) -> None:
    """The session is that of a server which allows early data, and reads it. Our servers never allow it."""
    session, early = tmp_path / "session.pem", tmp_path / "early"
    early.write_bytes(request("EARLY"))
    async with generous_server(there) as address:
        await write_session(address, session)
        out = await s_client_at(address, there, "-sess_in", str(session), "-early_data", str(early))
        assert "Early data was accepted" in out
        await write_session(address, session)
    async with Node(ca, here) as node:
        offered = "-sess_in", str(session), "-early_data", str(early)
        out = await s_client_at(node.listen(kind).address, there, *offered)
        await node.heard.until(lambda: node.heard.up)
        await node.heard.until(lambda: node.heard.down)
        assert "Early data was rejected" in out
        assert node.heard.messages == []


async def write_session(address: tuple[str, int], file: Path) -> None:
    """Connect until a ticket has come, and write the session to *file*."""
    command = "openssl", "s_client", "-connect", "{}:{}".format(*address), "-tls1_3", "-sess_out", str(file)
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL)
    async with asyncio.timeout(WITHIN_S):
        await until(lambda: file.exists() and file.read_bytes().endswith(b"-----END SSL SESSION PARAMETERS-----\n"))
        await process.communicate(b"Q\n")


@asynccontextmanager
async def generous_server(identity: Identity) -> AsyncIterator[tuple[str, int]]:
    """OpenSSL's own server, which gives out tickets with early data."""
    port = free_port()
    files = "-cert", str(identity.chain_path), "-key", str(identity.key_path)
    command = "openssl", "s_server", "-accept", f"{HOST}:{port}", "-early_data", "-tls1_3", "-no_anti_replay", *files
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL)
    try:
        assert process.stdout is not None
        async with asyncio.timeout(WITHIN_S):
            await process.stdout.readuntil(b"ACCEPT")
        yield HOST, port
    finally:
        process.kill()
        await process.wait()


@both_ports
@on_loop
async def test_renegotiation_is_refused(ca: Authority, here: Identity, there: Identity, kind: LinkKind) -> None:
    async with Node(ca, here) as node:
        out = await s_client(node.listen(kind), there, "-tls1_2", said=b"R\n")
        assert "RENEGOTIATING" in out
        assert "no renegotiation" in out


@pytest.mark.parametrize(("bits", "codes"), [(1024, [66]), (2048, [])])
@on_loop
async def test_short_rsa_key_is_below_the_security_level(
    ca: Authority, here: Identity, bits: int, codes: list[int]
) -> None:
    short = ca.issue(f"rsa{bits}.test", key=rsa.generate_private_key(65537, bits))
    async with Node(ca, here) as node:
        await s_client(node.listen(LinkKind.SERVER), short, "-cipher", "DEFAULT:@SECLEVEL=0")
        await node.heard.until(lambda: node.heard.up or node.heard.refusals)
        assert [error.code for error in node.heard.evidence[0].engine_errors] == codes


def test_key_of_another_certificate_is_an_operator_error(here: Identity, there: Identity) -> None:
    with pytest.raises(OperatorError, match=r"the key does not belong to the certificate in here\.test\.pem"):
        Identity.load(here.chain_path, there.key_path)


@pytest.mark.parametrize("content", [b"", b"-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n"])
def test_file_without_a_certificate_is_an_operator_error(here: Identity, tmp_path: Path, content: bytes) -> None:
    broken = tmp_path / "broken.pem"
    broken.write_bytes(content)
    with pytest.raises(OperatorError, match=r"broken\.pem: no certificate can be read"):
        Identity.load(broken, here.key_path)


def test_file_without_a_key_is_an_operator_error_without_its_content(here: Identity, tmp_path: Path) -> None:
    broken = tmp_path / "broken.key"
    broken.write_bytes(b"-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n")
    broken.chmod(0o600)
    with pytest.raises(OperatorError, match=r"broken\.key: no private key can be read from it: it is damaged") as told:
        Identity.load(here.chain_path, broken)
    assert "c2VjcmV0" not in str(told.value)


def test_key_that_cannot_sign_is_an_operator_error(here: Identity, tmp_path: Path) -> None:
    key = x25519.X25519PrivateKey.generate()
    path = tmp_path / "exchange.key"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    path.chmod(0o600)
    with pytest.raises(OperatorError, match="X25519PrivateKey cannot serve TLS"):
        Identity.load(here.chain_path, path)


def test_key_in_a_token_is_an_operator_error(here: Identity, tmp_path: Path) -> None:
    public = here.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    path = tmp_path / "token.key"
    path.write_bytes(b"pkcs11:token=ca?module-path=/usr/lib/softhsm/libsofthsm2.so\n" + public)
    path.chmod(0o600)
    with pytest.raises(OperatorError, match="its key is in a token, which cannot serve TLS here"):
        Identity.load(here.chain_path, path)


@pytest.mark.parametrize(("offered", "agreed"), [("X25519MLKEM768:X25519", True), ("X25519:P-256", False)])
def test_link_that_needs_a_post_quantum_exchange_takes_no_other(
    ca: Authority, here: Identity, there: Identity, offered: str, *, agreed: bool
) -> None:
    """Both ends hand octets to each other; without the setting, the same peer gets the exchange that it knows."""
    for post_quantum in (True, False):
        accepting = MutualContext(here, [ca.root], post_quantum=post_quantum)
        opening = MutualContext(there, [ca.root])
        require_group(opening._context, offered)
        assert shakes_hands(opening, accepting) is (agreed or not post_quantum)


def shakes_hands(opening: MutualContext, accepting: MutualContext) -> bool:
    """Take the steps of a handshake over a socket pair; whether both ends end it."""
    ends = socket.socketpair()
    for end in ends:
        end.settimeout(0)
    both = (opening.opened(ends[0], "here.test"), accepting.accepted(ends[1]))
    done: set[int] = set()
    try:
        for _ in range(8):
            done |= {n for n, tls in enumerate(both) if n not in done and tls.handshake() is Progress.DONE}
    except HandshakeError:
        return False
    finally:
        for tls in both:
            tls.close()
    return len(done) == 2


def test_group_that_openssl_does_not_know_is_an_operator_error(ca: Authority, here: Identity) -> None:
    with pytest.raises(OperatorError, match="OpenSSL does not know the key exchange X25519MLKEM9999 here"):
        require_group(MutualContext(here, [ca.root])._context, "X25519MLKEM9999")


def test_repr_shows_the_file_and_never_the_key(ca: Authority, here: Identity) -> None:
    assert "PrivateKey" not in repr(here)


@on_loop
async def test_same_anchor_twice_is_accepted(ca: Authority, here: Identity, there: Identity) -> None:
    """The union of the anchors of many partners may contain one root several times."""
    async with Node(ca, here) as server, Node(ca, there) as client:
        listener = server.listen(LinkKind.SERVER)
        listener.swap(MutualContext(here, [ca.root, ca.root]))
        client.pool.obtain(client.hop("here.test", listener)).send(request())
        await server.heard.until(lambda: server.heard.messages)


def presented_to(context: ClientPortContext, name: str | None, ciphers: str = "ALL") -> tuple[str, x509.Certificate]:
    """Shake hands with *context* as a client of Python's own; gives the cipher and the certificate that it got."""
    ours, theirs = socket.socketpair()
    for sock in (ours, theirs):
        sock.settimeout(0)
    tls, asked = context.accepted(ours), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    asked.check_hostname, asked.verify_mode, asked.maximum_version = False, ssl.CERT_NONE, ssl.TLSVersion.TLSv1_2
    asked.set_ciphers(ciphers)
    peer = asked.wrap_socket(theirs, server_hostname=name, do_handshake_on_connect=False)
    try:
        for _ in range(8):
            with suppress(ssl.SSLWantReadError):
                peer.do_handshake()
            tls.handshake()
        cipher, der = peer.cipher(), peer.getpeercert(binary_form=True)
        assert cipher is not None
        assert der is not None
        return cipher[0], x509.load_der_x509_certificate(der)
    finally:
        peer.close()
        tls.close()


def test_client_gets_the_certificate_of_the_name_that_it_asks_for(
    ca: Authority, other_ca: Authority, here: Identity
) -> None:
    public = other_ca.issue("public.test")
    context = ClientPortContext(here, [public])
    for name, identity in (("public.test", public), ("here.test", here), ("evil.test", here), (None, here)):
        assert presented_to(context, name)[1] == identity.leaf


@pytest.mark.parametrize("ciphers", ["ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384"])
def test_client_of_either_type_of_key_finds_a_shared_cipher(ca: Authority, here: Identity, ciphers: str) -> None:
    """Without the second certificate, a phone that supports RSA alone is refused."""
    other = ca.issue("here.test", file="rsa", key=rsa.generate_private_key(65537, 2048))
    cipher, leaf = presented_to(ClientPortContext(here, [other]), "here.test", ciphers)
    assert cipher == ciphers
    assert leaf == (other.leaf if "RSA" in ciphers.split("-") else here.leaf)


def test_client_that_supports_rsa_alone_is_refused_without_an_rsa_certificate(here: Identity) -> None:
    with pytest.raises((HandshakeError, ssl.SSLError)):
        presented_to(ClientPortContext(here), "here.test", "ECDHE-RSA-AES256-GCM-SHA384")


def test_issuers_of_the_chosen_certificate_come_with_it(ca: Authority, other_ca: Authority, here: Identity) -> None:
    public = other_ca.issue("public.test", file="chained")
    chained = replace(public, chain=(public.leaf, other_ca.root))
    assert presented_to(ClientPortContext(here, [chained]), "public.test")[1] == public.leaf
