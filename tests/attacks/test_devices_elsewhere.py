"""Devices where they must be worth nothing: the console, the API, control links, PostgreSQL; and workers, which serve them."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from sipmesh.demo.cast import stolen
from sipmesh.demo.forge import CLIENT_AUTH, SERVER_AUTH, Forge, Forged, Wish
from sipmesh.demo.organisation import Organisation
from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.crl.builder import Reason
from sipmesh.transport.tls.application_protocol import CONTROL
from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind
from sipmesh.trust.x509.device_identity import DeviceIdentity
from support.console import Visitor, management_with_console, operator_credentials
from support.managed import MGMT
from support.network import FE1, FE2, Network, copied
from support.peer import HungUpError, Peer
from support.postgres import OWNER, Cluster
from support.running import on_loop, until
from support.workers import two_workers
from trust.network import DEVICES

API = "/api/v1/status"
COMING = 12
"""Connections: that all of them come to one of two workers by chance is as likely as 12 heads in a row."""
REGISTERED = 4
"""A user has ten contacts at most."""


@pytest.fixture(name="example")
def _example(example_model: Organisation, tmp_path: Path) -> Organisation:
    made = copied(example_model, tmp_path / "example")
    made.certify_devices()
    made.write()
    return made


def forged(organisation: Organisation, folder: Path, name: str, *uris: str, dns: tuple[str, ...] = ()) -> Forged:
    """What a thief of the key of the device issuing CA can make."""
    wish = Wish(name, uris=uris, dns=dns, usages=(CLIENT_AUTH, SERVER_AUTH), extra=(DEVICES,))
    made = Forge(datetime.now(UTC)).forge(wish, stolen(organisation, "devices"))
    made.write(folder, name)
    return made


@pytest.mark.parametrize("uri", ["sip:alice@example.test", "sipmesh-operator:otto"])
@on_loop
async def test_console_and_api_know_no_device_as_an_operator(tmp_path: Path, uri: str) -> None:
    """Also if a thief of the key of the device issuing CA writes the name of an operator into it."""
    async with management_with_console(tmp_path / "n", client_certificates=True) as network:
        CaGenerations(network.organisation.folder / "ca").current.certify_devices(["example.test"], datetime.now(UTC))
        forged(network.organisation, tmp_path, "device", uri)
        shown = tmp_path / "device.pem", tmp_path / "device.key"
        async with Visitor(network, credentials=shown) as visitor:
            assert (await visitor.get(API)).status == 401
            assert (await visitor.ask("POST", "/login/certificate")).status == 401
        reasons = [line["why"] for line in network.told[MGMT].events("operator refused")]
        assert reasons
        assert Code.DEVICE_CERTIFICATE in reasons[-1] or Code.UNTRUSTED_ISSUER in reasons[-1]
        async with Visitor(network, credentials=operator_credentials(network, "otto", tmp_path)) as otto:
            assert (await otto.get(API)).status == 200


@on_loop
async def test_device_opens_no_control_link(example: Organisation, tmp_path: Path) -> None:
    forged(example, tmp_path, "device", f"sip:{FE2}", dns=(FE2,))
    async with Network((example,), starts=(FE1,)) as network:
        address = network.address(FE1, LinkKind.SERVER)
        shown = tmp_path / "device.pem", tmp_path / "device.key"
        with pytest.raises((HungUpError, OSError)):
            async with await Peer.open(address, "alice@example.test", shown, protocol=CONTROL) as peer:
                await peer.silent()
        await until(lambda: bool(network.nodes[FE1].gatekeeper.refusals))
        assert network.nodes[FE1].gatekeeper.refusals[-1].code is Code.DEVICE_CERTIFICATE
        async with await Peer.open(address, FE2, network.credentials(FE2), protocol=CONTROL) as twin:
            await twin.silent()


@on_loop
async def test_device_logs_in_and_is_closed_at_each_worker(example: Organisation) -> None:
    made = {
        device: example.ca.issue_device(DeviceIdentity("sip:alice@example.test", device), datetime.now(UTC))
        for device in ("lost", "kept")
    }
    files = {
        device: Forged(one.certificate, one.key, stolen(example, "devices")).write(example.folder / "d", device)
        for device, one in made.items()
    }
    async with two_workers(example, client_auth="certificate") as two:
        address = two.network.address(FE1)
        phones: dict[str, list[Peer]] = {"lost": [], "kept": []}
        for device, links in phones.items():
            links += [await Peer.open(address, "alice@example.test", files[device]) for _ in range(COMING // 2)]
            for peer in links:
                assert (await peer.ask(peer.request("OPTIONS", "sip:example.test"))).status == 200
            for peer in links[:REGISTERED]:
                assert (await peer.register(password="wrong")).status == 200
        assert len({await two.start_of(peer) for links in phones.values() for peer in links}) == 2
        example.ca.revoke(made["lost"].certificate.serial_number, Reason.KEY_COMPROMISE, datetime.now(UTC))
        for peer in phones["lost"]:
            await peer.hung_up()
        for peer in phones["kept"]:
            assert (await peer.ask(peer.request("OPTIONS", "sip:example.test"))).status == 200
            await peer.__aexit__()


@pytest.mark.peer("postgresql")
def test_device_is_no_database_and_no_account_of_one(example: Organisation, tmp_path: Path) -> None:
    """PostgreSQL knows our root alone. The usage keeps a device from being a server, its name from being an account."""
    number = os.getpid()
    address = f"127.{number >> 16 & 0x7F | 0x40}.{number >> 8 & 0xFF}.{number & 0xFF or 1}"
    server = Forge(datetime.now(UTC)).forge(
        Wish("db", dns=("db.example.test",), usages=(SERVER_AUTH,)), stolen(example)
    )
    fake = forged(example, tmp_path, "fake", dns=("db.example.test",))
    made = example.ca.issue_device(DeviceIdentity(f"sip:{OWNER}@example.test", "desk"), datetime.now(UTC))
    device = Forged(made.certificate, made.key, stolen(example, "devices")).write(tmp_path, "device")
    account = Forge(datetime.now(UTC)).forge(Wish(OWNER, dns=("app.example.test",)), stolen(example))
    rightful = account.write(tmp_path, "account")
    for shown, is_served in ((server, True), (fake, False)):
        cluster = Cluster(listen_addresses=address, ssl="on")
        given = {
            "ssl_cert_file": ("db.pem", shown.pem_chain),
            "ssl_key_file": ("db.key", shown.pem_key),
            "ssl_ca_file": ("root.pem", example.root.read_bytes()),
            "hba_file": ("hba", b"local all all scram-sha-256\nhostssl all all all cert\n"),
        }
        cluster.set({key: str(cluster.give(*file)) for key, file in given.items()})
        with cluster:
            if is_served:
                assert logged_in(address, example.root, rightful) == ""
                assert 'certificate authentication failed for user "sipmesh"' in logged_in(
                    address, example.root, device
                )
            else:
                assert "certificate verify failed" in logged_in(address, example.root, rightful)


def logged_in(address: str, root: Path, credentials: tuple[Path, Path]) -> str:
    """Log in to the database with a certificate; returns why it failed, "" if it did not."""
    certificate, key = credentials
    try:
        psycopg.connect(
            host="db.example.test", hostaddr=address, user=OWNER, dbname="postgres", sslmode="verify-full",
            sslrootcert=str(root), sslcert=str(certificate), sslkey=str(key),
        ).close()  # fmt: skip
    except psycopg.OperationalError as wrong:
        return str(wrong)
    return ""
