"""EST and ACME with keys of ML-DSA-44, below such a CA and below one of P-256, over real TLS."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA65PrivateKey, MLDSA87PrivateKey

from server.enrolment.acme.test_order_requests import kind
from server.enrolment.test_device_enrolment import ALICE, LOGIN, device_token
from sipmesh.cli.ca.key_algorithm import FIRST
from sipmesh.pki.keys.algorithm import KeyAlgorithm
from support.acme_client import AcmeClient, web_server
from support.console import Visitor
from support.enrolling import (
    BOT,
    EST,
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
from support.model_ports import model_port
from support.running import on_loop

pytestmark = pytest.mark.skipif(ssl.OPENSSL_VERSION_INFO < FIRST, reason="the OpenSSL of this Python has no ML-DSA")
CAS = pytest.mark.parametrize("algorithm", [KeyAlgorithm.P_256, KeyAlgorithm.ML_DSA_44])
LARGER = (MLDSA65PrivateKey, MLDSA87PrivateKey)


@CAS
@on_loop
async def test_server_enrols_and_renews_by_est_with_a_key_of_ml_dsa_44_and_with_no_larger_one(
    tmp_path: Path, algorithm: KeyAlgorithm
) -> None:
    """The key in the request counts, and not that of the CA."""
    async with enrolling(tmp_path, "est", algorithm=algorithm) as network, Visitor(network) as visitor:
        made, key = await token(network), MLDSA44PrivateKey.generate()
        for larger in LARGER:
            refused = await enrol(visitor, BOT, made["password"], request(larger.generate()))
            assert (refused.status, "is not ECDSA on P-256 or P-384, or ML-DSA-44" in refused.text) == (400, True)
        [leaf] = certificates_in(await enrol(visitor, BOT, made["password"], request(key)))
        issuers = certificates_in(await visitor.get(f"{EST}/cacerts"))
        leaf.verify_directly_issued_by(next(one for one in issuers if one.subject == leaf.issuer))
        assert leaf.public_key() == key.public_key()
        async with Visitor(network, credentials=write_pair(tmp_path, leaf, key, *issuers)) as bot:
            assert (await re_enrol(bot, request(MLDSA65PrivateKey.generate()))).status == 400
            [weaker] = certificates_in(await re_enrol(bot, request(new_key())))
            [next_one] = certificates_in(await re_enrol(bot, request(MLDSA44PrivateKey.generate())))
        kinds = [KeyAlgorithm.of(one.public_key()) for one in (weaker, next_one)]
        assert kinds == [KeyAlgorithm.P_256, KeyAlgorithm.ML_DSA_44]


@CAS
@on_loop
async def test_order_of_acme_is_finished_with_a_key_of_ml_dsa_44_and_with_no_larger_one(
    tmp_path: Path, algorithm: KeyAlgorithm
) -> None:
    port = model_port()
    async with (
        enrolling(tmp_path, "acme", http_port=port, algorithm=algorithm) as network,
        Visitor(network) as visitor,
    ):
        client, key = AcmeClient(visitor), MLDSA44PrivateKey.generate()
        await client.register(await token(network))
        async with web_server(client, port):
            order = await client.validated(await client.order(BOT))
        for larger in LARGER:
            assert kind(await client.finalized(order, request(larger.generate(), BOT))) == "badPublicKey"
        done = await client.finalized(order, request(key, BOT))
        assert done.json["status"] == "valid"
        chain = x509.load_pem_x509_certificates((await client.post(done.json["certificate"])).text.encode())
        chain[0].verify_directly_issued_by(chain[1])
        assert chain[0].public_key() == key.public_key()


@on_loop
async def test_device_below_a_ca_of_ml_dsa_has_a_key_that_phones_can_use(tmp_path: Path) -> None:
    async with enrolling(tmp_path, "est", algorithm=KeyAlgorithm.ML_DSA_44) as network, Visitor(network) as visitor:
        await with_devices(network)
        made = (await device_token(network)).json
        refused = await enrol(visitor, LOGIN, made["password"], request(MLDSA44PrivateKey.generate(), common=ALICE))
        assert (refused.status, "is not ECDSA on P-256 or P-384, or RSA" in refused.text) == (400, True)
        [leaf] = certificates_in(await enrol(visitor, LOGIN, made["password"], request(new_key(), common=ALICE)))
        assert isinstance(leaf.public_key(), ec.EllipticCurvePublicKey)
