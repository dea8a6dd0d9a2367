"""EST over real TLS: each attack with the valid request beside it."""

from __future__ import annotations

import base64
import math
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from sipmesh.pki.issuance.profiles import LEAF_LIFETIME
from sipmesh.server.enrolment.enrolment_issuer import MOST_A_DAY
from sipmesh.server.enrolment.est import CSR_ATTRIBUTES, FAILURES_A_MINUTE, LARGEST
from sipmesh.server.process import request_rate
from sipmesh.storage.enrolment.enrolment_tokens import MOST_OPEN_OF_NAME
from sipmesh.topology.view import certificate_names
from support.console import Visitor, operator_credentials
from support.enrolling import (
    BOT,
    BOTS,
    EST,
    OTHER_BOT,
    PKCS10,
    basic,
    certificates_in,
    enrol,
    enrolling,
    new_key,
    re_enrol,
    request,
    token,
    write_pair,
)
from support.managed import MGMT, Managed
from support.network import FE1
from support.running import on_loop


def dns_names(certificate: x509.Certificate) -> list[str]:
    return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(
        x509.DNSName
    )


async def enrolled(network: Managed, folder: Path, name: str = BOT) -> tuple[Path, Path]:
    """Enrol *name* by a token; gives the files of its certificate and key."""
    made, key = await token(network, name), new_key()
    async with Visitor(network) as visitor:
        [leaf] = certificates_in(await enrol(visitor, name, made["password"], request(key, common=name)))
        issuers = certificates_in(await visitor.get(f"{EST}/cacerts"))
    return write_pair(folder, leaf, key, *issuers)


@on_loop
async def test_token_enrols_once_with_the_names_of_the_topology(tmp_path: Path) -> None:
    async with enrolling(tmp_path, "est") as network, Visitor(network) as visitor:
        made, key = await token(network), new_key()
        assert made["est"].endswith(EST)
        assert made["acme"] == ""
        [leaf] = certificates_in(await enrol(visitor, BOT, made["password"], request(key)))
        assert dns_names(leaf) == [BOT, BOTS]
        assert leaf.public_key() == key.public_key()
        lines = network.master.management_db.audit.read()
        token_line, issued = [line for line in lines if line.act in {"enrol", "issue"}][-2:]
        assert (token_line.who, token_line.about["server"]) == ("sona (API)", BOT)
        assert (issued.who, issued.about["serial"]) == (BOT, f"{leaf.serial_number:x}")
        assert made["password"] not in str([line.about for line in lines])
        again = await enrol(visitor, BOT, made["password"], request(new_key()))
        assert (again.status, "used already" in again.text) == (401, True)


@on_loop
async def test_guessed_token_and_token_of_another_name_enrol_no_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_rate, "WINDOW_S", math.inf)
    async with enrolling(tmp_path, "est") as network, Visitor(network) as visitor:
        made = await token(network)
        for name, password in ((BOT, "guess"), (OTHER_BOT, made["password"]), ("nobody.test", "x"), (BOT, "")):
            answer = await enrol(visitor, name, password, request(new_key(), common=name))
            assert (answer.status, answer.text) == (401, "the name and the token do not match\n")
            assert answer.headers["WWW-Authenticate"].startswith("Basic ")
        for _ in range(FAILURES_A_MINUTE - 4):
            assert (await enrol(visitor, BOT, "guess", request(new_key()))).status == 401
        assert (await enrol(visitor, BOT, "guess", request(new_key()))).status == 429
        certificates_in(await enrol(visitor, BOT.upper(), made["password"], request(new_key())))
        assert network.told[MGMT].events("enrolment refused")


@on_loop
async def test_late_token_enrols_no_server(tmp_path: Path) -> None:
    async with enrolling(tmp_path, "est") as network, Visitor(network) as visitor:
        made, clock = await token(network, hours=2), network.nodes[MGMT].gatekeeper.clock
        tokens = network.master.management_db.enrolment_tokens
        [row] = tokens.open_tokens(clock().timestamp())
        late = clock() + timedelta(hours=2, seconds=1)
        with pytest.raises(Exception, match="has expired"):
            tokens.of_secret(BOT, made["password"].encode(), late.timestamp())
        with pytest.raises(Exception, match="has expired"):
            tokens.spend(row, late.timestamp())
        certificates_in(await enrol(visitor, BOT, made["password"], request(new_key())))


ASKED: dict[str, tuple[dict[str, Any], str]] = {
    "another server's name": ({"common": FE1}, FE1),
    "another server's name beside": ({"names": (BOT, FE1)}, FE1),
    "a wildcard": ({"names": (f"*.{BOT}",)}, f"*.{BOT}"),
    "a SIP domain": ({"names": ("example.test",)}, "example.test"),
    "no name": ({"common": ""}, "has no name"),
    "a CA": ({"extensions": [x509.BasicConstraints(ca=True, path_length=None)]}, "asks for a CA certificate"),
    "a usage": ({"extensions": [x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING])]}, "asks for the usage"),
    "an extension": ({"extensions": [x509.TLSFeature([x509.TLSFeatureType.status_request])]}, "which the CA does not"),
}


@on_loop
async def test_request_that_asks_for_more_than_the_topology_gives_is_refused_with_the_reason(tmp_path: Path) -> None:
    async with enrolling(tmp_path, "est") as network, Visitor(network) as visitor:
        made, key = await token(network), new_key()
        for what, (asked, why) in ASKED.items():
            given = dict(asked)
            der = request(key, *given.pop("names", ()), **given)
            answer = await enrol(visitor, BOT, made["password"], der)
            assert (answer.status, why in answer.text) == (400, True), (what, answer.text)
        large_rsa = request(rsa.generate_private_key(65537, 2048))
        answer = await enrol(visitor, BOT, made["password"], large_rsa)
        assert (answer.status, "not ECDSA" in answer.text) == (400, True)
        usages = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        fitting = request(key, BOT, BOTS, extensions=[x509.BasicConstraints(ca=False, path_length=None), usages])
        certificates_in(await enrol(visitor, BOT, made["password"], fitting))


