"""A trace in the formats of other tools: a pcap file for Wireshark and sngrep, and HEP version 3 for a collector."""

from __future__ import annotations

import re
import struct
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sipmesh.server.tracing.traced_message import TracedMessage

PCAP_HEADER: Final = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 101)
"""Times in microseconds; packets that begin with the IP header (LINKTYPE_RAW)."""

_UDP: Final = 17
_TCP: Final = 6
_HOPS: Final = 64
_SIP: Final = 1
_AGENT: Final = 0x51B5
_LENGTH: Final = re.compile(r"(?im)^(content-length|l)(\s*:\s*)\d+")

Address = tuple[str, int]


def packet_of(message: TracedMessage) -> bytes:
    """Return *message* as a record of a pcap file: a UDP packet between the addresses of its link, as it was inside TLS."""
    source, target = _ends(message)
    payload = octets_of(message)
    length = 8 + len(payload)
    datagram = struct.pack(">HHHH", source[1], target[1], length, 0) + payload
    packet = _ip(source[0], target[0], datagram)
    at = message.at.timestamp()
    return struct.pack("<IIII", int(at), message.at.microsecond, len(packet), len(packet)) + packet


def hep_of(message: TracedMessage) -> bytes:
    """Return *message* as a HEP packet, version 3."""
    source, target = _ends(message)
    is_v6 = isinstance(ip_address(source[0]), IPv6Address)
    first = 5 if is_v6 else 3
    chunks = (
        _chunk(1, struct.pack(">B", 10 if is_v6 else 2))
        + _chunk(2, struct.pack(">B", _TCP))
        + _chunk(first, ip_address(source[0]).packed)
        + _chunk(first + 1, ip_address(target[0]).packed)
        + _chunk(7, struct.pack(">H", source[1]))
        + _chunk(8, struct.pack(">H", target[1]))
        + _chunk(9, struct.pack(">I", int(message.at.timestamp())))
        + _chunk(10, struct.pack(">I", message.at.microsecond))
        + _chunk(11, struct.pack(">B", _SIP))
        + _chunk(12, struct.pack(">I", _AGENT))
        + _chunk(17, message.call_id.encode())
        + _chunk(15, octets_of(message))
    )
    return b"HEP3" + struct.pack(">H", 6 + len(chunks)) + chunks


def octets_of(message: TracedMessage) -> bytes:
    """Return the message as octets; its Content-Length is that of the body that is shown."""
    body = message.body.replace("\n", "\r\n").encode()
    head = _LENGTH.sub(lambda found: f"{found[1]}{found[2]}{len(body)}", message.head)
    return head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body


def _chunk(kind: int, value: bytes) -> bytes:
    return struct.pack(">HHH", 0, kind, 6 + len(value)) + value


def _ends(message: TracedMessage) -> tuple[Address, Address]:
    local, remote = _address(message.local), _address(message.remote)
    return (remote, local) if message.received else (local, remote)


def _address(told: str) -> Address:
    host, _, port = told.rpartition(":")
    return host.strip("[]"), int(port)


def _ip(source: str, target: str, datagram: bytes) -> bytes:
    """Return an IP packet; the two addresses are of one family, since they are the ends of one connection."""
    begin, end = ip_address(source), ip_address(target)
    if isinstance(begin, IPv6Address):
        return struct.pack(">IHBB", 6 << 28, len(datagram), _UDP, _HOPS) + begin.packed + end.packed + datagram
    fixed = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(datagram), 0, 0, _HOPS, _UDP, 0) + begin.packed + end.packed
    return fixed[:10] + struct.pack(">H", _checksum(fixed)) + fixed[12:] + datagram


def _checksum(header: bytes) -> int:
    """Return the Internet checksum of an IPv4 header whose checksum is zero (RFC 1071)."""
    total: int = sum(struct.unpack(f">{len(header) // 2}H", header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
