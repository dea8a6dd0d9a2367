"""Signed documents: what was signed comes back in its bytes, and everything else is refused in words."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, mldsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from sipmesh.demo.forge import Forge, Forged, KeyKind, Wish
from sipmesh.errors import LocalError
from sipmesh.topology.versions.jose import LARGEST, LARGEST_HEADER, MalformedDocumentError, open_signed, sign
from topology.world import NOON

KIND = "sipmesh-topology"
PAYLOAD = b'{"format":1, "what":"\xc3\xa4"}\n'
FORGE = Forge(NOON)
ISSUER = FORGE.organisation("Example")
WISH = Wish("mg1.example.test", dns=("mg1.example.test",), ends=timedelta(days=90))
SIGNER = FORGE.forge(WISH, ISSUER)
P384 = FORGE.forge(WISH, ISSUER, reuse=ec.generate_private_key(ec.SECP384R1()))
P521 = FORGE.forge(WISH, ISSUER, reuse=ec.generate_private_key(ec.SECP521R1()))
RSA = FORGE.forge(WISH, ISSUER, key=KeyKind.RSA_2048)


def ec_key(held: Forged) -> ec.EllipticCurvePrivateKey:
    assert isinstance(held.key, ec.EllipticCurvePrivateKey)
    return held.key


def b64(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")


def x5c(*held: x509.Certificate) -> list[str]:
    return [base64.b64encode(one.public_bytes(Encoding.DER)).decode() for one in held]


def rightful() -> dict[str, Any]:
    return {"alg": "ES256", "typ": KIND, "x5c": x5c(*SIGNER.chain)}


def forged(header: object, payload: bytes = PAYLOAD, key: ec.EllipticCurvePrivateKey | None = None) -> bytes:
    """A document with any header at all, rightly signed with the signer's key over SHA-256."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    signed = b64(text) + b"." + b64(payload)
    r, s = decode_dss_signature((key or ec_key(SIGNER)).sign(signed, ec.ECDSA(hashes.SHA256())))
    return signed + b"." + b64(r.to_bytes(32) + s.to_bytes(32))


def refusal(jws: bytes, kind: str = KIND, largest: int = LARGEST) -> str:
    with pytest.raises(MalformedDocumentError) as refused:
        open_signed(jws, kind, largest)
    assert str(refused.value).isascii()
    return str(refused.value)


@pytest.mark.parametrize("signer", [SIGNER, P384], ids=["P-256", "P-384"])
def test_signed_payload_is_opened_with_its_chain(signer: Forged) -> None:
    found = open_signed(sign(PAYLOAD, KIND, signer.chain, ec_key(signer)), KIND)
    assert (found.payload, found.chain, found.presented) == (PAYLOAD, signer.chain, signer.presented)
    assert repr(found) == f"<Signed {len(PAYLOAD)} octets by CN=mg1.example.test>"


def test_header_has_the_algorithm_of_the_curve_the_kind_and_the_chain_without_its_root() -> None:
    for signer, algorithm in ((SIGNER, "ES256"), (P384, "ES384")):
        encoded = sign(PAYLOAD, KIND, signer.chain, ec_key(signer)).split(b".")[0]
        header = json.loads(base64.urlsafe_b64decode(encoded + b"=" * (-len(encoded) % 4)))
        assert header == {"alg": algorithm, "typ": KIND, "x5c": x5c(*signer.chain)}


def test_document_signed_with_ml_dsa_is_opened_and_no_other_signature_counts_for_its_key() -> None:
    key = mldsa.MLDSA44PrivateKey.generate()
    signer = FORGE.forge(WISH, ISSUER, reuse=key)
    jws = sign(PAYLOAD, KIND, signer.chain, key, fencing=7)
    found = open_signed(jws, KIND)
    assert (found.payload, found.chain, found.fencing) == (PAYLOAD, signer.chain, 7)
    head, payload, signature = jws.split(b".")
    claimed = {"alg": "ES256", "typ": KIND, "x5c": x5c(*signer.chain)}
    assert "its alg is 'ES256', not ML-DSA-44" in refusal(forged(claimed))
    assert "its alg is 'ML-DSA-44', not ES256" in refusal(forged({**rightful(), "alg": "ML-DSA-44"}))
    for wrong in (
        b".".join((head, b64(b"another payload"), signature)),
        b".".join((head, payload, b64(mldsa.MLDSA44PrivateKey.generate().sign(head + b"." + payload)))),
        b".".join((head, payload, b64(b"short"))),
        forged({**claimed, "alg": "ML-DSA-44"}),
    ):
        assert "the signature of CN=mg1.example.test is not valid" in refusal(wrong)


