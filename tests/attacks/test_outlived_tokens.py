"""Who has a one-time token whose user or server is gone, disabled or revoked: it is worth nothing for who comes next."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from sipmesh.pki.issuance.profiles import issued_at
from support.acme_client import AcmeClient, jwk, web_server
from support.console import Visitor
from support.enrolling import (
    BOT,
    BOTS,
    OTHER_BOT,
    certificates_in,
    enrol,
    enrolling,
    new_key,
    re_enrol,
    request,
    token,
    with_devices,
    write_pair,
)
from support.managed import Managed
from support.model_ports import model_port
from support.running import on_loop, until

ALICE = "alice@example.test"
LOGIN = f"{ALICE}/desk"
ANOTHER = {"user": ALICE, "password": "another person's password"}


async def device_token(network: Managed, user: str = "alice", device: str = "desk") -> str:
    """The password of a token for a device."""
    async with Visitor(network, "sona-token") as officer:
        made = await officer.ask("POST", "/api/v1/enrol", json={"user": user, "device": device})
    assert made.status == 200, made.text
    return str(made.json["password"])


async def change(network: Managed, path: str, **given: str) -> None:
    """Change a user as an operator."""
    async with Visitor(network, "sona-token") as officer:
        answer = await officer.ask("POST", f"/api/v1/user/{path}", json=given)
    assert answer.status == 200, answer.text


@pytest.mark.parametrize(
    ("ends", "back", "given"), [("remove", "add", ANOTHER), ("disable", "enable", {"user": ALICE})]
)
@on_loop
async def test_token_of_a_device_ends_with_its_user_and_the_next_user_needs_another(
    tmp_path: Path, ends: str, back: str, given: dict[str, str]
) -> None:
    async with enrolling(tmp_path, "est") as network, Visitor(network) as thief:
        await with_devices(network)
        kept, of_bob = await device_token(network), await device_token(network, "bob")
        await change(network, ends, user=ALICE)
        await change(network, back, **given)
        der = request(new_key(), common=ALICE)
        refused = await enrol(thief, LOGIN, kept, der)
        assert (refused.status, "used already" in refused.text) == (401, True), refused.text
        certificates_in(await enrol(thief, LOGIN, await device_token(network), der))
        bobs = request(new_key(), common="bob@example.test")
        certificates_in(await enrol(thief, "bob@example.test/desk", of_bob, bobs))
        withdrawn = [line for line in network.master.management_db.audit.read() if "withdrawn" in line.about]
        assert [line.about["server"] for line in withdrawn] == [LOGIN]


@on_loop
async def test_token_of_a_removed_server_does_not_count_for_a_server_that_gets_its_name(tmp_path: Path) -> None:
    async with enrolling(tmp_path, "est") as network, Visitor(network) as thief:
        kept = (await token(network))["password"]
        [pool] = [one for one in network.organisation.document["pools"] if one["name"] == BOTS]
        servers = list(pool["servers"])
        for present in (servers[1:], servers):
            pool["servers"] = present
            network.organisation.write()
            await network.publish()
        der = request(new_key())
        refused = await enrol(thief, BOT, kept, der)
        assert (refused.status, "used already" in refused.text) == (401, True), refused.text
        certificates_in(await enrol(thief, BOT, (await token(network))["password"], der))


@on_loop
async def test_order_whose_challenge_was_met_before_a_revocation_gives_no_certificate(tmp_path: Path) -> None:
    """The server was taken from the thief, who has the key of the account still."""
    port = model_port()
    async with enrolling(tmp_path, "acme", http_port=port) as network, Visitor(network) as thief:
        client = AcmeClient(thief)
        await client.register(await token(network))
        async with web_server(client, port):
            leaf = await client.certificate(new_key())
            kept = await client.validated(await client.order(BOT))
            await revoke(network, leaf)
        refused = await client.finalized(kept, request(new_key(), BOT))
        assert (refused.status, "the account is revoked" in refused.text) == (401, True), refused.text


@on_loop
async def test_acme_account_ends_with_a_certificate_of_its_name_and_a_new_token_makes_another(tmp_path: Path) -> None:
    """The thief has the machine's address and the key of the account still."""
    port = model_port()
    async with enrolling(tmp_path, "acme", http_port=port) as network, Visitor(network) as visitor:
        thief, rightful, other = AcmeClient(visitor), AcmeClient(visitor), AcmeClient(visitor)
        await thief.register(await token(network))
        await other.register(await token(network, OTHER_BOT))
        async with web_server(thief, port):
            leaf = await thief.certificate(new_key())
            await revoke(network, leaf)
            refused = await thief.order(BOT)
        assert (refused.status, "make an account with another key" in refused.text) == (401, True), refused.text
        again = await thief.post("new-account", {}, kid=None, jwk=jwk(thief.key))
        assert (again.status, "the account is revoked" in again.text) == (401, True), again.text
        assert (await other.order(OTHER_BOT)).status == 201
        await rightful.register(await token(network))
        async with web_server(rightful, port):
            assert await rightful.certificate(new_key())
        lines = [line.about for line in network.master.management_db.audit.read() if "withdrawn" in line.about]
        assert [(line["server"], line["account"]) for line in lines] == [(BOT, thief.account.rpartition("/")[2])]


