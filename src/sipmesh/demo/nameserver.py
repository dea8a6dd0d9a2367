"""A small DNS server for the demo and the tests: A, AAAA and SRV over UDP, from a dictionary."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Final

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TTL_S: Final = 0  # a changed record, for example by a hijacker, counts from the next question

Records = dict[tuple[str, str], list[str]]


class NameServer(asyncio.DatagramProtocol):
    """Answers from *records*: ``{("fe1.example.test", "A"): ["127.0.0.1"]}``; SRV data as in a zone file.

    ``records`` may be changed while it runs. ``asked`` counts the questions by (name, type).
    """

    def __init__(self, records: Mapping[tuple[str, str], Sequence[str]]) -> None:
        self.records: Records = {(name.lower(), kind.upper()): list(data) for (name, kind), data in records.items()}
        self.asked: Counter[tuple[str, str]] = Counter()
        self.address: tuple[str, int] = ("", 0)
        self._transport: asyncio.DatagramTransport | None = None

    @property
    def setting(self) -> str:
        """The address in the form of the topology's `dns` setting."""
        host, port = self.address
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> NameServer:
        """Answer on *host* and *port* (0 for any free port) from now on."""
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(host, port))
        self._transport = transport
        self.address = transport.get_extra_info("sockname")[:2]
        return self

    def close(self) -> None:
        """Stop answering."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer one question; ignore anything else."""
        try:
            query = dns.message.from_wire(data)
        except dns.exception.DNSException:
            return
        if self._transport is not None and query.question and not query.flags & dns.flags.QR:
            self._transport.sendto(self._answer(query).to_wire(), addr)

    def _answer(self, query: dns.message.Message) -> dns.message.Message:
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked[name, kind] += 1
        response = dns.message.make_response(query, recursion_available=True)
        response.flags |= dns.flags.AA
        values = self.records.get((name, kind), [])
        if values:
            response.answer.append(
                dns.rrset.from_text_list(question.name, TTL_S, dns.rdataclass.IN, question.rdtype, values)
            )
        elif not any(known == name for known, _ in self.records):
            response.set_rcode(dns.rcode.NXDOMAIN)
        return response
