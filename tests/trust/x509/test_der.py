"""Only what is well formed is split; the rest is a ValueError, which refuses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipmesh.trust.x509.der import Element, dotted, elements


def test_elements_are_split_one_level_deep() -> None:
    (outer,) = elements(bytes.fromhex("3006 020105 020106"))
    assert outer.sequence() == [Element(2, b"\x05"), Element(2, b"\x06")]


def test_long_lengths_are_read() -> None:
    assert elements(b"\x04\x82\x01\x00" + bytes(256)) == [Element(4, bytes(256))]


@pytest.mark.parametrize("der", ["30", "3002 05", "3080 0000", "3085 0000000001 00", "3081"])
def test_invalid_lengths_are_refused(der: str) -> None:
    with pytest.raises(ValueError, match=r"element|length"):
        elements(bytes.fromhex(der))


def test_another_tag_is_no_sequence() -> None:
    with pytest.raises(ValueError, match="SEQUENCE"):
        Element(0x31, b"").sequence()


@pytest.mark.parametrize(
    ("content", "name"),
    [("551d20", "2.5.29.32"), ("2a864886f70d", "1.2.840.113549"), ("883701", "2.999.1"), ("00", "0.0")],
)
def test_object_identifiers_are_spelt_with_dots(content: str, name: str) -> None:
    assert dotted(Element(6, bytes.fromhex(content))) == name


@pytest.mark.parametrize("wrong", [Element(6, b""), Element(6, b"\x55\x9d"), Element(4, b"\x55")])
def test_invalid_object_identifier_is_refused(wrong: Element) -> None:
    with pytest.raises(ValueError, match="identifier"):
        dotted(wrong)


@given(st.binary(max_size=64))
def test_any_octets_are_split_or_refused(der: bytes) -> None:
    try:
        found = elements(der)
    except ValueError:
        return
    assert sum(len(one.content) + 2 for one in found) <= len(der)