@on_loop
async def test_certificate_that_is_older_than_a_revocation_of_its_name_does_not_enrol_again(tmp_path: Path) -> None:
    """The thief has renewed the certificate with a key of its own before the officer revokes the stolen one."""
    async with enrolling(tmp_path, "est") as network:
        files, stolen = await first_certificate(network, tmp_path / "stolen")
        async with Visitor(network, credentials=files) as thief:
            key = new_key()
            [renewed] = certificates_in(await re_enrol(thief, request(key)))
        mine = write_pair(made(tmp_path / "renewed"), renewed, key, *network.organisation.ca.presented)
        await second_after(renewed)
        await revoke(network, stolen)
        async with Visitor(network, credentials=mine) as thief:
            refused = await re_enrol(thief, request(new_key()))
        assert (refused.status, "was revoked after this one was issued" in refused.text) == (403, True), refused.text
        files, _ = await first_certificate(network, tmp_path / "rightful")
        async with Visitor(network, credentials=files) as rightful:
            certificates_in(await re_enrol(rightful, request(new_key())))


@on_loop
async def test_account_of_a_removed_server_does_not_count_for_a_server_that_gets_its_name(tmp_path: Path) -> None:
    async with enrolling(tmp_path, "acme") as network, Visitor(network) as visitor:
        thief, other = AcmeClient(visitor), AcmeClient(visitor)
        await thief.register(await token(network))
        await other.register(await token(network, OTHER_BOT))
        [pool] = [one for one in network.organisation.document["pools"] if one["name"] == BOTS]
        servers = list(pool["servers"])
        for present in (servers[1:], servers):
            pool["servers"] = present
            network.organisation.write()
            await network.publish()
        assert ((await thief.order(BOT)).status, (await other.order(OTHER_BOT)).status) == (401, 201)


async def revoke(network: Managed, certificate: x509.Certificate) -> None:
    """Revoke a certificate as a security officer."""
    async with Visitor(network, "sona-token") as officer:
        serial = {"serial": f"{certificate.serial_number:x}"}
        assert (await officer.ask("POST", "/api/v1/revoke", json=serial)).status == 200


async def first_certificate(network: Managed, folder: Path) -> tuple[tuple[Path, Path], x509.Certificate]:
    """Enrol by a token; gives the files and the certificate."""
    key, password = new_key(), (await token(network))["password"]
    async with Visitor(network) as visitor:
        [leaf] = certificates_in(await enrol(visitor, BOT, password, request(key)))
    return write_pair(made(folder), leaf, key, *network.organisation.ca.presented), leaf


def made(folder: Path) -> Path:
    """Make a folder."""
    folder.mkdir()
    return folder


async def second_after(certificate: x509.Certificate) -> None:
    """Wait until the second has passed in which a certificate was issued: X.509 knows whole seconds."""
    await until(lambda: datetime.now(UTC) >= issued_at(certificate) + timedelta(seconds=1))
