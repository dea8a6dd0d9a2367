"""How handshakes end: each refusal has its code here and the right alert at the peer, and a control that succeeds."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import SSL

from sipmesh.errors import LocalError
from sipmesh.transport.limits import Limits
from sipmesh.transport.link.state import LinkState
from sipmesh.transport.tls.contexts import MutualContext
from sipmesh.trust.evidence import HandshakeFailure, LinkKind
from transport.world import WITHIN_S, Node, Peer, on_loop, predictable, refused_dial, request, s_client

if TYPE_CHECKING:
    from sipmesh.transport.accept.listener import Listener
    from sipmesh.transport.link.link import Link
    from sipmesh.transport.tls.contexts import Identity
    from sipmesh.trust.evidence import PeerEvidence
    from sipmesh.trust.verdict import Verdict
    from transport.authority import Authority

HALF_OPEN = b"\x16"
"""The first octet of a ClientHello."""

both_ports = pytest.mark.parametrize("kind", [LinkKind.CLIENT, LinkKind.SERVER])
HOUR = timedelta(hours=1)


async def say(listener: Listener, data: bytes) -> bytes:
    """Speak as a peer without TLS, and return all that is answered."""
    reader, writer = await asyncio.open_connection(*listener.address)
    writer.write(data)
    try:
        async with asyncio.timeout(WITHIN_S):
            return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


@both_ports
@pytest.mark.parametrize(
    "first", [request(), b"GET / HTTP/1.1\r\nHost: here.test\r\n\r\n", b"\x00" * 64], ids=["sip", "http", "zeros"]
)
@on_loop
async def test_plain_tcp_is_not_tls_and_gets_no_sip_answer(
    ca: Authority, here: Identity, kind: LinkKind, first: bytes
) -> None:
    async with Node(ca, here) as node:
        answer = await say(node.listen(kind), first)
        await node.heard.until(lambda: node.heard.refusals)
        assert node.heard.codes == ["not-tls"]
        assert b"SIP" not in answer
        assert node.heard.up == []


@both_ports
@pytest.mark.parametrize(("version", "codes"), [("-tls1_1", ["protocol-too-old"]), ("-tls1_2", [])])
@on_loop
async def test_tls_older_than_1_2_is_too_old(
    ca: Authority, here: Identity, there: Identity, kind: LinkKind, version: str, codes: list[str]
) -> None:
    async with Node(ca, here) as node:
        told = await s_client(node.listen(kind), there, version, "-cipher", "DEFAULT:@SECLEVEL=0")
        await node.heard.until(lambda: node.heard.refusals or node.heard.up)
        assert node.heard.codes == codes
        assert ("alert protocol version" in told) == bool(codes)


@on_loop
async def test_peer_without_certificate_gets_the_alert_certificate_required(ca: Authority, here: Identity) -> None:
    async with Node(ca, here) as node:
        assert await refused_dial(node.listen(LinkKind.SERVER), ca) == "TLSV13_ALERT_CERTIFICATE_REQUIRED"
        assert node.heard.codes == ["no-certificate"]


@on_loop
async def test_client_port_asks_for_no_certificate(ca: Authority, here: Identity) -> None:
    async with Node(ca, here) as node, await Peer.dial(node.listen(LinkKind.CLIENT), ca) as peer:
        await peer.send(request())
        await node.heard.until(lambda: node.heard.messages)
        assert node.heard.evidence[0].presented == ()
        assert peer.sock.version() == "TLSv1.3"


@pytest.mark.parametrize(
    ("since", "until", "alert", "code"),
    [(-2 * HOUR, -HOUR, "CERTIFICATE_EXPIRED", 10), (HOUR, 2 * HOUR, "BAD_CERTIFICATE", 9)],
    ids=["expired", "not yet valid"],
)
@on_loop
async def test_peer_gets_the_alert_for_its_error(
    ca: Authority, here: Identity, since: timedelta, until: timedelta, alert: str, code: int
) -> None:
    """The verdict has the certificate and the error, although OpenSSL has dropped the peer's certificate by then."""
    late = ca.issue("late.test", since=since, until=until, file=alert)
    async with Node(ca, here) as node:
        assert alert in await refused_dial(node.listen(LinkKind.SERVER), ca, late)
        evidence = node.heard.evidence[0]
        assert [(error.code, error.depth) for error in evidence.engine_errors] == [(code, 0)]
        assert evidence.presented[0] == der(late)


