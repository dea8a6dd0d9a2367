"""Zones that Knot DNS signs below one trust anchor, and a resolver that changes what passes through it."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import dns.asyncquery
import dns.dnssec
import dns.message
import dns.name
import dns.rdataclass
import dns.rdatatype

from cli.topology.dns.dns_world import ask, program
from sipmesh.demo.ports import HOST, free_port

START_S = 30.0
ANCHOR = "test"
UNSIGNED = "unsigned"
Zones = Mapping[str, tuple[str, list[str]]]
"""The policy of each zone below `ANCHOR`, and its records."""

CONFIG = """\
server:
    listen: {host}@{port}
    rundir: "{folder}"
log:
  - target: stderr
    any: warning
database:
    storage: "{folder}"
policy:
  - id: nsec
    algorithm: ecdsap256sha256
    single-type-signing: on
  - id: nsec3
    algorithm: ecdsap384sha384
    nsec3: on
    nsec3-iterations: 5
    nsec3-salt-length: 4
  - id: optout
    algorithm: ed25519
    nsec3: on
    nsec3-opt-out: on
  - id: costly
    algorithm: ecdsap256sha256
    nsec3: on
    nsec3-iterations: 100
zone:
"""
Lie = Callable[[dns.message.Message], dns.message.Message | None]
"""Returns the answer that is given in place of another one; None for no answer."""


class SignedZones:
    """A running Knot DNS; *anchor* is the DS record of `ANCHOR`, as `dns.trust_anchors` has it."""

    def __init__(self, folder: Path, port: int, zones: Zones) -> None:
        self.folder, self.port, self._zones, self._serial = folder, port, zones, 1
        self.digests = {zone: self._digest(zone) for zone, (policy, _) in self.zones.items() if policy != UNSIGNED}
        self.anchor = f"{ANCHOR}. {self.digests[ANCHOR]}"
        for zone in self.digests:
            self.write(zone)

    @property
    def zones(self) -> Zones:
        """All zones, with that of the anchor."""
        return {ANCHOR: ("nsec", []), **self._zones}

    def _digest(self, zone: str) -> str:
        ends, name, keys = time.monotonic() + START_S, dns.name.from_text(zone), None
        while keys is None:
            assert time.monotonic() < ends, f"{zone} is not signed"
            answer = ask(zone, "DNSKEY", self.port)
            keys = answer.get_rrset(answer.answer, name, dns.rdataclass.IN, dns.rdatatype.DNSKEY)
        entry: Any = next(key for key in keys if key.flags & 1)
        return str(dns.dnssec.make_ds(name, entry, "SHA256"))

    def write(self, zone: str, *records: str, signed_children: bool = True) -> None:
        """Write the file of a zone, with *records* in place of its own, and wait until it is served."""
        self._serial += 1
        digests = self.digests if signed_children else {}
        write_zone(self.folder, zone, self.zones, self._serial, list(records) or self.zones[zone][1], digests)
        subprocess.run(
            ["knotc", "-s", self.folder / "knot.sock", "-b", "zone-reload", zone], check=True, capture_output=True
        )


def write_zone(
    folder: Path, zone: str, zones: Zones, serial: int, records: list[str], digests: Mapping[str, str]
) -> None:
    below = [name for name in zones if name.endswith(f".{zone}") and "." not in name[: -len(zone) - 1]]
    lines = [f"{zone}. 60 SOA ns.{zone}. host.{zone}. {serial} 3600 600 86400 1", f"{zone}. 60 NS ns.{zone}."]
    lines += [f"{name}. 60 NS ns.{name}." for name in below]
    lines += [f"ns.{name}. 60 A 127.0.0.1" for name in (zone, *below)]
    lines += [f"{name}. 60 DS {digests[name]}" for name in below if name in digests]
    (folder / f"{zone}.zone").write_text("\n".join(["$ORIGIN .", *lines, *records]) + "\n")


@contextmanager
def signed_zones(folder: Path, zones: Zones) -> Iterator[SignedZones]:
    """Serve `ANCHOR` and *zones*; the zone above each has its DS record, unless it is `UNSIGNED`."""
    port, text, everything = free_port(), CONFIG, {ANCHOR: ("nsec", list[str]()), **zones}
    for zone, (policy, records) in everything.items():
        write_zone(folder, zone, everything, 1, records, {})
        signing = "off" if policy == UNSIGNED else f"on\n    dnssec-policy: {policy}"
        text += f'  - domain: {zone}\n    storage: "{folder}"\n    dnssec-signing: {signing}\n    zonefile-load: difference\n'
        text += "    zonefile-sync: -1\n    journal-content: all\n"
    (folder / "knot.conf").write_text(text.format(host=HOST, port=port, folder=folder))
    with program("knotd", "-c", folder / "knot.conf", log=folder / "knot.log"):
        yield SignedZones(folder, port, zones)


class _Relay(asyncio.DatagramProtocol):
    def __init__(self, port: int, lie: Lie) -> None:
        self._port, self._lie, self._tasks = port, lie, set[asyncio.Task[None]]()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        task = asyncio.ensure_future(self._answer(data, addr))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, data: bytes, addr: tuple[str, int]) -> None:
        asked = dns.message.from_wire(data)
        true = await dns.asyncquery.udp(asked, HOST, START_S, self._port)
        given = self._lie(true)
        if given is not None:
            self._transport.sendto(given.to_wire(max_size=65535), addr)


@asynccontextmanager
async def lying_resolver(port: int, lie: Lie) -> AsyncIterator[int]:
    """Answer what the server at *port* answers, after *lie* has changed it. Gives the port."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Relay(port, lie), (HOST, 0))
    try:
        yield transport.get_extra_info("sockname")[1]
    finally:
        transport.close()
