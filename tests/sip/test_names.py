"""Header names on the wire, and the one name that we use."""

from __future__ import annotations

import pytest

from sipmesh.errors import LocalError
from sipmesh.sip.names import BITS, COMPACT, IMPROPER, bit_of, name_of, wire_name


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ("Via: x", "via"),
        ("VIA:x", "via"),
        ("v: x", "via"),
        ("V  : x", "via"),
        ("Call-ID\t: x", "call-id"),
        ("i:x", "call-id"),
        ("X-Own: y", "x-own"),
        ("Via", ""),
        ("", ""),
        (": x", ""),
        ("\udcff: x", "\udcff"),
    ],
)
def test_one_name_for_every_spelling(row: str, name: str) -> None:
    assert name_of(row)[0] == name


@pytest.mark.parametrize(("short", "name"), COMPACT.items())
def test_compact_names_are_known_in_both_cases(short: str, name: str) -> None:
    assert [name_of(f"{short}: x")[0], name_of(f"{short.upper()}:x")[0]] == [name, name]


def test_each_name_has_its_own_bit_and_an_invalid_name_has_one() -> None:
    assert len(set(BITS.values()) | {IMPROPER}) == len(BITS) + 1
    assert [bit_of(name) for name in ("via", "subject", "x-own", "", "a b")] == [BITS["via"], 0, 0, IMPROPER, IMPROPER]


@pytest.mark.parametrize(
    ("name", "wire"), [("call-id", "Call-ID"), ("WWW-Authenticate", "WWW-Authenticate"), ("x-own-thing", "X-Own-Thing")]
)
def test_names_are_spelled_as_the_rfcs_do(name: str, wire: str) -> None:
    assert wire_name(name) == wire


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\r\nb", "\u00e9"])
def test_invalid_name_is_a_local_error(name: str) -> None:
    with pytest.raises(LocalError):
        wire_name(name)