@on_loop
async def test_peer_under_an_unknown_authority_sees_unknown_ca(
    ca: Authority, other_ca: Authority, here: Identity
) -> None:
    stranger = other_ca.issue("there.test", file="stranger")
    async with Node(ca, here) as node:
        assert "UNKNOWN_CA" in await refused_dial(node.listen(LinkKind.SERVER), ca, stranger)
        evidence = node.heard.evidence[0]
        assert evidence.engine_errors[0].code in {19, 20, 21}
        assert evidence.presented[0] == der(stranger)
        assert node.heard.codes == ["handshake-failed"]


@on_loop
async def test_usage_of_the_leaf_is_left_to_the_judge(ca: Authority, here: Identity) -> None:
    """A serverAuth-only certificate may open a link if the partner's policy allows it: error 26 does not end the handshake."""
    server_only = ca.issue("only.test", usages=[ExtendedKeyUsageOID.SERVER_AUTH])
    async with Node(ca, here) as node, await Peer.dial(node.listen(LinkKind.SERVER), ca, server_only) as peer:
        await peer.send(request())
        await node.heard.until(lambda: node.heard.messages)
        assert [(error.code, error.depth) for error in node.heard.evidence[0].engine_errors] == [(26, 0)]


@on_loop
async def test_presented_chain_begins_with_the_leaf(ca: Authority, here: Identity, there: Identity) -> None:
    async with Node(ca, here) as server, Node(ca, there) as opener:
        opener.pool.obtain(opener.hop("here.test", server.listen(LinkKind.SERVER)))
        await server.heard.until(lambda: server.heard.up)
        await opener.heard.until(lambda: opener.heard.up)
        assert server.heard.evidence[0].presented[0] == der(there)
        assert opener.heard.evidence[0].presented[0] == der(here)


@both_ports
@on_loop
async def test_stalled_handshake_ends_at_its_deadline(ca: Authority, here: Identity, kind: LinkKind) -> None:
    async with Node(ca, here, limits=Limits(handshake_s=0.05)) as node:
        listener = node.listen(kind)
        assert await say(listener, b"\x16\x03\x01") == b""
        assert node.heard.codes == ["handshake-timeout"]
        assert listener.handshakes == 0


@both_ports
@on_loop
async def test_peer_that_closes_during_the_handshake_is_no_longer_counted(
    ca: Authority, here: Identity, kind: LinkKind
) -> None:
    async with Node(ca, here) as node:
        listener = node.listen(kind)
        with socket.create_connection(listener.address):
            await node.heard.until(lambda: True)
        await node.heard.until(lambda: node.heard.refusals)
        assert node.heard.codes == ["handshake-failed"]
        assert listener.handshakes == 0


@both_ports
@pytest.mark.parametrize(("cap", "codes"), [(2, ["too-many-handshakes"]), (3, [])])
@on_loop
async def test_oldest_unfinished_client_hello_is_closed_at_the_address_limit(
    ca: Authority, here: Identity, kind: LinkKind, cap: int, codes: list[str]
) -> None:
    async with Node(ca, here, limits=Limits(silent_per_address=cap, slow_s=0)) as node:
        listener = node.listen(kind)
        silent = [await connected(listener, node, number, said=HALF_OPEN) for number in range(1, 4)]
        await node.heard.until(lambda: len(listener.places) + listener.refused == len(silent))
        assert node.heard.codes == codes
        assert [is_closed(sock) for sock in silent] == [bool(codes), False, False]
        for sock in silent:
            sock.close()


