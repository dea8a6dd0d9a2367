"""A signing request may ask only for what the CA gives anyway."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, mldsa, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from sipmesh.pki.enrolment_request import LARGEST, UnfitRequestError, requested_device_key, requested_key
from support.enrolling import BOT, BOTS, new_key, request

NAMES = (BOT, BOTS)
KEY = new_key()
USAGES = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])


def usage(**more: bool) -> x509.KeyUsage:
    bits = dict.fromkeys(
        (
            "digital_signature",
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    return x509.KeyUsage(**{**bits, "digital_signature": True, **more})


@pytest.mark.parametrize(
    "der",
    [
        request(KEY),
        request(KEY, BOT, common=""),
        request(KEY, *NAMES, extensions=[x509.BasicConstraints(ca=False, path_length=None), usage(), USAGES]),
        request(KEY, extensions=[x509.SubjectKeyIdentifier.from_public_key(KEY.public_key())]),
        request(
            KEY,
            common=BOT.upper(),
            extensions=[x509.SubjectAlternativeName([x509.UniformResourceIdentifier(f"sip:{BOTS}")])],
        ),
    ],
)
def test_request_for_no_more_than_the_profile_gives_its_key(der: bytes) -> None:
    assert requested_key(der, NAMES) == KEY.public_key()


@pytest.mark.parametrize(
    ("der", "why"),
    [
        (request(KEY, common="fe1.example.test"), "asks for 'fe1.example.test'; it may name bot"),
        (request(KEY, f"*.{BOT}"), "asks for '\\*.bot1"),
        (request(KEY, common=""), "has no name"),
        (request(KEY, extensions=[x509.BasicConstraints(ca=True, path_length=0)]), "a CA certificate"),
        (request(KEY, extensions=[usage(key_cert_sign=True)]), "key usage other than digitalSignature"),
        (
            request(KEY, extensions=[x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])]),
            "asks for the usage",
        ),
        (request(KEY, extensions=[x509.OCSPNoCheck()]), "asks for the extension 1.3.6.1.5.5.7.48.1.5"),
        (
            request(KEY, extensions=[x509.SubjectAlternativeName([x509.RFC822Name(f"a@{BOT}")])]),
            "asks for 'RFC822Name a@bot1",
        ),
        (
            request(KEY, extensions=[x509.SubjectAlternativeName([x509.UniformResourceIdentifier(f"https://{BOT}")])]),
            "asks for 'https:",
        ),
        (b"\x30\x00", "cannot be read"),
        (b"\x00" * (LARGEST + 1), "larger than 8192 octets"),
        (request(KEY)[:-3] + b"\x00\x00\x00", "not signed with its own key"),
    ],
)
def test_request_for_anything_else_is_refused_with_the_reason(der: bytes, why: str) -> None:
    with pytest.raises(UnfitRequestError, match=why) as refused:
        requested_key(der, NAMES)
    assert not refused.value.is_key


@pytest.mark.parametrize("key", [rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP521R1())])
def test_key_of_another_type_is_refused(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> None:
    with pytest.raises(UnfitRequestError, match="not ECDSA on P-256 or P-384") as refused:
        requested_key(request(key), NAMES)
    assert refused.value.is_key
    p384 = ec.generate_private_key(ec.SECP384R1())
    assert requested_key(request(p384), NAMES) == p384.public_key()


def test_server_may_have_a_key_of_ml_dsa_44_and_of_no_other_set() -> None:
    key = mldsa.MLDSA44PrivateKey.generate()
    assert requested_key(request(key), NAMES) == key.public_key()
    with pytest.raises(UnfitRequestError) as refused:
        requested_key(request(mldsa.MLDSA65PrivateKey.generate()), NAMES)
    assert refused.value.is_key


def test_device_may_have_an_rsa_key_and_asks_for_client_auth_alone() -> None:
    small, large = (rsa.generate_private_key(65537, bits) for bits in (2048, 4104))
    clients = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    for key in (KEY, small):
        assert requested_device_key(request(key, extensions=[clients]), NAMES) == key.public_key()
    with pytest.raises(UnfitRequestError, match="devices have clientAuth alone"):
        requested_device_key(request(KEY, extensions=[USAGES]), NAMES)
    with pytest.raises(UnfitRequestError, match="RSA of 2048 to 4096 bits"):
        requested_device_key(request(large), NAMES)
