"""The keys of aliases: one for all spellings of a name."""

from __future__ import annotations

import pytest

from sipmesh.errors import OperatorError
from sipmesh.routing.identity.alias import alias_keys, name_of, nobody, read_alias
from sipmesh.sip.fields import NameAddr
from sipmesh.sip.uri import SipUri

NUMBER = "tel:+4930123"
LOCAL = "tel:42;phone-context=example.test"


@pytest.mark.parametrize(
    ("uri", "keys"),
    [
        ("sip:Info@Example.test", ("sip:info@example.test",)),
        ("sip:+49-30-123@example.test;user=phone", ("sip:+49-30-123@example.test", NUMBER)),
        ("sip:%2B4930123@other.test", ("sip:%2b4930123@other.test", NUMBER)),
        ("sip:42@example.test", ("sip:42@example.test", LOCAL)),
        (
            "sip:42;phone-context=Example.TEST@other.test",
            ("sip:42;phone-context=example.test@other.test", LOCAL),
        ),
    ],
)
def test_name_is_looked_up_as_a_name_and_as_a_number(uri: str, keys: tuple[str, ...]) -> None:
    assert alias_keys(SipUri.parse(uri).aor) == keys


@pytest.mark.parametrize(("uri", "key"), [("tel:+49(30)123", NUMBER), ("tel:4.2;phone-context=EXAMPLE.test", LOCAL)])
def test_tel_uri_is_looked_up_as_a_number_only(uri: str, key: str) -> None:
    name = name_of(NameAddr.parse(f"<{uri}>"))
    assert name is not None
    assert alias_keys(name.aor) == (key,)


def test_other_schemes_are_no_names() -> None:
    assert name_of(NameAddr.parse("<mailto:alice@example.test>")) is None
    assert nobody("sip:alice@example.test") == ""


@pytest.mark.parametrize(
    ("typed", "key"),
    [
        ("+49 30 123", NUMBER),
        (" tel:+49-30-123 ", NUMBER),
        ("sip:+4930123@example.test;user=phone", NUMBER),
        ("42", LOCAL),
        ("tel:42;phone-context=example.test", LOCAL),
        ("*42#", "tel:*42#;phone-context=example.test"),
        ("Info", "sip:info@example.test"),
        ("info@Other.test", "sip:info@other.test"),
    ],
)
def test_alias_is_read_as_an_operator_types_it(typed: str, key: str) -> None:
    assert read_alias(typed, "example.test") == key


@pytest.mark.parametrize("typed", ["", "+", "tel:42", "tel:x", "mailto:info@example.test", "a b", "sip:", "+49 x"])
def test_other_text_is_no_alias_and_the_error_says_how_to_write_one(typed: str) -> None:
    with pytest.raises(OperatorError, match="write it as"):
        read_alias(typed, "example.test")
