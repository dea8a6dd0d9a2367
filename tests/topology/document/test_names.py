"""Names: what an operator may write, and what is said about the rest."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from sipmesh.topology.document.names import (
    address,
    address_and_port,
    address_with_port,
    fqdn,
    fqdn_and_port,
    label,
    listen_on,
    split_port,
    web_origin,
)

LONGEST_LABEL = "a" * 63
LONGEST_NAME = ".".join([LONGEST_LABEL] * 3 + ["b" * 61])


@pytest.mark.parametrize("name", ["fe1.example.test", "a.b", "xn--bcher-kva.example", "1.example", LONGEST_NAME])
def test_a_full_host_name_is_a_name(name: str) -> None:
    assert fqdn(name) == name


def test_names_are_kept_in_lower_case() -> None:
    assert fqdn("FE1.Example.TEST") == "fe1.example.test"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("10.0.0.1", "IP address"),
        ("2001:db8::1", "IP address"),
        ("[2001:db8::1]", "IP address"),
        ("fe1", "short name"),
        ("*.example.test", "wildcard"),
        ("bücher.example", "not ASCII"),
        ("fe1.example.test.", "ends in a dot"),
        ("fe_1.example.test", "not a host name"),
        ("-fe1.example.test", "not a host name"),
        ("fe1..example.test", "not a host name"),
        ("fe1.example.1", "not a host name"),
        ("sip:fe1.example.test", "not a host name"),
        ("alice@example.test", "not a host name"),
        (f"a{LONGEST_LABEL}.test", "not a host name"),
        (f"a{LONGEST_NAME}", "not a host name"),
        ("", "not a host name"),
        ("{x}.test", "not a host name"),
    ],
)
def test_anything_else_is_refused_with_its_reason(name: str, reason: str) -> None:
    with pytest.raises(PydanticCustomError, match=reason) as refused:
        fqdn(name)
    assert refused.value.context
    assert refused.value.context["remedy"]


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("sip.partner.test", "sip.partner.test", None),
        ("sip.partner.test:5081", "sip.partner.test", 5081),
        ("127.0.0.1:53", "127.0.0.1", 53),
        ("2001:db8::1", "2001:db8::1", None),
        ("[2001:db8::1]", "2001:db8::1", None),
        ("[2001:db8::1]:53", "2001:db8::1", 53),
    ],
)
def test_host_and_port_are_split(text: str, host: str, port: int | None) -> None:
    assert split_port(text) == (host, port)


@pytest.mark.parametrize("port", ["0", "65536", "x", "", "-1", "9" * 500, "\uff15\uff10\uff16\uff11"])
def test_a_port_out_of_range_is_refused(port: str) -> None:
    with pytest.raises(PydanticCustomError, match="not a port"):
        split_port(f"sip.partner.test:{port}")


@pytest.mark.parametrize("port", [1, 65535])
def test_first_and_last_port_are_ports(port: int) -> None:
    assert split_port(f"sip.partner.test:{port}")[1] == port


def test_an_edge_is_a_full_name_never_an_address() -> None:
    assert fqdn_and_port("SIP.partner.test:5061") == "sip.partner.test:5061"
    with pytest.raises(PydanticCustomError, match="IP address"):
        fqdn_and_port("192.0.2.1:5061")


def test_a_dns_server_is_an_address_never_a_name() -> None:
    assert address_and_port("127.0.0.1:5353") == "127.0.0.1:5353"
    assert address_and_port("[2001:DB8::1]:53") == "[2001:db8::1]:53"
    assert address_and_port("::1") == "::1"
    with pytest.raises(PydanticCustomError, match="not an IP address"):
        address_and_port("dns.example.test:53")


@pytest.mark.parametrize("name", ["a", "Berlin", "site-1", "x" * 63])
def test_label_is_a_short_name(name: str) -> None:
    assert label(name) == name.lower()


@pytest.mark.parametrize("name", ["", "a.b", "-a", "a_b", "a b", "x" * 64, "\u212a", "köln"])
def test_other_text_is_no_label(name: str) -> None:
    with pytest.raises(PydanticCustomError, match="is not a short name"):
        label(name)


@given(st.text(max_size=80))
@pytest.mark.parametrize("read", [fqdn, address, fqdn_and_port, address_and_port])
def test_any_text_is_a_name_or_a_refusal(read: Callable[[str], str], text: str) -> None:
    with suppress(PydanticCustomError):
        assert read(text)


@pytest.mark.parametrize(
    ("given", "where"),
    [(9105, "127.0.0.1:9105"), ("192.0.2.1:9105", "192.0.2.1:9105"), ("[2001:DB8::1]:1", "[2001:db8::1]:1")],
)
def test_port_alone_means_the_loopback_interface(given: object, where: str) -> None:
    assert address_with_port(str(listen_on(given))) == where


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (0, "not a port"),
        (65536, "not a port"),
        ("192.0.2.1", "has no port"),
        ("fe1.example.test:9105", "not an IP address"),
    ],
)
def test_invalid_listen_address_is_refused(given: object, reason: str) -> None:
    with pytest.raises(PydanticCustomError, match=reason):
        address_with_port(str(listen_on(given)))


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://Phone.example.test", "https://phone.example.test"),
        ("https://phone.example.test:443", "https://phone.example.test"),
        ("HTTP://localhost:8080", "http://localhost:8080"),
        ("https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443"),
    ],
)
def test_origin_is_kept_as_browsers_write_it(text: str, origin: str) -> None:
    """RFC 6454 section 6.2: in lower case, and without the default port."""
    assert web_origin(text) == origin


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("phone.example.test", "is not an origin"),
        ("wss://phone.example.test", "is not an origin"),
        ("https://*.example.test", "is not an origin"),
        ("https://", "is not an origin"),
        ("null", "is not an origin"),
        ("https://phone.example.test/", "is more than an origin"),
        ("https://phone.example.test/page", "is more than an origin"),
        ("https://user@phone.example.test", "is more than an origin"),
        ("https://phone.example.test:99999", "is not an origin"),
    ],
)
def test_anything_but_an_origin_is_refused(text: str, reason: str) -> None:
    with pytest.raises(PydanticCustomError, match=reason):
        web_origin(text)
