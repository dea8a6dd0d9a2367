"""What a trace tells of a message that passes servers: each once, with what has changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from sipmesh.server.tracing.hops import MOST_KEPT, Hops, changes
from sipmesh.server.tracing.traced_message import TracedMessage

HEAD = "INVITE sip:bob@example.test SIP/2.0\nVia: SIP/2.0/TLS a;branch=z9hG4bK1\nMax-Forwards: 70\nCall-ID: c1\nCSeq: 1 INVITE"
AT_FE1 = TracedMessage(
    at=datetime(2026, 12, 1, tzinfo=UTC),
    server="fe1",
    received=True,
    link="c7",
    kind="client",
    peer="alice@example.test",
    proof="login of alice@example.test",
    code="accepted",
    local="127.0.0.1:5061",
    remote="127.0.0.1:40000",
    call_id="c1",
    cseq="1 INVITE",
    branch="z9hG4bK1",
    head=HEAD,
    octets=0,
)
SENT = replace(
    AT_FE1,
    received=False,
    link="s1",
    kind="server",
    peer="fe2",
    branch="z9hG4bK2",
    head=HEAD.replace("Max-Forwards: 70", "Via: SIP/2.0/TLS b;branch=z9hG4bK2\nMax-Forwards: 69").replace("bob@", "b@"),
)


def test_message_that_both_ends_show_is_new_once() -> None:
    hops = Hops()
    first = hops.hop(SENT)
    again = hops.hop(replace(SENT, server="fe2", peer="fe1", received=True))
    assert (first.sender, first.receiver, first.is_first) == ("fe1", "fe2", True)
    assert (again.sender, again.receiver, again.is_first) == ("fe1", "fe2", False)


def test_changes_of_a_server_are_those_since_it_received_the_message() -> None:
    hops = Hops()
    assert hops.hop(AT_FE1).changes == ()
    assert set(hops.hop(SENT).changes) == {"Request-URI -> sip:b@example.test", "+Via", "Max-Forwards 70 -> 69"}
    assert Hops().hop(SENT).changes == ("made here",)


def test_client_is_named_by_its_user_and_its_link() -> None:
    hop = Hops().hop(AT_FE1)
    assert (hop.sender, hop.from_label, hop.to_label) == ("fe1 c7", "alice c7", "fe1")
    stranger = Hops().hop(replace(AT_FE1, peer="127.0.0.1:40000"))
    assert stranger.from_label == "c7"


def test_long_values_are_not_told_and_fields_that_go_are() -> None:
    before = "M\nIdentity: " + "a" * 100 + "\nRoute: r"
    assert list(changes(before, "M\nIdentity: " + "b" * 100)) == ["Identity changed", "-Route"]


def test_what_is_remembered_is_bounded() -> None:
    hops = Hops()
    for number in range(MOST_KEPT + 1):
        hops.hop(replace(AT_FE1, call_id=str(number)))
    assert hops.hop(replace(AT_FE1, call_id=str(MOST_KEPT))).is_first is False
    assert hops.hop(replace(AT_FE1, call_id="0")).is_first is True
