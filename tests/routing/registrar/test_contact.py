"""The parameters of a Contact, each at its bounds."""

from __future__ import annotations

import pytest

from sipmesh.errors import RemoteError
from sipmesh.routing.registrar.contact import MALFORMED_EXPIRES_S, AskedContact, read_contact
from sipmesh.sip.fields import NameAddr

URI = "sip:alice@192.0.2.9:49152;transport=tls"


def read(parameters: str = "", uri: str = URI) -> AskedContact:
    return read_contact(NameAddr.parse(f"<{uri}>{parameters}"), 600)


def test_contact_without_parameters_takes_the_defaults() -> None:
    assert read() == AskedContact(URI, None, None, 1.0, 600)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("60", 60),
        ("4294967295", 4_294_967_295),
        ("00000000001", MALFORMED_EXPIRES_S),
        ("-1", MALFORMED_EXPIRES_S),
        ("soon", MALFORMED_EXPIRES_S),
    ],
)
def test_malformed_expires_is_an_hour(text: str, seconds: int) -> None:
    """RFC 3261 section 20.10."""
    assert read(f";expires={text}").expires_s == seconds


@pytest.mark.parametrize(("text", "q"), [("0", 0.0), ("1", 1.0), ("1.", 1.0), ("0.333", 0.333), ("1.000", 1.0)])
def test_q_has_three_digits_at_most(text: str, q: float) -> None:
    assert read(f";q={text}").q == q


@pytest.mark.parametrize("text", ["1.001", "2", "0.3333", "-0.1", "x", ".5", "00.5", "0.x"])
def test_q_that_is_no_qvalue_is_refused(text: str) -> None:
    with pytest.raises(RemoteError, match="q is"):
        read(f";q={text}")


@pytest.mark.parametrize("number", [1, 2_147_483_647])
def test_reg_id_is_read_beside_an_instance(number: int) -> None:
    asked = read(f';+sip.instance="<urn:uuid:A1>";reg-id={number}')
    assert (asked.instance, asked.reg_id) == ("<urn:uuid:A1>", number)


@pytest.mark.parametrize("text", ["0", "2147483648", "-1", "one"])
def test_reg_id_out_of_its_range_is_refused(text: str) -> None:
    with pytest.raises(RemoteError, match="reg-id is"):
        read(f';+sip.instance="<urn:uuid:A1>";reg-id={text}')


def test_reg_id_without_an_instance_is_ignored() -> None:
    """RFC 5626 section 6."""
    assert read(";reg-id=0").reg_id is None


def test_instance_that_cannot_be_written_back_is_refused() -> None:
    with pytest.raises(RemoteError, match="instance is"):
        read(r';+sip.instance="<urn:\"x>"')


@pytest.mark.parametrize("uri", ["tel:+4912345", "mailto:alice@example.test", "sip:"])
def test_contact_that_is_no_sip_uri_is_refused_as_a_bad_contact(uri: str) -> None:
    with pytest.raises(RemoteError, match="Contact: ") as refused:
        read(uri=uri)
    assert refused.value.status == 400
