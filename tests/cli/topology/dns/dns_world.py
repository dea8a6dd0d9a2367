"""A signed zone on Knot DNS behind a validating resolver (Unbound), a zone with a wrong trust anchor, and an unsigned zone."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import dns.dnssec
import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rdataclass
import dns.rdatatype

from sipmesh.demo.ports import HOST, free_port
from sipmesh.server.process.fork_server import die_with_parent

START_S = 30.0
SECURE, BOGUS, PLAIN = "secure.test", "bogus.test", "plain.test"

KNOT = """\
server:
    listen: {host}@{port}
    rundir: "{folder}"
log:
  - target: stderr
    any: warning
database:
    storage: "{folder}"
policy:
  - id: short
    algorithm: ecdsap256sha256
    single-type-signing: on
template:
  - id: default
    storage: "{folder}"
    dnssec-policy: short
zone:
"""
UNBOUND = """\
server:
    interface: {host}
    port: {port}
    username: ""
    chroot: ""
    directory: "{folder}"
    pidfile: ""
    use-syslog: no
    do-daemonize: no
    do-not-query-localhost: no
    do-ip6: no
    access-control: 127.0.0.0/8 allow
    module-config: "validator iterator"
    local-zone: "test." nodefault
{anchors}
remote-control:
    control-enable: no
"""
Zones = Mapping[str, Sequence[str]]


@contextmanager
def program(*command: str | Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command,
            stdout=stream,
            stderr=stream,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - a test has one thread when it starts a server
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def ask(name: str, kind: str, port: int) -> dns.message.Message:
    """Ask until the server answers."""
    ends = time.monotonic() + START_S
    while True:
        query = dns.message.make_query(name, kind, want_dnssec=True)
        query.flags |= dns.flags.CD
        try:
            return dns.query.udp(query, HOST, 0.5, port)
        except (dns.exception.DNSException, OSError):
            assert time.monotonic() < ends, f"no answer at port {port}"


@contextmanager
def knot(folder: Path, zones: Zones) -> Iterator[int]:
    """Serve *zones*, each a list of records; those but `PLAIN` are signed. Gives the port."""
    port, text = _free_both(), KNOT
    for zone, records in zones.items():
        head = [f"{zone}. 60 SOA ns.{zone}. host.{zone}. 1 3600 600 86400 1", f"{zone}. 60 NS ns.{zone}."]
        lines = ["$ORIGIN .", *head, f"ns.{zone}. 60 A 127.0.0.1", *records]
        (folder / f"{zone}.zone").write_text("\n".join(lines) + "\n")
        text += f"  - domain: {zone}\n    dnssec-signing: {'off' if zone == PLAIN else 'on'}\n"
    (folder / "knot.conf").write_text(text.format(host=HOST, port=port, folder=folder))
    with program("knotd", "-c", folder / "knot.conf", log=folder / "knot.log"):
        yield port


@contextmanager
def unbound(folder: Path, authority: int, zones: Zones) -> Iterator[int]:
    """Resolve *zones* from the server at port *authority*. Gives the port."""
    port = _free_both()
    anchors = "".join(f'    trust-anchor: "{_anchor(zone, authority)}"\n' for zone in zones if zone != PLAIN)
    text = UNBOUND.format(host=HOST, port=port, folder=folder, anchors=anchors)
    text += "".join(f"stub-zone:\n    name: {zone}\n    stub-addr: {HOST}@{authority}\n" for zone in zones)
    (folder / "unbound.conf").write_text(text)
    with program("unbound", "-d", "-p", "-c", folder / "unbound.conf", log=folder / "unbound.log"):
        ask(PLAIN, "SOA", port)
        yield port


def _anchor(zone: str, authority: int) -> str:
    """Give the DS of the key of a zone; that of `BOGUS` is of another key."""
    ends = time.monotonic() + START_S
    name, keys = dns.name.from_text(zone), None
    while keys is None:
        assert time.monotonic() < ends, f"{zone} is not signed"
        answer = ask(zone, "DNSKEY", authority)
        keys = answer.get_rrset(answer.answer, name, dns.rdataclass.IN, dns.rdatatype.DNSKEY)
    text = str(dns.dnssec.make_ds(name, next(key for key in keys if key.flags & 1), "SHA256"))
    if zone == BOGUS:
        text = text[:-4] + ("0000" if text[-4:] != "0000" else "1111")
    return f"{zone}. DS {text}"


def _free_both() -> int:
    """Give a port that is free for TCP and UDP."""
    while True:
        port = free_port()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
