"""Telephone numbers compare as RFC 3966 says, as URIs and in SIP URIs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipmesh.errors import RemoteError
from sipmesh.sip.tel import LONGEST_NUMBER, NO_DOMAIN, TelUri, number_in, sip_form, target_uri

DIGITS = st.text("0123456789", min_size=1, max_size=15)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("tel:+1-201-555-0123", "TEL:+1(201)555.0123"),
        ("tel:7042;phone-context=Example.COM", "tel:70-42;Phone-Context=example.com."),
        ("tel:863-1234;phone-context=+1-914-555", "tel:8631234;phone-context=+1914555"),
        ("tel:+1201;ext=1-2;isub=A", "tel:+1201;ISUB=a;ext=12"),
        ("tel:*A#;phone-context=example.com".replace("*A#", "*1A#"), "tel:*1a#;phone-context=example.com"),
    ],
)
def test_spellings_of_one_number_are_equal(one: str, other: str) -> None:
    assert TelUri.parse(one) == TelUri.parse(other)
    assert str(TelUri.parse(str(TelUri.parse(one)))) == str(TelUri.parse(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("tel:+1201", "tel:1201;phone-context=+1"),
        ("tel:+1201", "tel:+1201;ext=1"),
        ("tel:+1201;ext=1", "tel:+1201;ext=2"),
        ("tel:42;phone-context=a.test", "tel:42;phone-context=b.test"),
        ("tel:+1201;a", "tel:+1201;b"),
    ],
)
def test_number_with_another_digit_context_or_parameter_is_another(one: str, other: str) -> None:
    assert TelUri.parse(one) != TelUri.parse(other)


@pytest.mark.parametrize(
    "text",
    [
        "sip:+1@example.test",
        "tel:",
        "tel:+",
        "tel:--",
        "tel:bob",
        "tel:+12a",
        "tel:12",  # "Local numbers MUST have a 'phone-context' parameter" (RFC 3966 section 5.1.4)
        "tel:12;phone-context=",
        "tel:12;phone-context=a b",
        "tel:12;phone-context=+x",
        "tel:+1;a=1;A=2",
        "tel:+1;=1",
        "tel:+1;a=",
        "tel:+1;a=%ua",
        "tel:+1;a=%4",
        "tel:+1;ext=-",
        'tel:+1;a="',
        "tel:+1@example.test",
        "tel:\u0661",
    ],
)
def test_malformed_number_is_refused_with_400(text: str) -> None:
    with pytest.raises(RemoteError) as refused:
        TelUri.parse(text)
    assert refused.value.status == 400


@pytest.mark.parametrize(("length", "fits"), [(LONGEST_NUMBER, True), (LONGEST_NUMBER + 1, False)])
def test_number_has_a_longest_length(length: int, *, fits: bool) -> None:
    assert (number_in("+" + "1" * (length - 1)) is not None) is fits


@pytest.mark.parametrize("user", ["+49(30)123", "%2B4930123", "+4930-12%33"])
def test_user_part_of_a_sip_uri_is_a_number_in_any_spelling(user: str) -> None:
    assert str(number_in(user)) == "tel:+4930123"


def test_local_number_has_the_context_of_its_host_unless_it_names_one() -> None:
    assert str(number_in("42", "example.test")) == "tel:42;phone-context=example.test"
    assert str(number_in("42;phone-context=other.test", "example.test")) == "tel:42;phone-context=other.test"
    assert number_in("42") is None


@pytest.mark.parametrize("user", ["alice", "4x2", "+49%", "%", "cafe", "42;phone-context=%C3%BC"])
def test_other_names_are_no_numbers(user: str) -> None:
    assert number_in(user.replace("%", "%25") if user.endswith("%") else user, "example.test") is None


def test_sip_form_of_a_number_has_no_domain() -> None:
    """RFC 3261 19.1.6; no topology can have this host."""
    form = sip_form("tel:+1-201")
    assert (form.user, form.host, form.param("user")) == ("+1201", NO_DOMAIN, "phone")
    assert target_uri("tel:+1201") == form
    assert target_uri("sip:+1201@example.test").host == "example.test"


@pytest.mark.parametrize(("text", "status"), [("http://example.test", 416), ("tel:x", 400), ("", 400)])
def test_target_of_another_scheme_is_refused(text: str, status: int) -> None:
    with pytest.raises(RemoteError) as refused:
        target_uri(text)
    assert refused.value.status == status


@given(DIGITS, st.data())
def test_separators_never_change_a_number(digits: str, data: st.DataObject) -> None:
    spelled = "".join(digit + data.draw(st.sampled_from(["", "-", ".", "(", ")"])) for digit in digits)
    assert TelUri.parse(f"tel:+{spelled}") == TelUri(f"+{digits}")


@given(st.text(max_size=40))
@pytest.mark.wide
def test_any_text_is_a_number_or_is_refused(text: str) -> None:
    try:
        found = TelUri.parse(f"tel:{text}")
    except RemoteError:
        return
    assert TelUri.parse(str(found)) == found
