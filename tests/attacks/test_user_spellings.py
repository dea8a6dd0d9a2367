"""A user who is disabled or removed under another spelling of the address: all devices end, as under the own spelling."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.server.management.device_certificates import device_certificates
from support.console import Visitor
from support.enrolling import certificates_in, enrol, enrolling, new_key, re_enrol, request, with_devices, write_pair
from support.managed import MGMT
from support.running import on_loop
from support.tiers import wide_after

ALICE, BOB = "alice@example.test", "bob@example.test"


@pytest.mark.parametrize(
    "spelled", wide_after(2, ["%61lice@example.test", "sip:ALICE@Example.Test", "sip:alice@example.test", ALICE])
)
@pytest.mark.parametrize("path", ["disable", "remove"])
@on_loop
async def test_certificates_and_tokens_end_with_their_user_in_each_spelling(
    tmp_path: Path, spelled: str, path: str
) -> None:
    async with enrolling(tmp_path, "est") as network, Visitor(network, "sona-token") as officer:
        await with_devices(network)

        async def token_of(user: str, device: str) -> str:
            made = await officer.ask("POST", "/api/v1/enrol", json={"user": user, "device": device})
            return str(made.json["password"])

        kept, key = {}, new_key()
        async with Visitor(network) as phone:
            for user in (ALICE, BOB):
                secret = await token_of(user, "desk")
                [kept[user]] = certificates_in(await enrol(phone, f"{user}/desk", secret, request(key, common=user)))
            unused = await token_of(ALICE, "car")
            answer = await officer.ask("POST", f"/api/v1/user/{path}", json={"user": spelled})
            assert (answer.status, "1 of the user's devices revoked" in answer.json["what"]) == (200, True), answer.text
            refused = await enrol(phone, f"{ALICE}/car", unused, request(key, common=ALICE))
            assert refused.status == 401
        generations = CaGenerations(network.folder(MGMT) / "ca")
        states = {
            user: [str(one.state) for one in device_certificates(generations, user, datetime.now(UTC))] for user in kept
        }
        assert states == {ALICE: ["revoked"], BOB: ["valid"]}
        for user, status in ((ALICE, 403), (BOB, 200)):
            async with Visitor(network, credentials=write_pair(tmp_path, kept[user], key)) as device:
                assert (await re_enrol(device, request(key, common=user))).status == status
