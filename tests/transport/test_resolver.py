"""The resolver against a real DNS server (Knot DNS) and against the demo's name server; the same tests for both."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from sipmesh.demo.nameserver import NameServer
from sipmesh.errors import OperatorError
from sipmesh.routing.proxy.locate import SIPS, DnsQuestion, Locate, Naptr, RecordKind, Srv
from sipmesh.transport.resolver import DnsResolver, UnansweredError, locate, split_host_port
from transport.world import WITHIN_S, on_loop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

RECORDS = {
    ("a.test", "A"): ["192.0.2.1", "192.0.2.2"],
    ("a.test", "AAAA"): ["2001:db8::1"],
    ("_sips._tcp.a.test", "SRV"): ["10 5 5071 one.a.test.", "20 0 5061 a.test."],
    ("one.a.test", "A"): ["192.0.2.9"],
    ("_none._tcp.a.test", "SRV"): ["0 0 0 ."],
    ("n.test", "NAPTR"): ['10 50 "s" "SIPS+D2T" "" _sips._tcp.a.test.'],
}
KNOT = """
server:
    listen: {host}@{port}
    rundir: "{folder}"
log:
  - target: stderr
    any: warning
database:
    storage: "{folder}"
zone:
  - domain: test
    storage: "{folder}"
    file: test.zone
"""
servers = pytest.mark.parametrize("server", ["nameserver", pytest.param("knot", marks=pytest.mark.peer("knot"))])


def zone() -> str:
    head = ["$ORIGIN .", "test. 0 SOA ns.test. host.test. 1 3600 600 86400 0", "test. 0 NS ns.test."]
    head.append("ns.test. 0 A 127.0.0.1")
    return (
        "\n".join(head + [f"{name}. 0 {kind} {data}" for (name, kind), held in RECORDS.items() for data in held]) + "\n"
    )


@asynccontextmanager
async def answering(server: str, folder: Path) -> AsyncIterator[DnsResolver]:
    """Run *server* with RECORDS, and return a resolver that uses it."""
    if server == "nameserver":
        nameserver = await NameServer(RECORDS).start()
        yield DnsResolver(nameserver.setting)
        nameserver.close()
        return
    async with knot(folder) as setting:
        yield DnsResolver(setting)


@asynccontextmanager
async def knot(folder: Path) -> AsyncIterator[str]:
    if shutil.which("knotd") is None:
        pytest.skip("the peer knot is not installed: apt-get install knot")
    host = f"127.53.{os.getpid() >> 8 & 255}.{os.getpid() & 255}"  # an address that no other process uses, so every port is free
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind((host, 0))
        port = free.getsockname()[1]
    (folder / "test.zone").write_text(zone())
    (folder / "knot.conf").write_text(KNOT.format(host=host, port=port, folder=folder))
    process = await asyncio.create_subprocess_exec("knotd", "-c", str(folder / "knot.conf"))
    try:
        await ready(f"{host}:{port}")
        yield f"{host}:{port}"
    finally:
        process.terminate()
        await process.wait()


async def ready(setting: str) -> None:
    """Ask until the server answers; a port without a listener refuses at once."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            try:
                if await DnsResolver(setting, lifetime_s=0.2).ask(DnsQuestion("a.test", RecordKind.A)):
                    return
            except UnansweredError:
                await asyncio.sleep(0.01)


@servers
@on_loop
async def test_records_are_returned_in_our_own_types(server: str, tmp_path: Path) -> None:
    async with answering(server, tmp_path) as resolver:
        assert sorted(await resolver.ask(DnsQuestion("a.test", RecordKind.A)), key=str) == RECORDS["a.test", "A"]
        assert await resolver.ask(DnsQuestion("a.test", RecordKind.AAAA)) == RECORDS["a.test", "AAAA"]
        srv = await resolver.ask(DnsQuestion("_sips._tcp.a.test", RecordKind.SRV))
        assert set(srv) == {Srv(10, 5, 5071, "one.a.test"), Srv(20, 0, 5061, "a.test")}
        naptr = Naptr(10, 50, "s", "SIPS+D2T", "", "_sips._tcp.a.test")
        assert await resolver.ask(DnsQuestion("n.test", RecordKind.NAPTR)) == [naptr]
        assert await resolver.ask(DnsQuestion("_none._tcp.a.test", RecordKind.SRV)) == [Srv(0, 0, 0, ".")]


@servers
@on_loop
async def test_unknown_name_and_unknown_type_are_both_empty(server: str, tmp_path: Path) -> None:
    async with answering(server, tmp_path) as resolver:
        assert list(await resolver.ask(DnsQuestion("nowhere.test", RecordKind.A))) == []
        assert list(await resolver.ask(DnsQuestion("one.a.test", RecordKind.AAAA))) == []


@servers
@on_loop
async def test_domain_is_located_over_dns(server: str, tmp_path: Path) -> None:
    async with answering(server, tmp_path) as resolver:
        found = await locate(Locate("a.test", None, SIPS), resolver)
        assert found[0] == ("192.0.2.9", 5071)
        assert found[1] == ("2001:db8::1", 5061)
        assert set(found[2:]) == {("192.0.2.1", 5061), ("192.0.2.2", 5061)}
        by_naptr = await locate(Locate("n.test", None, SIPS), resolver)
        assert set(by_naptr) == set(found)  # the same SRV records


@on_loop
async def test_silent_server_raises_unanswered() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        resolver = DnsResolver(f"127.0.0.1:{deaf.getsockname()[1]}", lifetime_s=0.05)
        with pytest.raises(UnansweredError, match=r"A of a\.test: no name server answers"):
            await resolver.ask(DnsQuestion("a.test", RecordKind.A))


@pytest.mark.parametrize(
    ("text", "split"),
    [
        ("127.0.0.1", ("127.0.0.1", 53)),
        ("127.0.0.1:5353", ("127.0.0.1", 5353)),
        ("::1", ("::1", 53)),
        ("[::1]", ("::1", 53)),
        ("[::1]:5353", ("::1", 5353)),
    ],
)
def test_name_server_may_have_a_port(text: str, split: tuple[str, int]) -> None:
    assert split_host_port(text, 53) == split


@pytest.mark.parametrize("text", ["127.0.0.1:dns", "ns.test", "ns.test:53"])
def test_name_server_that_is_no_address_is_an_operator_error(text: str) -> None:
    with pytest.raises(OperatorError):
        DnsResolver(text)


def test_system_resolver_can_be_used() -> None:
    DnsResolver()


@on_loop
async def test_changed_name_servers_are_used_at_once_and_a_bad_setting_changes_nothing() -> None:
    """Cached answers of the earlier servers are dropped, also the empty answers."""
    former, later = await NameServer({}).start(), await NameServer(RECORDS).start()
    asked, question = DnsResolver(former.setting), DnsQuestion("one.a.test", RecordKind.A)
    assert await asked.ask(question) == ()
    with pytest.raises(OperatorError, match="must be an IP address"):
        asked.change("ns.a.test")
    asked.change(later.setting)
    assert await asked.ask(question) == ["192.0.2.9"]
    former.close()
    later.close()