def test_other_valid_headers_are_accepted() -> None:
    """So that what is refused below is refused for the one thing that differs."""
    assert open_signed(forged(rightful()), KIND).payload == PAYLOAD


@given(st.binary(max_size=300))
def test_payloads_are_any_bytes(payload: bytes) -> None:
    assert open_signed(sign(payload or b"x", KIND, SIGNER.chain, ec_key(SIGNER)), KIND).payload == (payload or b"x")


@given(st.data())
def test_no_octet_can_be_changed(data: st.DataObject) -> None:
    jws = forged(rightful())
    n = data.draw(st.integers(0, len(jws) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda octet: octet != jws[n]))
    refusal(jws[:n] + bytes([other]) + jws[n + 1 :])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"typ": "sipmesh-users"}, "it is a 'sipmesh-users', not a sipmesh-topology"),
        ({"typ": "SIPMESH-TOPOLOGY"}, "not a sipmesh-topology"),
        ({"typ": None}, "it is a None"),
        ({"alg": "none"}, "its alg is 'none', not ES256"),
        ({"alg": "HS256"}, "its alg is 'HS256', not ES256"),
        ({"alg": "ES384"}, "its alg is 'ES384', not ES256"),
        ({"alg": "es256"}, "its alg is 'es256', not ES256"),
        ({"alg": ["ES256"]}, "not ES256"),
        ({"crit": ["b64"], "b64": False}, "it requires ['b64'], which sipmesh does not support"),
        ({"crit": ["exp"], "exp": 1}, "it requires ['exp']"),
        ({"crit": []}, "it requires []"),
        ({"b64": False}, "'b64' is not known"),
        ({"kid": "1"}, "'kid' is not known"),
        ({"fencing": -1}, "its fencing number is -1"),
        ({"fencing": 2**53}, "its fencing number is 9007199254740992"),
        ({"fencing": True}, "its fencing number is True"),
        ({"fencing": "1"}, "its fencing number is '1'"),
        ({"jwk": {}}, "'jwk' is not known"),
        ({"x5u": "https://evil.test/"}, "'x5u' is not known"),
        ({"zip": "DEF"}, "'zip' is not known"),
        ({"x5c": []}, "not a list of 1 to 4"),
        ({"x5c": x5c(*SIGNER.chain * 3)}, "not a list of 1 to 4"),
        ({"x5c": x5c(*SIGNER.chain)[0]}, "not a list of 1 to 4"),
        ({"x5c": [1]}, "certificate 0 of its x5c is not base64"),
        ({"x5c": ["a-_b"]}, "certificate 0 of its x5c is not base64"),
        ({"x5c": ["AAAA"]}, "certificate 0 of its x5c:"),
        ({"x5c": ["A"]}, "certificate 0 of its x5c:"),
        ({"x5c": [*x5c(SIGNER.certificate), "AAAA"]}, "certificate 1 of its x5c:"),
        ({"x5c": x5c(*reversed(SIGNER.chain))}, "the signature of CN=Example issuing CA is not valid"),
        ({"x5c": x5c(P384.certificate)}, "its alg is 'ES256', not ES384"),
        ({"x5c": x5c(P521.certificate)}, "not ES256 or ES384, with a key on P-256 or P-384"),
        ({"x5c": x5c(RSA.certificate)}, "not ES256 or ES384"),
    ],
)
def test_each_changed_header_is_refused_with_a_reason(change: dict[str, Any], reason: str) -> None:
    """Each of them has a valid signature of the right key."""
    assert reason in refusal(forged({**rightful(), **change}))


def test_fencing_number_is_in_the_signed_header_and_0_if_it_is_missing() -> None:
    signed = sign(PAYLOAD, KIND, SIGNER.chain, ec_key(SIGNER), fencing=2**53 - 1)
    assert open_signed(signed, KIND).fencing == 2**53 - 1
    assert open_signed(sign(PAYLOAD, KIND, SIGNER.chain, ec_key(SIGNER)), KIND).fencing == 0