@on_loop
async def test_valid_certificate_enrols_again_and_a_revoked_one_does_not(tmp_path: Path) -> None:
    async with enrolling(tmp_path, "est") as network:
        files = await enrolled(network, tmp_path)
        old = x509.load_pem_x509_certificate(files[0].read_bytes())
        async with Visitor(network, credentials=files) as bot:
            [new] = certificates_in(await re_enrol(bot, request(new_key(), *dns_names(old))))
            assert dns_names(new) == dns_names(old)
            other = await re_enrol(bot, request(new_key(), common=OTHER_BOT))
            assert (other.status, OTHER_BOT in other.text) == (400, True)
            async with Visitor(network, "sona-token") as officer:
                revoked = await officer.ask("POST", "/api/v1/revoke", json={"serial": f"{old.serial_number:x}"})
                assert revoked.status == 200
            refused = await re_enrol(bot, request(new_key()))
            assert (refused.status, "revoked" in refused.text) == (403, True)


@on_loop
async def test_certificate_of_an_operator_or_of_management_or_none_does_not_enrol_again(tmp_path: Path) -> None:
    async with enrolling(tmp_path, "est") as network:
        for credentials in (None, operator_credentials(network, "otto", tmp_path), network.credentials(MGMT)):
            async with Visitor(network, credentials=credentials) as visitor:
                assert (await re_enrol(visitor, request(new_key()))).status == 403
        async with Visitor(network, credentials=network.credentials(FE1)) as front_end:
            [leaf] = certificates_in(await re_enrol(front_end, request(new_key(), common=FE1)))
            topology = network.nodes[MGMT].view.loaded.topology
            assert dns_names(leaf) == list(certificate_names(topology, FE1))
            assert leaf.not_valid_after_utc - leaf.not_valid_before_utc >= LEAF_LIFETIME


@on_loop
async def test_operator_certificate_does_not_log_in_when_only_est_asks_for_it(tmp_path: Path) -> None:
    async with enrolling(tmp_path, "est") as network:
        credentials = operator_credentials(network, "otto", tmp_path)
        async with Visitor(network, credentials=credentials) as otto:
            assert (await otto.get("/api/v1/status")).status == 401


@on_loop
async def test_malformed_and_large_requests_are_refused(tmp_path: Path) -> None:
    async with enrolling(tmp_path, "est") as network, Visitor(network) as visitor:
        made = await token(network)
        headers = {**PKCS10, **basic(BOT, made["password"])}
        for body, status in ((b"!", 400), (b"A" * (LARGEST + 1), 413), (base64.b64encode(b"\x30\x00"), 400)):
            answer = await visitor.ask("POST", f"{EST}/simpleenroll", data=body, headers=headers)
            assert answer.status == status
        assert (await visitor.ask("POST", f"{EST}/simpleenroll", data=b"", headers=basic(BOT, "x"))).status == 415
        assert (await visitor.ask("POST", f"{EST}/simpleenroll", headers=PKCS10)).status == 401
        certificates_in(await enrol(visitor, BOT, made["password"], request(new_key())))


@on_loop
async def test_name_gets_a_bounded_number_of_tokens_and_certificates(tmp_path: Path) -> None:
    async with enrolling(tmp_path, "est") as network:
        files = await enrolled(network, tmp_path)
        async with Visitor(network, credentials=files) as bot, Visitor(network, "sona-token") as officer:
            for _ in range(MOST_A_DAY - 1):
                certificates_in(await re_enrol(bot, request(new_key())))
            refused = await re_enrol(bot, request(new_key()))
            assert (refused.status, "in a day" in refused.text) == (429, True)
            for _ in range(MOST_OPEN_OF_NAME):
                await token(network)
            surplus = await officer.ask("POST", "/api/v1/enrol", json={"server": BOT})
            assert (surplus.status, "has 4 tokens already" in surplus.text) == (409, True)
            await token(network, OTHER_BOT)


@on_loop
async def test_only_a_security_officer_makes_a_token_and_for_a_known_name_alone(tmp_path: Path) -> None:
    async with enrolling(tmp_path, "est") as network:
        async with Visitor(network, "otto-token") as operator:
            assert (await operator.ask("POST", "/api/v1/enrol", json={"server": BOT})).status == 403
        async with Visitor(network, "sona-token") as officer:
            for name, why in (("evil.test", "is not a server of the topology"), (MGMT, "is a management server")):
                answer = await officer.ask("POST", "/api/v1/enrol", json={"server": name})
                assert (answer.status, why in answer.text) == (409, True)


@on_loop
async def test_ca_certificates_and_attributes_need_no_proof_and_are_gone_without_the_setting(tmp_path: Path) -> None:
    async with enrolling(tmp_path, "est") as network, Visitor(network) as visitor:
        found = certificates_in(await visitor.get(f"{EST}/cacerts"))
        assert network.nodes[MGMT].view.loaded.authority.anchors[0] in found
        attributes = await visitor.get(f"{EST}/csrattrs")
        assert base64.b64decode(attributes.text) == CSR_ATTRIBUTES
        await network.publish(lambda document: document["console"].pop("enrolment"))
        assert (await visitor.get(f"{EST}/cacerts")).status == 404
        assert (await enrol(visitor, BOT, "x", request(new_key()))).status == 404
