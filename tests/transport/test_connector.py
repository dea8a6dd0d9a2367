"""Opening links: failover between addresses, late answers of DNS, and remembered failures."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from sipmesh.demo.nameserver import NameServer
from sipmesh.routing.proxy.locate import FEDERATION, SIPS
from sipmesh.transport.hop import Hop
from sipmesh.transport.limits import Limits
from sipmesh.transport.link.state import LinkState
from sipmesh.transport.resolver import DnsResolver
from sipmesh.trust.evidence import LinkKind
from transport.world import WITHIN_S, Node, bodies, on_loop, request

if TYPE_CHECKING:
    from sipmesh.transport.tls.contexts import Identity
    from transport.authority import Authority

SERVER, PARTNER = LinkKind.SERVER, LinkKind.PARTNER


def closed_port() -> tuple[str, int]:
    """An address without a listener (any more)."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        host, port = sock.getsockname()
        return host, port


@on_loop
async def test_next_address_is_tried_within_the_same_link(ca: Authority, here: Identity, there: Identity) -> None:
    """The first address has no listener, the second is unreachable; the queued message arrives over the third."""
    async with Node(ca, here) as server, Node(ca, there) as client:
        good = server.listen(SERVER).address
        link = client.pool.obtain(Hop("here.test", SERVER, (closed_port(), ("255.255.255.255", 1), good)))
        link.send(request("queued"))
        await server.heard.until(lambda: server.heard.messages)
        assert bodies(server.heard) == ["queued"]
        await client.heard.until(lambda: client.heard.up)
        assert (client.heard.up, client.heard.down, link.remote) == ([link], [], good)


@on_loop
async def test_server_with_another_name_is_refused_and_the_next_address_tried(
    ca: Authority, here: Identity, there: Identity
) -> None:
    """The reference name decides: a server with a good certificate for another name is refused."""
    elsewhere = ca.issue("elsewhere.test")
    async with Node(ca, here) as right, Node(ca, elsewhere) as wrong, Node(ca, there) as client:
        addresses = (wrong.listen(SERVER).address, right.listen(SERVER).address)
        client.pool.obtain(Hop("here.test", SERVER, addresses)).send(request())
        await right.heard.until(lambda: right.heard.messages)
        assert client.heard.codes == ["name-mismatch"]
        assert wrong.heard.messages == []


@on_loop
async def test_failed_handshake_at_one_address_leads_to_the_next(
    ca: Authority, other_ca: Authority, here: Identity, there: Identity
) -> None:
    stranger = other_ca.issue("here.test", file="imposter")
    async with Node(ca, here) as right, Node(ca, stranger) as wrong, Node(ca, there) as client:
        addresses = (wrong.listen(SERVER).address, right.listen(SERVER).address)
        client.pool.obtain(Hop("here.test", SERVER, addresses)).send(request())
        await right.heard.until(lambda: right.heard.messages)
        assert client.heard.codes == ["handshake-failed"]


@on_loop
async def test_time_of_a_server_counts_only_if_its_certificate_does(
    ca: Authority, other_ca: Authority, here: Identity, there: Identity
) -> None:
    """The server port sends its time in the ServerHello; so does the port of a stranger, who could send any time."""
    stranger = other_ca.issue("here.test", file="imposter")
    async with Node(ca, here) as right, Node(ca, stranger) as wrong, Node(ca, there) as client:
        link = client.pool.obtain(Hop("here.test", SERVER, (right.listen(SERVER).address,)))
        await client.heard.until(lambda: client.heard.up)
        assert link.ahead_s is not None
        assert abs(link.ahead_s) < WITHIN_S
        refused = client.pool.obtain(Hop("stranger.test", SERVER, (wrong.listen(SERVER).address,)))
        await client.heard.until(lambda: client.heard.down)
        assert refused.ahead_s is None


@on_loop
async def test_link_goes_down_when_no_address_is_left(ca: Authority, there: Identity) -> None:
    async with Node(ca, there) as client:
        address = closed_port()
        link = client.pool.obtain(Hop("here.test", SERVER, (address,)))
        assert link.send(request())
        await client.heard.until(lambda: client.heard.down)
        reason = f"here.test cannot be reached: 127.0.0.1 port {address[1]}: Connection refused"
        assert client.heard.down == [(link, reason, None)]
        assert client.pool.all() == []