@both_ports
@pytest.mark.parametrize(("cap", "codes"), [(2, ["too-many-handshakes"]), (3, [])])
@on_loop
async def test_oldest_handshake_is_closed_at_the_address_limit(
    ca: Authority, here: Identity, kind: LinkKind, cap: int, codes: list[str]
) -> None:
    async with Node(ca, here, limits=Limits(handshakes_per_address=cap, slow_s=0)) as node:
        listener = node.listen(kind)
        stalled = []
        for number in range(1, 4):
            stalled.append(await connected(listener, node, number))
            stalled[-1].sendall(client_hello())
            await node.heard.until(lambda: len(listener.places.shaking) + listener.refused == len(stalled))
        assert node.heard.codes == codes
        assert [is_closed(sock) for sock in stalled] == [bool(codes), False, False]
        for sock in stalled:
            sock.close()


@both_ports
@on_loop
async def test_silent_connections_do_not_count_as_handshakes(
    ca: Authority, here: Identity, there: Identity, kind: LinkKind
) -> None:
    """Silent connections fill the port, from one address and in all; a peer can still connect."""
    limits = Limits(silent_per_address=3, silent_in_all=3, handshakes_per_address=1, handshakes_in_flight=1, slow_s=0)
    async with Node(ca, here, limits=limits) as node:
        listener = node.listen(kind)
        silent = [await connected(listener, node, number) for number in range(1, 6)]
        async with await Peer.dial(listener, ca, there) as peer:
            await peer.send(request())
            await node.heard.until(lambda: node.heard.messages)
        assert len(node.heard.up) == 1
        for sock in silent:
            sock.close()


@pytest.mark.parametrize(("reserved", "codes"), [(True, []), (False, ["too-many-handshakes"])])
@on_loop
@pytest.mark.wide
async def test_handshake_of_a_server_in_the_topology_has_its_own_budget(
    ca: Authority, here: Identity, *, reserved: bool, codes: list[str]
) -> None:
    """Its address sends a ClientHello and waits; a flood of strangers does not displace it, unless it is no server's address."""
    async with Node(ca, here, limits=Limits(silent_in_all=1)) as node:
        listener = node.listen(LinkKind.SERVER, is_reserved=lambda address: reserved and address == "127.0.0.2")
        server = await connected(listener, node, 1, source="127.0.0.2", said=HALF_OPEN)
        stranger = await connected(listener, node, 2, said=HALF_OPEN)
        places = listener.places
        await node.heard.until(lambda: len(places) + len(listener.reserved) + listener.refused == 2)
        assert node.heard.codes == codes
        assert is_closed(server) is bool(codes)
        server.close()
        stranger.close()


@on_loop
async def test_refused_verdict_closes_before_the_first_byte_is_read(
    ca: Authority, here: Identity, there: Identity
) -> None:
    """The peer's handshake is finished, so it gets only close_notify; its request is never parsed."""
    async with Node(ca, here) as node:
        node.heard.judge_by = unlisted
        async with await Peer.dial(node.listen(LinkKind.SERVER), ca, there) as peer:
            await peer.send(request())
            assert await peer.ended() in {"", "ConnectionResetError"}
        assert node.heard.codes == ["not-in-topology"]
        assert (node.heard.up, node.heard.down, node.heard.messages) == ([], [], [])


@on_loop
async def test_opener_refused_late_learns_that_the_peer_refused_it(
    ca: Authority, other_ca: Authority, here: Identity
) -> None:
    """TLS 1.3: our handshake succeeds before the peer has judged us. link_down reports the queued request."""
    stranger = other_ca.issue("there.test", file="late")
    async with Node(ca, here) as server, Node(ca, stranger) as opener:
        link = opener.pool.obtain(opener.hop("here.test", server.listen(LinkKind.SERVER)))
        link.send(request())
        await opener.heard.until(lambda: opener.heard.down)
        _, why, verdict = opener.heard.down[0]
        assert opener.heard.up == [link]
        assert not link.peer.confirmed
        assert verdict is not None
        assert (str(verdict.code), "unknown ca" in why) == ("refused-by-peer", True)


