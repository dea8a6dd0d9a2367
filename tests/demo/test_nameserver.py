from __future__ import annotations

import asyncio
import socket

import dns.message
import dns.rcode

from sipmesh.demo.nameserver import NameServer


def ask(server: NameServer, name: str, kind: str = "A") -> dns.message.Message:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        sock.sendto(b"no question", server.address)
        sock.sendto(dns.message.make_query(name, kind).to_wire(), server.address)
        return dns.message.from_wire(sock.recv(4096))


def test_name_server_answers_from_its_dictionary_and_counts() -> None:
    """Names are compared without case; other datagrams are ignored."""

    async def main() -> None:
        server = await NameServer({("A.test", "a"): ["192.0.2.1"]}).start()
        answer = await asyncio.to_thread(ask, server, "a.TEST")
        assert [record.to_text() for record in answer.answer[0]] == ["192.0.2.1"]
        assert (await asyncio.to_thread(ask, server, "b.test")).rcode() == dns.rcode.NXDOMAIN
        assert (await asyncio.to_thread(ask, server, "a.test", "SRV")).rcode() == dns.rcode.NOERROR
        server.records["b.test", "A"] = ["192.0.2.2"]
        assert (await asyncio.to_thread(ask, server, "b.test")).answer
        assert server.asked["b.test", "A"] == 2
        server.close()

    asyncio.run(main())
