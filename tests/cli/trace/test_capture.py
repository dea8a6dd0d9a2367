"""A trace in pcap and HEP, read octet by octet; tests/cli/trace and tests/scenarios have tshark read the file."""

from __future__ import annotations

import struct
from dataclasses import replace
from ipaddress import ip_address

import pytest

from server.tracing.test_hops import AT_FE1
from sipmesh.cli.trace.capture import PCAP_HEADER, hep_of, octets_of, packet_of
from sipmesh.sip.framing import parse_message

V6 = replace(AT_FE1, local="[::1]:5061", remote="[2001:db8::7]:40000")


def chunks_of(packet: bytes) -> dict[int, bytes]:
    assert packet[:4] == b"HEP3"
    assert struct.unpack(">H", packet[4:6]) == (len(packet),)
    found: dict[int, bytes] = {}
    rest = packet[6:]
    while rest:
        vendor, kind, length = struct.unpack(">HHH", rest[:6])
        assert vendor == 0
        found[kind], rest = rest[6:length], rest[length:]
    return found


def test_file_begins_as_a_pcap_of_ip_packets() -> None:
    assert struct.unpack("<IHHiIII", PCAP_HEADER) == (0xA1B2C3D4, 2, 4, 0, 0, 65_535, 101)


def test_packet_has_the_addresses_of_the_link_and_a_right_checksum() -> None:
    record = packet_of(AT_FE1)
    seconds, _, kept, length = struct.unpack("<IIII", record[:16])
    packet = record[16:]
    assert (seconds, kept, length) == (int(AT_FE1.at.timestamp()), len(packet), len(packet))
    assert (packet[12:16], packet[16:20]) == (ip_address("127.0.0.1").packed, ip_address("127.0.0.1").packed)
    assert struct.unpack(">HH", packet[20:24]) == (40_000, 5061)
    total = sum(struct.unpack(">10H", packet[:20]))
    assert (total & 0xFFFF) + (total >> 16) == 0xFFFF
    assert packet[28:] == octets_of(AT_FE1)


def test_sent_message_goes_the_other_way_also_over_ipv6() -> None:
    packet = packet_of(replace(V6, received=False))[16:]
    assert packet[0] >> 4 == 6
    assert (packet[8:24], packet[24:40]) == (ip_address("::1").packed, ip_address("2001:db8::7").packed)
    assert struct.unpack(">HH", packet[40:44]) == (5061, 40_000)


@pytest.mark.parametrize(("message", "family", "first"), [(AT_FE1, 2, 3), (V6, 10, 5)])
def test_hep_packet_says_who_when_and_which_call(message: object, family: int, first: int) -> None:
    chunks = chunks_of(hep_of(message))  # type: ignore[arg-type]
    assert (chunks[1], chunks[2], chunks[11]) == (bytes([family]), b"\x06", b"\x01")
    assert {first, first + 1} <= chunks.keys()
    assert struct.unpack(">HH", chunks[7] + chunks[8]) == (40_000, 5061)
    assert chunks[17] == b"c1"
    assert chunks[15] == octets_of(AT_FE1)


def test_length_of_a_body_that_is_left_out_is_zero_and_another_is_that_of_what_is_shown() -> None:
    announced = replace(AT_FE1, head=f"{AT_FE1.head}\nContent-Length: 500", octets=500)
    assert b"Content-Length: 0\r\n\r\n" in octets_of(announced)
    read = parse_message(octets_of(replace(announced, body="v=0\ns=-\n")))
    assert read.body == b"v=0\r\ns=-\r\n"
