"""Telephone numbers: the normal form is stable, and means the same as a tel URI and as a SIP URI."""

from __future__ import annotations

from typing import Final

from fuzz.target import Target, require
from sipmesh.errors import RemoteError
from sipmesh.sip.tel import LONGEST_NUMBER, NO_DOMAIN, TEL, TelUri, number_in, target_uri
from sipmesh.sip.text import text_of
from sipmesh.sip.uri import SipUri


def check(data: bytes) -> None:
    """Read *data* as a URI, and as the user part of a SIP URI."""
    text = text_of(data)
    _check_user(text)
    try:
        number = TelUri.parse(text)
    except RemoteError as wrong:
        require(wrong.status == 400, f"status {wrong.status}")
        return
    require(len(text) <= LONGEST_NUMBER + len(TEL), "a number above the limit")
    _check_normal(number)
    form = target_uri(text)
    require((form.host, form.user) == (NO_DOMAIN, number.subscriber), f"another SIP form: {form}")


def _check_user(text: str) -> None:
    try:
        uri = SipUri.parse(f"sip:{text}@example.test")
    except RemoteError:
        return
    number = number_in(uri.user or "", "example.test")
    if number is not None:
        _check_normal(number)


def _check_normal(number: TelUri) -> None:
    written = str(number)
    require(written.isascii() and written.isprintable() and " " not in written, f"not a URI: {written!r}")
    if len(number.subscriber) <= LONGEST_NUMBER:
        require(TelUri.parse(written) == number, f"the normal form is another number: {written}")
    require(
        number.number.startswith("+") or any(name == "phone-context" for name, _ in number.params),
        "a number without context",
    )


TARGET: Final = Target(
    name="tel",
    holds="raises RemoteError only; the normal form of a number is the same number, as a tel URI and in a SIP URI",
    check=check,
    seeds=(
        b"tel:+49-30-1234.567",
        b"TEL:(030)1234;phone-context=+49",
        b"tel:7042;phone-context=Example.test.",
        b"tel:*21#;phone-context=example.test;ext=1-2;isub=a%20b",
        b"%2b49301234;ext=7",
        b"+1-201-555-0123;verstat=TN-Validation-Passed",
    ),
)
