"""Bencode is written and read back, and what is malformed is refused."""

from __future__ import annotations

import pytest

from sipmesh.errors import RemoteError
from sipmesh.routing.media.bridging.bencode import MAX_DEPTH, decode, encode


def test_value_is_written_with_its_keys_in_order_and_read_back() -> None:
    octets = encode({"sdp": b"v=0\r\n", "ICE": "remove", "flags": ["a", 7]})
    assert octets == b"d3:ICE6:remove5:flagsl1:ai7ee3:sdp5:v=0\r\ne"
    assert decode(octets) == {b"ICE": b"remove", b"flags": [b"a", 7], b"sdp": b"v=0\r\n"}
    assert decode(b"i-7e") == -7


def test_other_types_have_no_form() -> None:
    with pytest.raises(TypeError, match="float"):
        encode(1.5)


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"5:abcd",
        b"-1:a",
        b"i7",
        b"ie",
        b"i--7e",
        b"i" + b"9" * 40 + b"e",
        b"l1:a",
        b"d1:ae",
        b"di1ei2ee",
        b"d1:a1:b1:a1:ce",
        b"1:ab",
        b"l" * (MAX_DEPTH + 1) + b"e" * (MAX_DEPTH + 1),
        b"l" * 5_000,
        b"99999999999999999999999:a",
    ],
)
def test_malformed_octets_are_refused(octets: bytes) -> None:
    with pytest.raises(RemoteError):
        decode(octets)


def test_values_in_values_are_read_to_the_limit() -> None:
    assert decode(b"l" * MAX_DEPTH + b"e" * MAX_DEPTH)