@on_loop
async def test_silent_server_ends_at_the_handshake_deadline(ca: Authority, there: Identity) -> None:
    """TCP connects, TLS never answers: the handshake deadline, a verdict, and the next address."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with Node(ca, there, limits=Limits(handshake_s=0.05)) as client:
            client.pool.obtain(Hop("here.test", SERVER, (silent.getsockname(), closed_port())))
            await client.heard.until(lambda: client.heard.down)
            assert client.heard.codes == ["handshake-timeout"]
            assert "Connection refused" in client.heard.down[0][1]


@on_loop
async def test_alarm_of_an_earlier_stage_does_not_end_the_next_one(ca: Authority, there: Identity) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with Node(ca, there) as client:
            link = client.pool.obtain(Hop("here.test", SERVER, (silent.getsockname(),)))
            await client.heard.until(lambda: link.state is LinkState.HANDSHAKE)
            link.due(client.reactor.loop.time())
            assert link.state is LinkState.HANDSHAKE
            link.due(client.reactor.loop.time() + client.reactor.limits.handshake_s)
            assert client.heard.codes == ["handshake-timeout"]


@pytest.mark.parametrize(
    ("kind", "within_s"),
    [(SERVER, Limits().server_dial_s), (PARTNER, Limits().handshake_s)],
)
@on_loop
async def test_handshake_with_a_server_of_ours_has_a_shorter_deadline(
    ca: Authority, there: Identity, kind: LinkKind, within_s: float
) -> None:
    """Requests wait for it, and it may hang."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with Node(ca, there) as client:
            began = client.reactor.loop.time()
            link = client.pool.obtain(Hop("here.test", kind, (silent.getsockname(),)))
            await client.heard.until(lambda: link.state is LinkState.HANDSHAKE)
            link.due(began + within_s - 0.1)
            assert link.state is LinkState.HANDSHAKE
            link.due(client.reactor.loop.time() + within_s)
            assert client.heard.codes == ["handshake-timeout"]


@on_loop
async def test_whole_dial_has_a_deadline(ca: Authority, there: Identity) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with Node(ca, there, limits=Limits(dial_s=0.05)) as client:
            client.pool.obtain(Hop("here.test", SERVER, (silent.getsockname(), closed_port())))
            await client.heard.until(lambda: client.heard.down)
            assert "handshake-timeout" in client.heard.down[0][1]


@on_loop
async def test_address_that_failed_is_tried_last_until_it_is_forgiven(
    ca: Authority, here: Identity, there: Identity
) -> None:
    async with Node(ca, here) as server, Node(ca, there) as client:
        bad, good = closed_port(), server.listen(SERVER).address
        hop = Hop("here.test", SERVER, (bad, good))
        client.pool.obtain(hop)
        await client.heard.until(lambda: client.heard.up)
        assert client.connector.ordered(hop, [bad, good]) == [good, bad]
        assert client.connector.ordered(replace(hop, name="x.test"), [bad, good]) == [bad, good]
        client.connector.forget_failures()
        assert client.connector.ordered(hop, [bad, good]) == [bad, good]


@on_loop
async def test_peer_that_refused_late_is_tried_last(
    ca: Authority, other_ca: Authority, here: Identity, there: Identity
) -> None:
    """TLS 1.3 lets the first server refuse after our handshake: the retry of the request uses the second."""
    async with Node(other_ca, here) as first, Node(ca, here) as second, Node(ca, there) as client:
        hop = Hop("here.test", SERVER, (first.listen(SERVER).address, second.listen(SERVER).address))
        client.pool.obtain(hop).send(request("lost"))
        await client.heard.until(lambda: client.heard.down)
        assert client.heard.codes == ["refused-by-peer"]
        client.pool.obtain(hop).send(request("again"))
        await second.heard.until(lambda: second.heard.messages)
        assert bodies(second.heard) == ["again"]


@on_loop
async def test_peer_that_refuses_is_not_dialled_once_per_request(ca: Authority, there: Identity) -> None:
    """For ``redial_s`` further links to it fail at once with the same reason; after forget_failures it is dialled again."""
    async with Node(ca, there) as client:
        client.connector.limits = Limits(redial_s=3600)
        hop = Hop("here.test", SERVER, (closed_port(),))
        client.pool.obtain(hop)
        await client.heard.until(lambda: client.heard.down)
        assert client.pool.obtain(hop).state is LinkState.CLOSED
        await client.heard.until(lambda: len(client.heard.down) == 2)
        assert client.heard.down[0][1] == client.heard.down[1][1]
        client.connector.forget_failures()
        assert client.pool.obtain(hop).state is LinkState.CONNECTING


@on_loop
async def test_partner_without_edge_is_located_by_srv_and_judged_by_its_domain(
    ca: Authority, here: Identity, there: Identity
) -> None:
    """The SRV target is another name than that which the certificate must prove (RFC 5922 4)."""
    async with Node(ca, here) as partner:
        port = partner.listen(PARTNER).port
        dns = await NameServer(
            {
                ("_sipfederationtls._tcp.here.test", "SRV"): [f"0 0 {port} edge7.hosting.test."],
                ("edge7.hosting.test", "A"): ["127.0.0.1"],
            }
        ).start()
        async with Node(ca, there, resolver=DnsResolver(dns.setting)) as client:
            client.pool.obtain(Hop("here.test", PARTNER, service=FEDERATION)).send(request("federated"))
            await partner.heard.until(lambda: partner.heard.messages)
            assert partner.heard.evidence[0].tls.sni == "here.test"
        dns.close()