@pytest.mark.parametrize("name", ["alg", "typ", "x5c"])
def test_every_header_must_be_there(name: str) -> None:
    header = {key: value for key, value in rightful().items() if key != name}
    assert f"'{name}' is missing" in refusal(forged(header))


def test_duplicate_name_is_refused() -> None:
    """One reader would take the first, another the last (RFC 7515 4)."""
    text = json.dumps(rightful())
    assert "a name is given twice" in refusal(forged(f'{{"typ":"sipmesh-users",{text[1:]}'.encode()))


@pytest.mark.parametrize("header", [b"[]", b"1", b"{", b"\xff", b"[" * 20_000, b"NaN"])
def test_a_header_that_is_no_object_is_refused(header: bytes) -> None:
    assert "its header cannot be read" in refusal(forged(header))


@pytest.mark.parametrize(
    "change",
    [
        lambda jws: jws[:0],
        lambda jws: jws[: jws.rindex(b".")],
        lambda jws: jws[: jws.rindex(b".") + 1],
        lambda jws: jws + b".e30",
        lambda jws: jws + b"=",
        lambda jws: jws + b"\n",
        lambda jws: b" " + jws,
        lambda jws: jws.replace(b".", b"..", 1),
        lambda jws: jws.replace(b"_", b"/").replace(b"-", b"+") + b"+",
        lambda jws: b'{"payload":"' + jws + b'"}',
    ],
)
def test_what_is_not_three_parts_in_base64url_is_refused(change: Callable[[bytes], bytes]) -> None:
    assert "three parts in base64url" in refusal(change(forged(rightful())))


def test_signature_of_another_payload_or_key_is_refused() -> None:
    mine, other = forged(rightful()).split(b"."), forged(rightful(), b"{}").split(b".")
    assert "is not valid" in refusal(b".".join([mine[0], other[1], mine[2]]))
    assert "is not valid" in refusal(forged(rightful(), key=ec.generate_private_key(ec.SECP256R1())))


def test_signature_in_der_is_no_signature() -> None:
    signed = b".".join(forged(rightful()).split(b".")[:2])
    der = ec_key(SIGNER).sign(signed, ec.ECDSA(hashes.SHA256()))
    assert "is not valid" in refusal(signed + b"." + b64(der))


def test_another_spelling_of_the_same_octets_is_refused() -> None:
    """The last letter of base64url has bits to spare: a digest over the text would not be one of the document."""
    jws = forged(rightful(), b"xx")
    head, payload, tail = jws.split(b".")
    assert payload == b"eHg"
    assert "is not valid" not in refusal(b".".join([head, b"eHh", tail]))


def test_size_is_checked_before_parsing() -> None:
    jws = forged(rightful())
    assert open_signed(jws, KIND, len(jws)).payload == PAYLOAD
    assert refusal(jws, largest=len(jws) - 1).startswith(f"it has {len(jws)} octets, more than {len(jws) - 1}")
    assert "more than 8388608" in refusal(b"!" * (100 << 20))


def test_a_header_has_a_limit_of_its_own() -> None:
    assert "its header has" in refusal(b"A" * (LARGEST_HEADER + 1) + b".AAAA.AAAA")
    assert "its header cannot be read" in refusal(b"A" * LARGEST_HEADER + b".AAAA.AAAA")


def test_nothing_is_signed_with_another_key_or_on_another_curve() -> None:
    with pytest.raises(LocalError, match="first certificate"):
        sign(PAYLOAD, KIND, P384.chain, ec_key(SIGNER))
    with pytest.raises(LocalError, match="first certificate"):
        sign(PAYLOAD, KIND, (), ec_key(SIGNER))
    with pytest.raises(LocalError, match="keys on P-256 or P-384"):
        sign(PAYLOAD, KIND, P521.chain, ec_key(P521))


def test_quoted_values_are_short_and_printable() -> None:
    told = refusal(forged({**rightful(), "typ": "\x1b[2J" + "x" * 5000}))
    assert len(told) < 200
    assert "\\x1b" in told


def test_a_key_that_cannot_be_read_is_refused() -> None:
    """A certificate may hold anything for a key."""
    der = bytearray(SIGNER.certificate.public_bytes(Encoding.DER))
    point = ec_key(SIGNER).public_key().public_numbers()
    at = der.index(point.x.to_bytes(32))
    der[at] ^= 0xFF
    told = refusal(forged({**rightful(), "x5c": [base64.b64encode(bytes(der)).decode()]}))
    assert "cannot be read" in told
