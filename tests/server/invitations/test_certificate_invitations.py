"""Invitations that give a certificate in place of a password: over real TLS, each attack beside the valid request."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from sipmesh.pki.ca_rotation import CaGenerations
from sipmesh.pki.crl.builder import Reason
from sipmesh.server.management.revoking import is_listed
from sipmesh.trust.x509.device_identity import DeviceIdentity, device_identity
from support.console import Visitor
from support.invited import Answer
from support.managed import Managed
from support.management_with_invitations import (
    devices,
    invite,
    invitee,
    management_with_invitations,
    with_certificates,
)
from support.network import FE1
from support.running import on_loop

RACERS = 4


def account_in(answer: Answer) -> dict[str, Any]:
    """The file with the account, as JSON."""
    assert answer.status == 200, answer.text
    found: dict[str, Any] = json.loads(answer.text)
    return found


def leaf_in(answer: Answer) -> x509.Certificate:
    """The certificate in the file, with its key."""
    found = account_in(answer)["account"]["client_certificate"]
    leaf, issuer = x509.load_pem_x509_certificates(found["chain_pem"].encode())
    leaf.verify_directly_issued_by(issuer)
    key, form = load_pem_private_key(found["key_pem"].encode(), None), (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert key.public_key().public_bytes(*form) == leaf.public_key().public_bytes(*form)
    return leaf


def is_revoked(network: Managed, leaf: x509.Certificate) -> bool:
    """Tell whether the CRL lists the certificate."""
    return is_listed(CaGenerations(network.organisation.folder / "ca"), leaf.serial_number)


@on_loop
async def test_device_gets_a_certificate_of_its_user_and_no_password_once(tmp_path: Path) -> None:
    async with management_with_invitations(tmp_path) as network, invitee(network) as alice:
        await with_certificates(network)
        link = await invite(network, certificate=True, device="desk")
        assert "web phone" not in (await alice.get(link)).text
        assert (await alice.take(link, "web")).status == 400
        taken = await alice.take(link, "json")
        assert device_identity(leaf_in(taken)) == DeviceIdentity("sip:alice@example.test", "desk")
        found = account_in(taken)
        assert ("password" in taken.text, [one["host"] for one in found["servers"]]) == (False, [FE1])
        assert (await alice.take(link, "json")).status == 404
        lines = [(line.act, line.about.get("device")) for line in network.master.management_db.audit.read()]
        assert lines[-2:] == [("issue", "desk"), ("device", "desk")]


@on_loop
async def test_of_requests_at_the_same_instant_one_gets_a_certificate(tmp_path: Path) -> None:
    async with management_with_invitations(tmp_path) as network, invitee(network) as client:
        await with_certificates(network)
        link = await invite(network, certificate=True)
        before = len(network.organisation.ca.certificates)
        answers = await asyncio.gather(*(client.take(link, "json") for _ in range(RACERS)))
        assert sorted(answer.status for answer in answers) == [200, 404, 404, 404]
        assert len(network.organisation.ca.certificates) == before + 1


@pytest.mark.parametrize(
    "given", [{"remote": True}, {"client": "web"}, {"client": "yealink", "mac": "00:15:65:aa:bb:cc"}]
)
@on_loop
async def test_certificate_is_for_softphones_at_their_home_pool(tmp_path: Path, given: dict[str, Any]) -> None:
    async with management_with_invitations(tmp_path) as network, Visitor(network, "otto-token") as operator:
        await with_certificates(network)
        asked = {"user": "alice", "certificate": True, **given}
        refused = await operator.ask("POST", "/api/v1/user/invite", json=asked)
        assert (refused.status, "a certificate is for softphones" in refused.text) == (409, True)
        assert await invite(network, certificate=True, client="json")


@on_loop
async def test_no_certificate_is_promised_where_no_front_end_takes_it(tmp_path: Path) -> None:
    async with management_with_invitations(tmp_path) as network, Visitor(network, "otto-token") as operator:
        refused = await operator.ask("POST", "/api/v1/user/invite", json={"user": "alice", "certificate": True})
        assert (refused.status, "takes certificates of devices; set client_auth" in refused.text) == (409, True)


@on_loop
async def test_invitation_stays_open_while_the_ca_cannot_sign(tmp_path: Path) -> None:
    """The person sees no reason, and tries again later."""
    async with management_with_invitations(tmp_path) as network, invitee(network) as alice:
        await with_certificates(network)
        link, key = await invite(network, certificate=True), network.organisation.folder / "ca" / "devices.key"
        key.rename(key.with_suffix(".away"))
        refused = await alice.take(link, "json")
        assert (refused.status, "devices.key" in refused.text) == (503, False)
        assert await devices(network) == []
        key.with_suffix(".away").rename(key)
        assert leaf_in(await alice.take(link, "json"))


@pytest.mark.parametrize("end", ["device", "disable", "remove"])
@on_loop
async def test_certificate_ends_with_its_device_and_its_user_and_that_of_others_stays(tmp_path: Path, end: str) -> None:
    async with management_with_invitations(tmp_path) as network, invitee(network) as client:
        await with_certificates(network)
        mine, other = [
            leaf_in(await client.take(await invite(network, user, certificate=True, device="desk"), "json"))
            for user in ("alice", "bob")
        ]
        path, given = ("user/device/revoke", {"device": "desk"}) if end == "device" else (f"user/{end}", {})
        async with Visitor(network, "otto-token") as operator:
            answer = await operator.ask("POST", f"/api/v1/{path}", json={"user": "alice", **given})
        assert answer.status == 200, answer.text
        assert (is_revoked(network, mine), is_revoked(network, other)) == (True, False)


@on_loop
async def test_device_of_the_same_name_gets_another_name(tmp_path: Path) -> None:
    """So to revoke one of them does not revoke the other."""
    async with management_with_invitations(tmp_path) as network, invitee(network) as alice:
        await with_certificates(network)
        names = []
        for certificate in (False, True, True):
            taken = await alice.take(await invite(network, certificate=certificate), "json")
            names.append(account_in(taken)["device"])
        assert names == ["json", "json-2", "json-3"] == await devices(network)
        network.organisation.ca.revoke(leaf_in(taken).serial_number, Reason.KEY_COMPROMISE, datetime.now(UTC))
