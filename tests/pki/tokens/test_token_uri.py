"""PKCS #11 URIs: written as they were read, without a PIN, for a token, a key, a module and a file only."""

from __future__ import annotations

import pytest

from sipmesh.errors import OperatorError
from sipmesh.pki.tokens.token_uri import LONGEST, TokenUri

USUAL = "pkcs11:token=ca?module-path=/usr/lib/hsm.so"


@pytest.mark.parametrize(
    "text",
    [
        USUAL,
        f"{USUAL}&pin-source=file:/etc/sipmesh/pin",
        "pkcs11:token=our%20CA;serial=12ab;object=root%201;id=%00%ff?module-path=/usr/lib/hsm.so",
        "pkcs11:token=a%3bb%2fc?module-path=/usr/lib/a%26b.so",
    ],
)
def test_uri_is_written_as_it_was_read(text: str) -> None:
    assert str(TokenUri.parse(text)).lower() == text.lower()
    assert TokenUri.parse(str(TokenUri.parse(text))) == TokenUri.parse(text)


def test_attributes_that_select_nothing_more_are_left_out() -> None:
    uri = TokenUri.parse("pkcs11:token=ca;type=private;manufacturer=SoftHSM?module-path=/usr/lib/hsm.so")
    assert str(uri) == USUAL
    assert (uri.shown, TokenUri("ca", "/m", object="root").shown) == ("token ca", "token ca, key root")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "this is no PKCS #11 URI"),
        ("file:/etc/passwd", "this is no PKCS #11 URI"),
        (f"{USUAL}{'x' * LONGEST}", "this is no PKCS #11 URI"),
        ("pkcs11:token=ca", "names no token, or no module"),
        ("pkcs11:object=x?module-path=/m", "names no token, or no module"),
        ("pkcs11:token=ca?module-path=hsm.so", "is not an absolute path"),
        (f"{USUAL}&module-path=/tmp/other.so", "unknown or there twice"),
        ("pkcs11:token=ca;slot-id=1?module-path=/m", "unknown or there twice"),
        ("pkcs11:token=%ff?module-path=/m", "is not UTF-8"),
    ],
)
def test_other_uri_is_refused(text: str, why: str) -> None:
    with pytest.raises(OperatorError, match=why):
        TokenUri.parse(text)


def test_pin_in_a_uri_is_refused_and_not_repeated() -> None:
    """A URI is in a file of a key, and in the history of a shell."""
    with pytest.raises(OperatorError, match="the PKCS #11 URI has the PIN; write it to a file") as refused:
        TokenUri.parse(f"{USUAL}&pin-value=271828")
    assert "271828" not in str(refused.value)
