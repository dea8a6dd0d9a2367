"""Base64url: one spelling for each octet string."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipmesh.sip.base64url import decode, encode


@given(st.binary(max_size=50))
def test_octets_come_back_from_a_text_without_padding(octets: bytes) -> None:
    text = encode(octets)
    assert "=" not in text
    assert decode(text.encode()) == octets


@pytest.mark.parametrize("text", [b"QQ==", b"QR", b"Q", b"Q Q", b"+/+/", b"\xc3\xa4"])
def test_another_spelling_is_refused(text: bytes) -> None:
    """QQ is the one spelling of the letter A."""
    assert decode(b"QQ") == b"A"
    with pytest.raises(ValueError):  # noqa: PT011 - binascii has no text of its own that is stable
        decode(text)
