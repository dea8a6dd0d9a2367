"""dns-01 by a real DNS server that takes updates: records come with the key, and go again; without the key nothing is written."""

from __future__ import annotations

import asyncio
import secrets
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import dns.message
import dns.query
import dns.rdatatype
import pytest
from acme.challenges import DNS01
from cryptography import x509

from sipmesh.demo.organisation import Organisation
from sipmesh.demo.ports import HOST, free_port
from sipmesh.server.public_certificates.acme_account import AcmeAccount
from sipmesh.server.public_certificates.acme_error import AcmeError
from sipmesh.server.public_certificates.dns_challenges import DnsChallenges
from sipmesh.topology.document.parts.acme import DnsUpdates
from support.network import FE1
from support.pebble import pebble
from support.programs import ended
from support.public_ca import Site
from support.running import on_loop
from support.service import serving_here

pytestmark = pytest.mark.peer("knot")
ZONE = "example.test"
SECRET = "c2VjcmV0LW9mLWEtdGVzdC13aXRoLTMyLW9jdGV0cyE="
CONFIG = """\
server:
    listen: {host}@{port}
    rundir: "{folder}"
log:
  - target: stderr
    any: warning
database:
    storage: "{folder}"
key:
  - id: acme
    algorithm: hmac-sha256
    secret: {secret}
  - id: reader
    algorithm: hmac-sha256
    secret: {secret}
acl:
  - id: acme
    key: acme
    action: update
zone:
  - domain: {zone}
    storage: "{folder}"
    acl: acme
"""


@dataclass(frozen=True)
class Knot:
    """A DNS server of `ZONE` on loopback."""

    port: int
    folder: Path

    @property
    def updates(self) -> DnsUpdates:
        return DnsUpdates(server=f"{HOST}:{self.port}", zone=ZONE, key_file="secrets/tsig", wait_s=0)

    def records(self, name: str) -> list[str]:
        """The TXT records of *name*."""
        answer = dns.query.tcp(dns.message.make_query(f"_acme-challenge.{name}", "TXT"), HOST, 5, self.port)
        return sorted(
            item.to_text().strip('"') for rrset in answer.answer if rrset.rdtype == dns.rdatatype.TXT for item in rrset
        )


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


@asynccontextmanager
async def knot(folder: Path) -> AsyncIterator[Knot]:
    """Run a DNS server that takes updates signed with the key `acme`."""
    folder.mkdir(parents=True)  # noqa: ASYNC240 - a test
    made = Knot(_free_both(), folder)
    records = [f"{ZONE}. 60 SOA ns.{ZONE}. host.{ZONE}. 1 3600 600 86400 1", f"{ZONE}. 60 NS ns.{ZONE}."]
    (folder / f"{ZONE}.zone").write_text("\n".join([*records, f"ns.{ZONE}. 60 A {HOST}"]) + "\n")
    text = CONFIG.format(host=HOST, port=made.port, folder=folder, zone=ZONE, secret=SECRET)
    (folder / "knot.conf").write_text(text)
    with (folder / "knot.log").open("wb") as out:
        process = await asyncio.create_subprocess_exec("knotd", "-c", str(folder / "knot.conf"), stdout=out, stderr=out)
    try:
        while True:
            try:
                await asyncio.to_thread(made.records, ZONE)
                break
            except (OSError, EOFError):
                assert process.returncode is None, (folder / "knot.log").read_text()
                await asyncio.sleep(0.05)
        yield made
    finally:
        if process.returncode is None:
            process.terminate()
            await ended(process)


def key_file(folder: Path, text: str = f"hmac-sha256:acme:{SECRET}\n") -> None:
    """Write the TSIG key into the folder of an organisation."""
    (folder / "secrets").mkdir(exist_ok=True)
    file = folder / "secrets/tsig"
    file.write_text(text)
    file.chmod(0o600)


@on_loop
@pytest.mark.peer("pebble")
async def test_server_proves_its_name_and_the_sip_domain_and_leaves_no_record(
    example: Organisation, tmp_path: Path
) -> None:
    site = Site(example)
    key_file(example.folder)
    async with knot(tmp_path / "dns") as server, pebble(tmp_path / "ca", dns=server.port) as ca:
        keys = server.updates.model_dump()
        await site.orders_from(ca, challenge="dns-01", dns=keys)
        async with serving_here(example, site.told):
            leaf = await site.issued()
        for name in (FE1, ZONE):
            assert await asyncio.to_thread(server.records, name) == []
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert sorted(names.get_values_for_type(x509.DNSName)) == [ZONE, FE1]


@pytest.mark.parametrize(
    "key",
    [f"hmac-sha256:acme:{SECRET[:-5]}AAAA=", f"hmac-sha256:other:{SECRET}", f"hmac-sha256:reader:{SECRET}"],
    ids=["another secret", "an unknown key", "a key that may not write"],
)
@on_loop
async def test_key_that_may_not_update_writes_nothing(tmp_path: Path, key: str) -> None:
    key_file(tmp_path, key)
    account = AcmeAccount.at(tmp_path / "account.json", "https://ca.test/dir")
    challenge = DNS01(token=secrets.token_bytes(16))
    async with knot(tmp_path / "dns") as server, DnsChallenges(server.updates, tmp_path) as solver:
        with pytest.raises(AcmeError, match=f"the DNS server {HOST}") as refused:
            await asyncio.to_thread(solver.publish, FE1, challenge, account.jwk)
        assert "allow the key in secrets/tsig" in refused.value.remedy
        assert await asyncio.to_thread(server.records, FE1) == []


@on_loop
async def test_records_of_another_server_stay(tmp_path: Path) -> None:
    key_file(tmp_path)
    account = AcmeAccount.at(tmp_path / "account.json", "https://ca.test/dir")
    async with knot(tmp_path / "dns") as server:
        first, second = (DnsChallenges(server.updates, tmp_path) for _ in range(2))
        async with first, second:
            for solver in (first, second):
                challenge = DNS01(token=secrets.token_bytes(16))
                await asyncio.to_thread(solver.publish, ZONE, challenge, account.jwk)
            first.settle(threading.Event())
            both = await asyncio.to_thread(server.records, ZONE)
            await asyncio.to_thread(first.retract)
            [left] = await asyncio.to_thread(server.records, ZONE)
            assert len(both) == 2
            assert left in both
            await asyncio.to_thread(second.retract)
            assert await asyncio.to_thread(server.records, ZONE) == []


@on_loop
async def test_dns_server_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    key_file(tmp_path)
    account = AcmeAccount.at(tmp_path / "account.json", "https://ca.test/dir")
    solver = DnsChallenges(Knot(free_port(), tmp_path).updates, tmp_path)
    with pytest.raises(AcmeError, match="takes no update"):
        await asyncio.to_thread(solver.publish, FE1, DNS01(token=secrets.token_bytes(16)), account.jwk)


@pytest.mark.parametrize("text", ["secret", "hmac-md5:acme:AAAA", "hmac-sha256:acme:?", "hmac-sha256::AAAA\n\n"])
def test_file_without_a_key_says_how_to_make_one(tmp_path: Path, text: str) -> None:
    key_file(tmp_path, text)
    with pytest.raises(AcmeError, match="has no TSIG key") as refused:
        DnsChallenges(Knot(1, tmp_path).updates, tmp_path)
    assert "keymgr -t NAME" in refused.value.remedy
