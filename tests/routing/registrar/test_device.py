"""Which rows of a user belong to one device."""

from __future__ import annotations

from dataclasses import replace

import pytest

from routing.messages import row
from sipmesh.routing.registrar.device import (
    Instance,
    RegisteredContact,
    contact_address,
    has_name_of,
    instance_hash,
    is_like_a_contact,
    registration_hash,
)
from sipmesh.sip.uri import SipUri

DESK, MOBILE = "<urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF>", "<urn:uuid:2>"
FLOWS = [row(f"sip:bob@192.0.2.{n}", instance=DESK, flow=n) for n in (1, 2)]
ROWS = [row("sip:bob@192.0.2.9"), *FLOWS, row("sip:bob@192.0.2.3", instance=MOBILE)]


@pytest.mark.parametrize("instance", [DESK, DESK.lower()])
def test_instance_has_all_of_its_flows_and_no_others(instance: str) -> None:
    assert Instance(instance_hash(instance)).rows_of(ROWS) == FLOWS
    assert Instance(instance_hash("<urn:uuid:3>")).rows_of(ROWS) == []


def test_registration_counts_while_one_flow_has_its_call_id() -> None:
    """RFC 5627 section 5.1: a new Call-ID ends what was given before."""
    device = Instance(instance_hash(DESK), registration_hash("reg-1"))
    assert device.rows_of(ROWS) == FLOWS
    later = [replace(one, call_id="reg-2") for one in FLOWS]
    assert device.rows_of([later[0], FLOWS[1]]) == [later[0], FLOWS[1]]
    assert device.rows_of(later) == []


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("sip:bob@192.0.2.9:5070;transport=tls;ob", "bob@192.0.2.9"),
        ("sips:%62ob@192.0.2.9:5070", "bob@192.0.2.9"),
        ("sip:x@Y.invalid;transport=ws", "x@y.invalid"),
        ("sip:192.0.2.9:5070", ""),
    ],
)
def test_contact_is_known_by_user_and_host(text: str, address: str) -> None:
    assert contact_address(SipUri.parse(text)) == address


@pytest.mark.parametrize(
    ("text", "like"),
    [
        ("sip:bob@192.0.2.9", True),
        ("sip:bob@[2001:db8::1]", True),
        ("sip:x@y.invalid;transport=ws", True),
        ("sip:bob@phone.example.com:5070", True),
        ("sip:bob@example.com", False),
        ("sip:bob@invalid.example", False),
    ],
)
def test_domain_of_users_is_not_taken_for_the_host_of_a_contact(text: str, *, like: bool) -> None:
    assert is_like_a_contact(SipUri.parse(text)) is like


def test_registered_contact_has_the_rows_with_its_port_and_otherwise_those_with_its_host() -> None:
    """In a call, baresip writes the port of its connection, and not the registered port."""
    one, other = row("sip:bob@192.0.2.9:5070"), row("sip:bob@192.0.2.9:5080")
    assert RegisteredContact("bob@192.0.2.9", 5080).rows_of([one, other]) == [other]
    assert RegisteredContact("bob@192.0.2.9", 40000).rows_of([one, other]) == [one, other]
    assert RegisteredContact("bob@192.0.2.8", 5080).rows_of([one, other]) == []


@pytest.mark.parametrize(
    ("address", "user", "named"),
    [
        ("bob@192.0.2.9", "bob", True),
        ("Bob@192.0.2.9", "bob", True),
        ("bob-0x5559ac167f70@192.0.2.9", "bob", True),
        ("bob-0x5559ac167f70@192.0.2.9", "bo", False),
        ("bob-smith@192.0.2.9", "bob", False),
        ("bob-0xyz@192.0.2.9", "bob", False),
        ("x7f3k@y.invalid", "bob", False),
        ("", "bob", False),
    ],
)
def test_contact_that_is_an_address_has_the_name_of_its_user(address: str, user: str, *, named: bool) -> None:
    """Otherwise a user could register the Contact of another, and get the calls that are transferred to it."""
    assert has_name_of(address, user) is named
