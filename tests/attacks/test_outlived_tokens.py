"""Who has a one-time token whose user or server is gone, disabled or revoked: it is worth nothing for who comes next."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.acme_client import AcmeClient, web_server
from support.console import Visitor
from support.enrolling import BOT, BOTS, certificates_in, enrol, enrolling, new_key, request, token, with_devices
from support.managed import Managed
from support.model_ports import model_port
from support.running import on_loop

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
            async with Visitor(network, "sona-token") as officer:
                serial = {"serial": f"{leaf.serial_number:x}"}
                assert (await officer.ask("POST", "/api/v1/revoke", json=serial)).status == 200
        refused = await client.finalized(kept, request(new_key(), BOT))
        assert (refused.status, "was revoked after this order" in refused.text) == (403, True), refused.text
        async with web_server(client, port):
            assert await client.certificate(new_key())
