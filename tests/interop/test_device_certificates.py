"""Real phones with certificates of devices, at a port that takes no password: each logs in, writes and is written to."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from interop.baresip import LOOK_AGAIN_S, PATIENCE_S, Baresip
from interop.hosts_file import require_namespaces
from interop.linphone import Linphone
from interop.phones import phone
from interop.pjsua import Pjsua
from sipmesh.demo.network import FE1, DemoNetwork
from sipmesh.pki import files
from sipmesh.pki.crl.builder import Reason
from sipmesh.pki.issued import IssuedToPerson
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.x509.device_identity import DeviceIdentity
from support.running import until

NO_PASSWORD = "not the password of the user"


@pytest.fixture(name="network", scope="module")
def _network(tmp_path_factory: pytest.TempPathFactory, runner: asyncio.Runner) -> Iterator[DemoNetwork]:
    """Our organisation, whose first front end wants the certificate of a device."""
    network = runner.run(started(tmp_path_factory.mktemp("d")))
    yield network
    runner.run(network.stop())


async def started(folder: Path) -> DemoNetwork:
    network = await DemoNetwork.build(folder)
    document: Any = network.example.document
    next(one for pool in document["pools"] for one in pool["servers"] if one["name"] == FE1)["client_auth"] = (
        "certificate"
    )
    network.example.write()
    network.dns.records[FE1, "A"] = ["127.0.0.1"]
    await network.start(FE1)
    return network


def issued(network: DemoNetwork, user: str) -> IssuedToPerson:
    return network.example.ca.issue_device(DeviceIdentity(f"sip:{user}@example.test", "desk"), datetime.now(UTC))


def chain_of(made: IssuedToPerson) -> bytes:
    return files.certificates_pem((made.certificate, *made.issuers))


def pair(network: DemoNetwork, made: IssuedToPerson, user: str) -> tuple[Path, Path]:
    """The files of the certificates and of the key, for phones that want two."""
    chain, key = network.folder / f"{user}.device.pem", network.folder / f"{user}.device.key"
    chain.write_bytes(chain_of(made))
    key.write_bytes(made.pem_key())
    return chain, key


def both(network: DemoNetwork, made: IssuedToPerson, user: str) -> Path:
    """The one file that `sipmesh ca issue --format pem` writes."""
    file = network.folder / f"{user}.both.pem"
    file.write_bytes(chain_of(made) + made.pem_key())
    return file


def server(network: DemoNetwork) -> str:
    return f"{FE1}:{network.example.ports[FE1][LinkKind.CLIENT]}"


def baresip(network: DemoNetwork, user: str, **settings: Any) -> Baresip:
    made = phone(network, user, FE1, records=False, media="", **settings)
    accounts = made.folder / "accounts"
    accounts.write_text(accounts.read_text().replace(f"auth_pass={user}-secret", f"auth_pass={NO_PASSWORD}"))
    return made


async def writes_to(sender: Baresip, other: Baresip | Linphone | Pjsua) -> None:
    """Wait until the other phone has shown a message of the sender."""
    await sender.command("message", "hello")
    await until(lambda: "hello" in other.log)


def refusals(network: DemoNetwork) -> str:
    """What the front end has logged of peers that it has refused."""
    log = (network.example.folder / f"{FE1}.log").read_text()
    return "".join(line for line in log.splitlines() if "link refused" in line)


@pytest.mark.wide
@pytest.mark.peer("baresip")
def test_baresip_logs_in_and_is_closed_when_its_certificate_is_revoked(
    network: DemoNetwork, runner: asyncio.Runner
) -> None:
    """`sip_certificate` of its configuration: one PEM file with certificates and key."""
    made, other = issued(network, "alice"), issued(network, "bob")
    alice = baresip(network, "alice", device=both(network, made, "alice"), friend="sip:bob@example.test")
    bob = baresip(network, "bob", device=both(network, other, "bob"))

    async def play() -> None:
        async with alice, bob:
            await alice.registered()
            await bob.registered()
            await writes_to(alice, bob)
            example = network.example
            example.ca.revoke(made.certificate.serial_number, Reason.KEY_COMPROMISE, datetime.now(UTC))
            async with asyncio.timeout(PATIENCE_S):
                while '"revoked"' not in refusals(network):  # it tries again when it has something to send
                    await alice.command("message", "again")
                    await asyncio.sleep(LOOK_AGAIN_S)
            assert "OK" in (await bob.command("reginfo")).get("data", "")

    runner.run(play())
    assert "WWW-Authenticate" not in alice.log


@pytest.mark.wide
@pytest.mark.peer("baresip")
def test_baresip_without_a_certificate_does_not_log_in(network: DemoNetwork, runner: asyncio.Runner) -> None:
    async def play() -> None:
        async with phone(network, "bob", FE1, records=False, media="") as bob:
            await until(lambda: '"no-certificate"' in refusals(network))
            assert "OK" not in (await bob.command("reginfo")).get("data", "")

    runner.run(play())


@pytest.mark.peer("baresip", "linphone")
def test_linphone_logs_in(network: DemoNetwork, runner: asyncio.Runner) -> None:
    """`client_cert_chain` and `client_cert_key` in the section sip of its configuration."""
    require_namespaces()
    files_of_alice = pair(network, issued(network, "alice"), "alice")
    folder = network.folder / "linphone"
    alice = Linphone(
        folder,
        "alice",
        NO_PASSWORD,
        "example.test",
        server(network),
        anchor=network.example.root,
        device=files_of_alice,
    )
    bob = baresip(network, "bob", device=both(network, issued(network, "bob"), "bob"), friend="sip:alice@example.test")

    async def play() -> None:
        async with alice, bob:
            await alice.registered()
            await bob.registered()
            await writes_to(bob, alice)

    runner.run(play())


@pytest.mark.peer("baresip", "pjsua2")
def test_pjsip_logs_in(network: DemoNetwork, runner: asyncio.Runner) -> None:
    """`certFile` and `privKeyFile` of its `TlsConfig`."""
    require_namespaces()
    folder = network.folder / "pjsua"
    alice = Pjsua(
        folder, "alice", NO_PASSWORD, "example.test", server(network), anchor=network.example.root,
        device=pair(network, issued(network, "alice"), "alice.pj"),
    )  # fmt: skip
    bob = baresip(
        network, "bob", device=both(network, issued(network, "bob"), "bob.pj"), friend="sip:alice@example.test"
    )

    async def play() -> None:
        async with alice, bob:
            await alice.registered()
            await bob.registered()
            await writes_to(bob, alice)

    runner.run(play())
