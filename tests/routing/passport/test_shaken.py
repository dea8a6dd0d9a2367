"""Tokens about numbers: their form, their signature, and the call that they are of."""

from __future__ import annotations

import time

import pytest

from sipmesh.demo.forge import KeyKind
from sipmesh.errors import RemoteError
from sipmesh.routing.passport.shaken import DIV, LARGEST, SHAKEN, attest_of, read_token, write_token
from support.number_signer import NumberSigner, token

URL, CALLER, CALLEE, OTHER = "https://certs.test/a.pem", "+491705550100", "+493012345", "+493012346"
SIGNERS = NumberSigner()
SIGNER = SIGNERS.signer()


def now() -> int:
    """The seconds of now, as a token has them."""
    return int(time.time())


def field(**changes: object) -> str:
    return token(SIGNER, URL, CALLER, CALLEE, **changes)  # type: ignore[arg-type]  # the changes of one test each


def test_token_says_who_calls_whom_and_where_its_certificate_is() -> None:
    read = read_token(field())
    read.must_be_of(SIGNER.certificate.public_key())
    assert (read.kind, read.url, read.orig, read.dest) == (SHAKEN, URL, CALLER[1:], frozenset({CALLEE[1:]}))
    assert attest_of([read], CALLER, CALLEE, now()).attest == "A"


@pytest.mark.parametrize(
    ("value", "status"),
    [
        (field(header={"alg": "none"}), 438),
        (field(header={"alg": "HS256"}), 438),
        (field(header={"alg": "ES384"}), 438),
        (field(header={"typ": "JWT"}), 438),
        (field(header={"ppt": "rph"}), 438),
        (field(header={"crit": ["ppt"]}), 438),
        (field(header={"jwk": {}}), 438),
        (field(header={"x5u": 7}), 438),
        (field(info="https://certs.test/b.pem"), 436),
        (field().replace(";alg=ES256", ";alg=none"), 438),
        (field().replace('ppt="shaken"', "ppt=div"), 438),
        (field(claims={"orig": {"tn": 7}}), 438),
        (field(claims={"orig": {"uri": "sip:a@b"}}), 438),
        (field(claims={"orig": {"tn": "+49"}}), 438),
        (field(claims={"dest": {"tn": []}}), 438),
        (field(claims={"dest": {"tn": ["1"] * 17}}), 438),
        (field(claims={"iat": "now"}), 438),
        (field(claims={"iat": True}), 438),
        (field(claims={"attest": "D"}), 438),
        (field(header={"ppt": "div"}), 438),
        ("x" * (LARGEST + 1), 438),
        ("a.b.c", 438),
        ("", 438),
    ],
)
def test_token_in_another_form_is_refused(value: str, status: int) -> None:
    with pytest.raises(RemoteError) as refused:
        read_token(value)
    assert refused.value.status == status


def test_signature_of_another_key_or_another_curve_is_refused() -> None:
    read = read_token(field())
    for key in (
        SIGNERS.signer(key=KeyKind.RSA_2048).certificate.public_key(),
        NumberSigner().signer().certificate.public_key(),
    ):
        with pytest.raises(RemoteError):
            read.must_be_of(key)


def test_token_of_another_call_is_refused() -> None:
    read = read_token(field())
    for caller, callee, at in ((OTHER, CALLEE, now()), (CALLER, OTHER, now()), (CALLER, CALLEE, now() + 90)):
        with pytest.raises(RemoteError):
            attest_of([read], caller, callee, at)
    with pytest.raises(RemoteError):
        attest_of([], CALLER, CALLEE, now())


def test_div_leads_from_the_first_callee_to_the_last_one() -> None:
    """In any order of the fields, and only in the name of the same caller."""
    first = read_token(field(claims={"dest": {"tn": ["1"]}}))
    second = read_token(field(header={"ppt": DIV}, claims={"div": {"tn": "1"}, "dest": {"tn": ["2"]}}))
    third = read_token(field(header={"ppt": DIV}, claims={"div": {"tn": "2"}}))
    assert attest_of([third, second, first], CALLER, CALLEE, now()) is first
    with pytest.raises(RemoteError):
        attest_of([first, third], CALLER, CALLEE, now())
    other = read_token(field(header={"ppt": DIV}, claims={"div": {"tn": "2"}, "orig": {"tn": "7"}}))
    with pytest.raises(RemoteError):
        attest_of([first, second, other], CALLER, CALLEE, now())


def test_our_own_token_is_accepted() -> None:
    made = read_token(write_token(CALLER, CALLEE, "B", now(), URL, SIGNER.key))  # type: ignore[arg-type]  # it is on P-256
    made.must_be_of(SIGNER.certificate.public_key())
    assert attest_of([made], CALLER, CALLEE, now()).attest == "B"