@on_loop
async def test_opener_refused_in_tls_1_2_learns_it_in_the_handshake(
    ca: Authority, other_ca: Authority, here: Identity
) -> None:
    stranger = other_ca.issue("there.test", file="early")
    async with Node(ca, here) as server, Node(ca, stranger) as opener:
        context = MutualContext(stranger, [ca.root])
        context._context.set_max_proto_version(SSL.TLS1_2_VERSION)
        opener.connector.context_for = lambda _hop: context
        opener.pool.obtain(opener.hop("here.test", server.listen(LinkKind.SERVER)))
        await opener.heard.until(lambda: opener.heard.down)
        assert (opener.heard.codes, opener.heard.up) == (["refused-by-peer"], [])
        assert "unknown ca" in opener.heard.refusals[0].findings[0].saw


@on_loop
async def test_bug_in_the_judge_does_not_hide_a_late_refusal(
    ca: Authority, other_ca: Authority, here: Identity
) -> None:
    stranger = other_ca.issue("there.test", file="unjudged")
    async with Node(ca, here) as server, Node(ca, stranger) as opener:
        told: list[dict[str, object]] = []
        opener.reactor.loop.set_exception_handler(lambda _loop, context: told.append(context))
        opener.heard.on_up = lambda _link: setattr(opener.heard, "judge_by", broken_judge)
        link = opener.pool.obtain(opener.hop("here.test", server.listen(LinkKind.SERVER)))
        await opener.heard.until(lambda: opener.heard.down)
        assert (opener.heard.down[0][0], link.state, len(told)) == (link, LinkState.CLOSED, 1)


@on_loop
async def test_confirmed_link_that_the_peer_closes_was_not_refused(
    ca: Authority, here: Identity, there: Identity
) -> None:
    async with Node(ca, here) as server, Node(ca, there) as opener:
        server.heard.on_message = lambda link, _message: link.close("done") if link.send(request()) else None
        link = opener.pool.obtain(opener.hop("here.test", server.listen(LinkKind.SERVER)))
        link.send(request())
        await opener.heard.until(lambda: opener.heard.down)
        _, why, verdict = opener.heard.down[0]
        assert verdict is not None
        assert (verdict.accepted, link.peer.confirmed, why) == (True, True, "closed by the peer")
        assert opener.heard.refusals == []


@on_loop
async def test_opener_refuses_a_server_under_an_unknown_authority(
    ca: Authority, other_ca: Authority, here: Identity, there: Identity
) -> None:
    """Both ends report it: we refuse before our own certificate is sent, and the server gets the alert."""
    async with Node(ca, here) as server, Node(other_ca, there) as opener:
        link = opener.pool.obtain(opener.hop("here.test", server.listen(LinkKind.SERVER)))
        await opener.heard.until(lambda: opener.heard.down)
        await server.heard.until(lambda: server.heard.refusals)
        assert (opener.heard.codes, link.state) == (["handshake-failed"], LinkState.CLOSED)
        assert "unknown ca" in server.heard.refusals[0].findings[0].saw


@on_loop
async def test_bug_in_the_judge_refuses_the_peer(ca: Authority, here: Identity, there: Identity) -> None:
    """Fail closed: an exception in the judge leaves no link, and the listener continues."""
    async with Node(ca, here) as node:
        told: list[dict[str, object]] = []
        node.reactor.loop.set_exception_handler(lambda _loop, context: told.append(context))
        node.heard.judge_by = broken_judge
        listener = node.listen(LinkKind.SERVER)
        assert await refused_dial(listener, ca, there) in {"", "ConnectionResetError", "UNEXPECTED_EOF_WHILE_READING"}
        node.heard.judge_by = predictable
        async with await Peer.dial(listener, ca, there):
            await node.heard.until(lambda: node.heard.up)
        assert (len(told), listener.handshakes) == (1, 0)


