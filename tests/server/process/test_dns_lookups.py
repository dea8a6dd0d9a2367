"""Answers with their DNSSEC status, from real servers: Knot DNS signs, Unbound validates."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import dns.flags
import dns.message
import pytest

from cli.topology.dns.dns_world import BOGUS, PLAIN, SECURE, knot, unbound
from sipmesh.demo.ports import HOST
from sipmesh.errors import OperatorError
from sipmesh.server.process import dns_lookups
from sipmesh.server.process.dns_lookups import asked, look_up, name_servers, proved
from sipmesh.topology.builder.dns_findings import DnsAnswer, Dnssec
from sipmesh.transport.dnssec.trust_anchor import anchors_of
from support.running import on_loop

ZONES = {zone: [f"a.{zone}. 60 A 192.0.2.1", f"c.{zone}. 60 CNAME a.{zone}."] for zone in (SECURE, BOGUS, PLAIN)}


@pytest.fixture(name="ports", scope="module")
def _ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int]]:
    """The ports of the authoritative server and of the resolver."""
    folder = tmp_path_factory.mktemp("dns")
    with knot(folder, ZONES) as authority, unbound(folder, authority, ZONES) as resolver:
        yield authority, resolver


@pytest.mark.peer("knot")
@pytest.mark.peer("unbound")
@pytest.mark.wide
def test_answer_has_the_status_that_the_resolver_gives(ports: tuple[int, int]) -> None:
    names = [(f"a.{zone}", "A") for zone in (SECURE, BOGUS, PLAIN)]
    answers = look_up([*names, (f"none.{SECURE}", "A"), (f"c.{PLAIN}", "A")], [(HOST, ports[1])])
    assert [answer.dnssec for answer in answers.values()] == [
        Dnssec.SECURE,
        Dnssec.BOGUS,
        Dnssec.INSECURE,
        Dnssec.SECURE,
        Dnssec.INSECURE,
    ]
    assert [list(answer.data) for answer in answers.values()] == [["192.0.2.1"]] * 3 + [[], ["192.0.2.1"]]


@pytest.mark.peer("knot")
@pytest.mark.peer("unbound")
def test_server_that_does_not_validate_says_insecure(ports: tuple[int, int]) -> None:
    key = (f"a.{BOGUS}", "A")
    assert look_up([key], [(HOST, ports[0])])[key] == DnsAnswer(["192.0.2.1"], Dnssec.INSECURE)
    refused = look_up([("a.elsewhere.test", "A")], [(HOST, ports[0])])[("a.elsewhere.test", "A")]
    assert "answers REFUSED" in refused.fault


def test_name_servers_are_those_that_are_named() -> None:
    assert name_servers(["192.0.2.53", "[2001:db8::1]:5353"]) == [("192.0.2.53", 53), ("2001:db8::1", 5353)]
    with pytest.raises(OperatorError, match="no port"):
        name_servers(["192.0.2.53:x"])


def test_silent_server_is_reported_and_the_next_one_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dns_lookups, "TIMEOUT_S", 0.05)
    key = ("a.test", "A")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind((HOST, 0))
        fault = look_up([key], [silent.getsockname()])[key].fault
    assert "does not answer" in fault
    assert look_up([key], [])[key].fault == "no DNS server is known"


class _Truncating(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = dns.message.make_response(dns.message.from_wire(data))
        answer.flags |= dns.flags.TC
        self._transport.sendto(answer.to_wire(), addr)


async def _hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(2)
    writer.close()


@pytest.mark.peer("knot")
@pytest.mark.peer("unbound")
@on_loop
async def test_server_that_closes_tcp_within_an_answer_is_reported_and_the_next_one_is_asked(
    ports: tuple[int, int],
) -> None:
    """Who asks again and again must not end by it, whether the answer is validated here or not."""
    key, anchors = (f"a.{PLAIN}", "A"), anchors_of([f"{PLAIN}. 1 13 2 {'00' * 32}"])
    tcp = await asyncio.start_server(_hangs_up, HOST, 0)
    port = tcp.sockets[0].getsockname()[1]
    udp, _ = await asyncio.get_running_loop().create_datagram_endpoint(_Truncating, (HOST, port))
    async with tcp:
        assert "Connection reset" in (await asked([key], [(HOST, port)]))[key].fault
        assert "Connection reset by peer" in (await proved(key, anchors, [(HOST, port)], 0)).fault
        assert (await asked([key], [(HOST, port), (HOST, ports[0])]))[key].data == ["192.0.2.1"]
    udp.close()


@pytest.mark.parametrize("host", [HOST, "::1"])
def test_port_that_refuses_is_reported_at_once(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No attempt waits for its timeout, which here is longer than any test may take."""
    monkeypatch.setattr(dns_lookups, "TIMEOUT_S", 3600.0)
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind((host, 0))
        port = int(bound.getsockname()[1])
    fault = look_up([("a.test", "A")], [(host, port)])[("a.test", "A")].fault
    assert fault == f"{host} port {port} does not answer (Connection refused)"