@on_loop
async def test_hijacked_srv_leads_to_a_refused_link(ca: Authority, here: Identity, there: Identity) -> None:
    """The hijacker's server proves its own name, which is not the intended name."""
    elsewhere = ca.issue("elsewhere.test", file="hijacker")
    async with Node(ca, elsewhere) as hijacker:
        port = hijacker.listen(PARTNER).port
        records = {("_sipfederationtls._tcp.here.test", "SRV"): [f"0 0 {port} elsewhere.test."]}
        dns = await NameServer(records | {("elsewhere.test", "A"): ["127.0.0.1"]}).start()
        async with Node(ca, there, resolver=DnsResolver(dns.setting)) as client:
            client.pool.obtain(Hop("here.test", PARTNER, service=FEDERATION)).send(request("secret"))
            await client.heard.until(lambda: client.heard.down)
            assert client.heard.codes == ["name-mismatch"]
            assert hijacker.heard.messages == []
        dns.close()


@on_loop
async def test_topology_name_without_an_address_is_resolved_by_dns(
    ca: Authority, here: Identity, there: Identity
) -> None:
    async with Node(ca, here) as server:
        listener = server.listen(SERVER)
        dns = await NameServer({("here.test", "A"): ["127.0.0.1"]}).start()
        async with Node(ca, there, resolver=DnsResolver(dns.setting)) as client:
            client.pool.obtain(Hop("here.test", SERVER, ((None, listener.port),))).send(request())
            await server.heard.until(lambda: server.heard.messages)
        dns.close()


@on_loop
async def test_unresolvable_name_ends_the_link(ca: Authority, there: Identity) -> None:
    dns = await NameServer({}).start()
    async with Node(ca, there, resolver=DnsResolver(dns.setting)) as client:
        client.pool.obtain(Hop("nowhere.test", LinkKind.CLIENT, service=SIPS))
        await client.heard.until(lambda: client.heard.down)
        assert client.heard.down[0][1].endswith("nowhere.test has no address: DNS knows none")
    dns.close()


@on_loop
async def test_without_dns_a_name_is_not_guessed(ca: Authority, there: Identity) -> None:
    async with Node(ca, there) as client:
        client.pool.obtain(Hop("nowhere.test", PARTNER, service=FEDERATION))
        await client.heard.until(lambda: client.heard.down)
        assert "no DNS server is configured" in client.heard.down[0][1]


@pytest.mark.parametrize("stage", ["connecting", "handshake"])
@on_loop
async def test_link_that_is_closed_while_it_is_opened_stops_dialling(
    ca: Authority, there: Identity, stage: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with Node(ca, there) as client:
            link = client.pool.obtain(Hop("here.test", SERVER, (silent.getsockname(), closed_port())))
            await client.heard.until(lambda: link.state.value == stage)
            link.close("not needed any more")
            await client.heard.until(lambda: client.heard.down)
            assert [why for _, why, _ in client.heard.down] == ["not needed any more"]
            assert client.heard.refusals == []


@on_loop
async def test_link_that_is_closed_while_its_name_is_located_stays_closed(ca: Authority, there: Identity) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        resolver = DnsResolver(f"127.0.0.1:{deaf.getsockname()[1]}")
        async with Node(ca, there, resolver=resolver) as client:
            link = client.pool.obtain(Hop("here.test", PARTNER, service=FEDERATION))
            await asyncio.wait_for(asyncio.sleep(0), WITHIN_S)
            link.close("not needed any more")
            await client.heard.until(lambda: client.heard.down)
            assert link.state is LinkState.CLOSED


@pytest.mark.parametrize(
    ("source", "seen"),
    [("127.0.0.9", "127.0.0.9"), ("192.0.2.9", "127.0.0.1"), ("::1", "127.0.0.1"), ("", "127.0.0.1")],
)
@on_loop
async def test_opened_link_leaves_from_the_address_that_was_set(
    ca: Authority, here: Identity, there: Identity, source: str, seen: str
) -> None:
    """If this machine has no such address, as behind NAT, or it is of another IP version, the kernel chooses."""
    async with Node(ca, here) as server, Node(ca, there) as client:
        client.connector.source = lambda _hop: source
        client.pool.obtain(client.hop("here.test", server.listen(SERVER)))
        await server.heard.until(lambda: server.heard.up)
        assert server.heard.up[0].remote[0] == seen


@on_loop
async def test_ip_address_is_not_sent_as_sni(ca: Authority, here: Identity, there: Identity) -> None:
    """RFC 6066 3: literal addresses are not permitted in HostName; the judge refuses, the server saw no name."""
    async with Node(ca, here) as server, Node(ca, there) as client:
        client.pool.obtain(client.hop("127.0.0.1", server.listen(SERVER)))
        await server.heard.until(lambda: server.heard.up)
        assert server.heard.evidence[0].tls.sni == ""
