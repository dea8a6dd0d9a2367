"""Devices of users enrol by EST: with the names of the user store, by a token or by their valid certificate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from sipmesh.trust.x509.device_identity import DeviceIdentity, device_identity
from support.acme_client import AcmeClient
from support.console import Answer, Visitor, management_with_console
from support.enrolling import (
    BOT,
    EST,
    applications,
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
from support.running import on_loop

ALICE = "alice@example.test"
LOGIN = f"{ALICE}/desk"


async def device_token(network: Managed, **given: Any) -> Answer:
    """Ask for a token for a device."""
    async with Visitor(network, "sona-token") as officer:
        return await officer.ask("POST", "/api/v1/enrol", json={"user": "alice", "device": "desk", **given})


@on_loop
async def test_device_enrols_with_the_names_of_the_user_store_and_renews_by_its_certificate(tmp_path: Path) -> None:
    async with enrolling(tmp_path, "est", "acme") as network, Visitor(network) as visitor:
        await with_devices(network)
        made, key = (await device_token(network)).json, new_key()
        assert (made["server"], made["acme"]) == (LOGIN, "")
        der = request(key, common=ALICE)
        [leaf] = certificates_in(await enrol(visitor, LOGIN, made["password"], der))
        assert device_identity(leaf) == DeviceIdentity(f"sip:{ALICE}", "desk")
        usages = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert list(usages) == [ExtendedKeyUsageOID.CLIENT_AUTH]
        assert (await enrol(visitor, LOGIN, made["password"], der)).status == 401
        async with Visitor(network, credentials=write_pair(tmp_path, leaf, key)) as phone:
            [again] = certificates_in(
                await re_enrol(phone, request(rsa.generate_private_key(65537, 2048), common="desk"))
            )
            assert device_identity(again) == device_identity(leaf)
            server = await re_enrol(phone, request(key, common=BOT))
            assert (server.status, BOT in server.text) == (400, True)
            async with Visitor(network, "sona-token") as officer:
                serial = {"serial": f"{leaf.serial_number:x}"}
                assert (await officer.ask("POST", "/api/v1/revoke", json=serial)).status == 200
            refused = await re_enrol(phone, der)
            assert (refused.status, "revoked" in refused.text) == (403, True)
        lines = [line for line in network.master.management_db.audit.read() if line.act == "issue"]
        assert [line.who for line in lines[-2:]] == [LOGIN, LOGIN]
        assert lines[-1].about["because"] == "its valid certificate"


@on_loop
async def test_device_gets_no_server_usage_no_other_name_and_no_server_certificate(tmp_path: Path) -> None:
    async with enrolling(tmp_path, "est", "acme") as network, Visitor(network) as visitor:
        await with_devices(network)
        made, key = (await device_token(network)).json, new_key()
        serving = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        clients = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
        for der, why in (
            (request(key, common=ALICE, extensions=[serving]), "devices have clientAuth alone"),
            (request(key, common="bob@example.test"), "bob@example.test"),
            (request(key, BOT, common=ALICE), BOT),
            (request(ec.generate_private_key(ec.SECP521R1()), common=ALICE), "is not ECDSA"),
        ):
            answer = await enrol(visitor, LOGIN, made["password"], der)
            assert (answer.status, why in answer.text) == (400, True), answer.text
        for login in (f"{ALICE}/other", "bob@example.test/desk", BOT):
            assert (await enrol(visitor, login, made["password"], request(key, common=ALICE))).status == 401
        assert (await AcmeClient(visitor).register(made)).status == 403
        uris = [x509.UniformResourceIdentifier(f"sip:{ALICE}"), x509.UniformResourceIdentifier("sipmesh-device:desk")]
        fitting = request(key, common=ALICE, extensions=[clients, x509.SubjectAlternativeName(uris)])
        [leaf] = certificates_in(await enrol(visitor, LOGIN, made["password"], fitting))
        assert leaf.public_key() == key.public_key()


@on_loop
async def test_disabled_user_and_unknown_names_get_nothing(tmp_path: Path) -> None:
    async with enrolling(tmp_path, "est") as network, Visitor(network) as visitor:
        await with_devices(network)
        made, key = (await device_token(network)).json, new_key()
        for wrong in (
            {"user": "nobody"},
            {"device": "Desk!"},
            {"device": ""},
            {"server": BOT},
            {"user": "", "device": ""},
        ):
            assert (await device_token(network, **wrong)).status == 409
        async with Visitor(network, "sona-token") as officer:
            assert (await officer.ask("POST", "/api/v1/user/disable", json={"user": ALICE})).status == 200
            refused = await enrol(visitor, LOGIN, made["password"], request(key, common=ALICE))
            assert (refused.status, "used already" in refused.text) == (401, True)
            assert (await device_token(network)).status == 409
            assert (await officer.ask("POST", "/api/v1/user/enable", json={"user": ALICE})).status == 200
        made = (await device_token(network)).json
        certificates_in(await enrol(visitor, LOGIN, made["password"], request(key, common=ALICE)))


@on_loop
async def test_certificate_of_a_device_logs_no_operator_in_and_one_of_a_server_is_no_device(tmp_path: Path) -> None:
    est = {"protocols": ["est"]}
    async with (
        management_with_console(tmp_path, applications(), enrolment=est, client_certificates=True) as network,
        Visitor(network) as visitor,
    ):
        await with_devices(network)
        made, key = (await device_token(network)).json, new_key()
        [leaf] = certificates_in(await enrol(visitor, LOGIN, made["password"], request(key, common=ALICE)))
        async with Visitor(network, credentials=write_pair(tmp_path, leaf, key)) as phone:
            assert (await phone.get("/api/v1/status")).status == 401
            assert (await phone.ask("POST", "/login/certificate")).status == 401
            assert (await re_enrol(phone, request(key, common=ALICE))).status == 200
            assert (await phone.get(f"{EST}/cacerts")).status == 200
        other = await token(network)
        [server] = certificates_in(await enrol(visitor, BOT, other["password"], request(key)))
        async with Visitor(network, credentials=write_pair(tmp_path, server, key)) as bot:
            assert (await re_enrol(bot, request(key, common=ALICE))).status == 400
            assert (await re_enrol(bot, request(key))).status == 200