@on_loop
async def test_judge_cannot_accept_a_failed_handshake(ca: Authority, here: Identity) -> None:
    """Link.come_up refuses it, even if the judge accepts."""
    async with Node(ca, here) as node:
        told: list[dict[str, object]] = []
        node.reactor.loop.set_exception_handler(lambda _loop, context: told.append(context))
        node.heard.judge_by = lambda link, evidence: predictable(link, replace(evidence, failure=None))
        await say(node.listen(LinkKind.SERVER), b"\x00" * 64)
        assert isinstance(told[0]["exception"], LocalError)
        assert node.heard.up == []


@on_loop
async def test_bug_in_link_up_closes_the_link_and_its_place_is_free(
    ca: Authority, here: Identity, there: Identity
) -> None:
    async with Node(ca, here) as node:
        told: list[dict[str, object]] = []
        node.reactor.loop.set_exception_handler(lambda _loop, context: told.append(context))
        node.heard.on_up = fail_over
        listener = node.listen(LinkKind.SERVER)
        async with await Peer.dial(listener, ca, there) as peer:
            assert await peer.ended() == ""
        assert (len(node.heard.down), len(told), listener.handshakes) == (1, 1, 0)


@pytest.mark.parametrize(("key_identifier", "codes"), [(False, [85]), (True, [])])
@on_loop
async def test_certificate_without_key_identifier_is_not_strict_enough(
    ca: Authority, here: Identity, key_identifier: object, codes: list[int]
) -> None:
    """X509_STRICT (RFC 5280 4.2.1.1): conforming CAs MUST include it."""
    peer = ca.issue("there.test", file=f"aki{key_identifier}", key_identifier=bool(key_identifier))
    async with Node(ca, here) as node:
        await refused_or_closed(node.listen(LinkKind.SERVER), ca, peer, node)
        assert [error.code for error in node.heard.evidence[0].engine_errors] == codes


@on_loop
async def test_swapped_context_is_used_for_the_next_handshake(
    ca: Authority, other_ca: Authority, here: Identity
) -> None:
    stranger = other_ca.issue("there.test", file="swapped")
    async with Node(ca, here) as node:
        listener = node.listen(LinkKind.SERVER)
        assert "UNKNOWN_CA" in await refused_dial(listener, ca, stranger)
        listener.swap(MutualContext(here, [ca.root, other_ca.root]))
        async with await Peer.dial(listener, ca, stranger):
            await node.heard.until(lambda: node.heard.up)


def der(identity: Identity) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return identity.leaf.public_bytes(Encoding.DER)


async def refused_or_closed(listener: Listener, ca: Authority, identity: Identity, node: Node) -> None:
    """Dial, wait until the node has decided, and close."""
    async with await Peer.dial(listener, ca, identity):
        await node.heard.until(lambda: node.heard.up or node.heard.refusals)


def fail_over(_link: Link) -> None:
    raise ZeroDivisionError


def unlisted(link: Link, evidence: PeerEvidence) -> Verdict:
    return predictable(link, replace(evidence, failure=HandshakeFailure("not-in-topology", "nobody knows it")))


def broken_judge(_link: Link, _evidence: PeerEvidence) -> Verdict:
    raise ZeroDivisionError


async def connected(
    listener: Listener, node: Node, number: int, source: str = "127.0.0.1", said: bytes = b""
) -> socket.socket:
    """A TCP connection that sends *said* and nothing more, once the listener has accepted it as its *number*-th."""
    sock = socket.create_connection(listener.address, timeout=WITHIN_S, source_address=(source, 0))
    sock.sendall(said)
    await node.heard.until(lambda: listener.handshakes + listener.refused >= number)
    return sock


def is_closed(sock: socket.socket) -> bool:
    """Return whether the server has closed a connection that has sent nothing, or has started a handshake."""
    sock.settimeout(0)
    try:
        while sock.recv(65_536):
            pass
    except BlockingIOError:
        return False
    except ConnectionResetError:
        pass
    return True


def client_hello() -> bytes:
    """The first flight of a TLS client."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    sent = ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), sent).do_handshake()
    return sent.read()
