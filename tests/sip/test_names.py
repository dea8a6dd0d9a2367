"""Header names on the wire, and the one name that we use."""

from __future__ import annotations

import pytest

from sipmesh.errors import LocalError
from sipmesh.sip.names import COMPACT, KNOWN, names_of, wire_name


@pytest.mark.parametrize(
    ("row", "name"),
    [
        (b"Via: x", "via"),
        (b"VIA:x", "via"),
        (b"v: x", "via"),
        (b"V  : x", "via"),
        (b"Call-ID\t: x", "call-id"),
        (b"i:x", "call-id"),
        (b"X-Own: y", "x-own"),
        (b"Via", ""),
        (b"", ""),
        (b": x", ""),
        (b"\xff: x", "\udcff"),
    ],
)
def test_one_name_for_every_spelling(row: bytes, name: str) -> None:
    assert names_of([row]) == [name]


@pytest.mark.parametrize(("short", "name"), COMPACT.items())
def test_compact_names_are_known_in_both_cases(short: str, name: str) -> None:
    assert names_of([short.encode() + b": x", short.upper().encode() + b":x"]) == [name, name]
    assert name in KNOWN


@pytest.mark.parametrize(
    ("name", "wire"), [("call-id", "Call-ID"), ("WWW-Authenticate", "WWW-Authenticate"), ("x-own-thing", "X-Own-Thing")]
)
def test_names_are_spelled_as_the_rfcs_do(name: str, wire: str) -> None:
    assert wire_name(name) == wire


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\r\nb", "\u00e9"])
def test_what_is_no_name_is_our_own_bug(name: str) -> None:
    with pytest.raises(LocalError):
        wire_name(name)
