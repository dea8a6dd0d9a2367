"""A device that is lost, revoked by each command of an operator; and devices while no server can read the users."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography import x509

from sipmesh.trust.code import Code
from sipmesh.trust.evidence import LinkKind
from support.managed import MGMT, Managed
from support.management_with_invitations import (
    invite,
    invitee,
    management_with_invitations,
    with_certificates,
)
from support.network import FE1
from support.peer import HungUpError, Peer
from support.running import on_loop, until

Credentials = tuple[Path, Path]
DEVICES = (("alice", "desk"), ("alice", "mobile"), ("bob", "desk"))


@asynccontextmanager
async def with_devices(folder: Path) -> AsyncIterator[tuple[Managed, dict[tuple[str, str], Credentials]]]:
    """Management, whose front end runs in another folder, and the certificates that devices got by their invitations."""
    async with management_with_invitations(folder) as network, invitee(network) as person:
        await with_certificates(network)
        made = dict[tuple[str, str], Credentials]()
        for user, device in DEVICES:
            link = await invite(network, user, certificate=True, device=device)
            given = json.loads((await person.take(link, "json")).text)["account"]["client_certificate"]
            made[user, device] = files = folder / f"{user}-{device}.pem", folder / f"{user}-{device}.key"
            for file, part in zip(files, ("chain_pem", "key_pem"), strict=True):
                file.write_text(given[part])
        yield network, made


async def phone(network: Managed, user: str, credentials: Credentials | None) -> Peer:
    address = network.organisation.address(FE1, LinkKind.CLIENT)
    return await Peer.open(address, f"{user}@example.test", credentials)


async def registers(peer: Peer) -> int:
    """Register without a password; returns the status."""
    return (await peer.ask(peer._register(()))).status


def serial(credentials: Credentials) -> str:
    return f"{x509.load_pem_x509_certificates(credentials[0].read_bytes())[0].serial_number:x}"


COMMANDS: dict[str, tuple[tuple[str, ...], set[tuple[str, str]]]] = {
    "the device": (("user", "devices", "alice", "--revoke", "desk"), {("alice", "desk")}),
    "the certificate": (("ca", "revoke", "--serial", "SERIAL"), {("alice", "desk")}),
    "all of a user": (("ca", "revoke", "alice@example.test"), {("alice", "desk"), ("alice", "mobile")}),
    "the user": (("user", "remove", "alice"), {("alice", "desk"), ("alice", "mobile")}),
}


@pytest.mark.parametrize("what", COMMANDS)
@on_loop
async def test_command_of_the_operator_closes_the_lost_devices_and_no_others(tmp_path: Path, what: str) -> None:
    """The front end has the CRL from management alone. What is revoked does not come back; the others do."""
    command, lost = COMMANDS[what]
    async with with_devices(tmp_path) as (network, made):
        await network.start(FE1)
        await until(lambda: network.nodes[FE1].users.ready)
        peers = {key: await phone(network, key[0], made[key]) for key in made}
        for peer in peers.values():
            assert await registers(peer) == 200
        await network.type(*(serial(made["alice", "desk"]) if word == "SERIAL" else word for word in command))
        for key, peer in peers.items():
            if key in lost:
                await peer.hung_up()
            else:
                assert await registers(peer) == 200
            await peer.__aexit__()
        gatekeeper = network.nodes[FE1].gatekeeper
        for key in made:
            before = len(list(gatekeeper.refused()))
            if key not in lost:
                async with await phone(network, key[0], made[key]) as again:
                    assert await registers(again) == 200
                continue
            with pytest.raises((HungUpError, OSError)):
                async with await phone(network, key[0], made[key]) as again:
                    await registers(again)
            await until(lambda before=before: len(list(gatekeeper.refused())) > before)  # type: ignore[misc]
            assert next(iter(gatekeeper.refused())).code is Code.REVOKED


@on_loop
async def test_device_is_served_by_a_front_end_that_no_users_have_reached(tmp_path: Path) -> None:
    """Management is stopped before the front end starts for the first time. Once it is back, the password counts too."""
    async with with_devices(tmp_path) as (network, made):
        await network.stop(MGMT)
        await network.start(FE1)
        async with await phone(network, "alice", None) as by_password:
            assert await registers(by_password) == 503
        async with await phone(network, "alice", made["alice", "desk"]) as device:
            assert await registers(device) == 200
            await network.start(MGMT)
            await until(lambda: network.nodes[FE1].users.ready)
            assert await registers(device) == 200
        async with await phone(network, "alice", None) as by_password:
            assert (await by_password.register()).status == 200
