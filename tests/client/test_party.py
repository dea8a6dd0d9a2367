"""The header fields of a user agent: its identity and its transactions."""

from __future__ import annotations

import pytest

from sipmesh.client.dialog import Dialog
from sipmesh.client.party import Party, new_branch, new_instance, new_tag
from sipmesh.sip.message import respond
from sipmesh.sip.uri import SipUri

ALICE = Party.of(SipUri.parse("sip:alice@example.test"))
BOB = "sip:bob@example.test"


def test_tags_branches_and_instances_are_unique() -> None:
    for make in (new_tag, new_branch, new_instance):
        assert len({make() for _ in range(100)}) == 100


def test_party_has_the_parts_of_its_address() -> None:
    assert (ALICE.aor, ALICE.user, ALICE.domain) == ("sip:alice@example.test", "alice", "example.test")


def test_party_keeps_its_instance_on_another_link() -> None:
    """RFC 5626 4.1."""
    moved = ALICE.at(("192.0.2.9", 40_000))
    assert (moved.instance, moved.here) == (ALICE.instance, ("192.0.2.9", 40_000))
    assert moved.contact == "<sip:alice@192.0.2.9:40000;transport=tls;ob>"
    assert Party.of(ALICE.address, "<urn:uuid:1>").instance == "<urn:uuid:1>"


@pytest.mark.parametrize(("host", "sent_by"), [("192.0.2.9", "192.0.2.9:5061"), ("2001:db8::9", "[2001:db8::9]:5061")])
def test_via_names_our_end_of_the_link(host: str, sent_by: str) -> None:
    via = ALICE.at((host, 5061)).via()
    assert via.startswith(f"SIP/2.0/TLS {sent_by};branch=z9hG4bK")


def test_request_outside_a_dialog_has_new_identifiers() -> None:
    first, second = (ALICE.outside("MESSAGE", BOB, BOB, [("subject", "x")], b"hello") for _ in range(2))
    assert (first.from_.uri, first.to.uri, first.to.tag, first.first("subject")) == (ALICE.aor, BOB, None, "x")
    assert first.call_id != second.call_id
    assert first.from_.tag != second.from_.tag
    assert ALICE.outside("REGISTER", BOB, BOB, call_id="one", cseq=7).cseq.number == 7


def test_repeated_request_is_a_new_transaction() -> None:
    """RFC 3261 22.1: the CSeq rises by one."""
    first = ALICE.outside("MESSAGE", BOB, BOB)
    again = ALICE.again(first, [("authorization", "Digest x")])
    assert (again.cseq.number, again.call_id, again.from_.tag) == (2, first.call_id, first.from_.tag)
    assert again.top_via.branch != first.top_via.branch
    assert (again.first("authorization"), first.first("authorization")) == ("Digest x", None)


def test_request_inside_a_dialog_has_its_route_set_and_tags() -> None:
    invite = ALICE.outside("INVITE", BOB, BOB, [("contact", ALICE.contact)])
    rows = [("contact", "<sip:bob@192.0.2.7>"), ("record-route", "<sip:t@fe1.example.test;lr>")]
    dialog = Dialog.of_caller(invite, respond(invite, 200, headers=rows, to_tag="b"))
    bye = ALICE.inside(dialog, "BYE", [("reason", "SIP;cause=200")])
    assert (bye.uri, bye.values("route")) == ("sip:bob@192.0.2.7", ["<sip:t@fe1.example.test;lr>"])
    assert (bye.call_id, bye.from_.tag, bye.to.tag) == (invite.call_id, invite.from_.tag, "b")
    assert (bye.cseq.number, bye.first("reason")) == (2, "SIP;cause=200")
