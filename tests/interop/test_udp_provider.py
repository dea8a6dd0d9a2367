"""A provider with UDP only, behind the Kamailio of docs/howto/udp-provider.md: calls in both directions by mutual TLS."""

from __future__ import annotations

import asyncio
import re
import socket
from pathlib import Path

import pytest

from interop.kamailio_border import Border
from sipmesh.client.dialog import Dialog
from sipmesh.demo.ports import HOST, free_port
from sipmesh.trust.evidence import LinkKind
from support.descriptions import SDES, SDP, with_body
from support.network import EXAMPLE, FE1, Network
from support.running import on_loop
from support.talking import inside_of
from support.trunks import (
    ALICE,
    GATEWAY,
    GATEWAYS,
    OUTSIDE,
    PROVIDER,
    PlayedTrunk,
    build_gateway,
    build_trunk,
    join_trunks,
)

pytestmark = pytest.mark.peer("kamailio")

COPIED = re.compile(rb"^(?:Via|Record-Route|From|To|Call-ID|CSeq):.*\r\n", re.MULTILINE | re.IGNORECASE)


class UdpProvider:
    """The provider: one socket, and SIP by hand."""

    def __init__(self) -> None:
        self.socket = socket.socket(type=socket.SOCK_DGRAM)
        self.socket.bind((HOST, 0))
        self.socket.settimeout(20)
        self.port: int = self.socket.getsockname()[1]

    async def hears(self, start: bytes) -> tuple[bytes, tuple[str, int]]:
        """Wait for a message that begins so."""
        while True:
            octets, sender = await asyncio.to_thread(self.socket.recvfrom, 65_535)
            if octets.startswith(start):
                return octets, sender

    def answer(self, request: bytes, sender: tuple[str, int], body: bytes = b"") -> None:
        """Answer 200 to *request*."""
        rows = b"".join(COPIED.findall(request))
        if b";tag=" not in (re.search(rb"^To:.*", request, re.MULTILINE) or [b""])[0]:
            rows = re.sub(rb"^(To:.*)\r\n", rb"\1;tag=p\r\n", rows, flags=re.MULTILINE)
        contact = b"Contact: <sip:p@127.0.0.1:%d>\r\n" % self.port
        kind = b"Content-Type: application/sdp\r\n" if body else b""
        head = b"SIP/2.0 200 OK\r\n%s%s%sContent-Length: %d\r\n\r\n" % (rows, contact, kind, len(body))
        self.socket.sendto(head + body, sender)


def calling(number: str, port: int) -> bytes:
    """An INVITE of *number* to alice."""
    head = (
        f"INVITE sip:{ALICE}@{GATEWAYS} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK{number[1:]};rport\r\n"
        f"Max-Forwards: 70\r\nFrom: <sip:{number}@{PROVIDER}>;tag=p2\r\nTo: <sip:{ALICE}@{GATEWAYS}>\r\n"
        f"Call-ID: {number}\r\nCSeq: 1 INVITE\r\nContact: <sip:p@127.0.0.1:{port}>\r\n"
        f"Content-Type: {SDP}\r\nContent-Length: {len(SDES)}\r\n\r\n"
    )
    return head.encode() + SDES


@on_loop
async def test_calls_pass_between_a_phone_and_a_provider_with_udp(tmp_path: Path) -> None:
    """A call that another host sends to the port for the provider does not arrive."""
    example, of_border = build_gateway(tmp_path / "e"), build_trunk(tmp_path / "b", PROVIDER)
    trunk, provider, udp = PlayedTrunk(PROVIDER, of_border, port=free_port()), UdpProvider(), free_port()
    join_trunks(example, (trunk, {"asserts": ["+"], "carries": ["+"]}))
    chain, key = of_border.credentials(PROVIDER)
    async with Network((example,), starts=(FE1, GATEWAY)) as network:
        places = {
            "/etc/kamailio/example-root.pem": str(example.root),
            "/etc/kamailio/border.pem": str(chain),
            "/etc/kamailio/border.key": str(key),
            "border.provider.example": PROVIDER,
            "127.0.0.1:5071": f"127.0.0.1:{trunk.port}",
            "203.0.113.7:5061": f"127.0.0.1:{network.address(GATEWAY, LinkKind.PARTNER)[1]}",
            "203.0.113.7:5060": f"127.0.0.1:{udp}",
            "198.51.100.20:5060": f"127.0.0.1:{provider.port}",
            '"198.51.100.20" && $sp == 5060': f'"127.0.0.1" && $sp == {provider.port}',
        }
        async with Border(tmp_path / "k", trunk.port, places):
            alice = await network.phone("alice", FE1)
            offer = [("content-type", SDP)]
            invite = alice.request(
                "INVITE", f"tel:{OUTSIDE}", offer, SDES, sender=f"<sip:alice@{EXAMPLE}>;tag={alice.tag}"
            )
            await alice.send(invite)
            came, border = await provider.hears(b"INVITE ")
            assert border == (HOST, udp)
            assert f"sip:{ALICE}@".encode() in came
            provider.answer(came, border, SDES)
            final = await alice.final()
            assert (final.status, final.body) == (200, SDES)
            dialog = Dialog.of_caller(invite, final)
            await alice.send(inside_of(dialog, alice, "ACK"))
            await provider.hears(b"ACK ")
            await alice.send(with_body(inside_of(dialog, alice, "INVITE"), SDES + b"a=sendonly\r\n"))
            held, border = await provider.hears(b"INVITE ")
            assert held.endswith(b"a=sendonly\r\n")
            provider.answer(held, border, SDES)
            assert (await alice.final(method="INVITE")).status == 200
            await alice.send(inside_of(dialog, alice, "ACK"))
            await provider.hears(b"ACK ")
            await alice.send(with_body(inside_of(dialog, alice, "INFO"), b"Signal=7\r\n", "application/dtmf-relay"))
            provider.answer(*await provider.hears(b"INFO "))
            assert (await alice.final(method="INFO")).status == 200
            await alice.send(inside_of(dialog, alice, "BYE"))
            provider.answer(*await provider.hears(b"BYE "))
            assert (await alice.final(method="BYE")).status == 200
            with UdpProvider().socket as stranger:
                stranger.sendto(calling("+12025550199", provider.port), border)
            provider.socket.sendto(calling(OUTSIDE, provider.port), border)
            rings = await alice.request_in("INVITE")
            assert rings.from_.uri == f"sip:{OUTSIDE}@{PROVIDER}"
            await alice.reply(rings, 200, offer, SDES)
            assert (await provider.hears(b"SIP/2.0 200"))[0].endswith(SDES)
    provider.socket.close()
