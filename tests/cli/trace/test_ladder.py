"""The ladder of a trace as text."""

from __future__ import annotations

from dataclasses import replace

from server.tracing.test_hops import AT_FE1, SENT
from sipmesh.cli.trace.ladder import Ladder
from sipmesh.server.tracing.hops import Hops
from sipmesh.server.tracing.traced_message import TracedMessage


def drawn(*messages: TracedMessage, width: int = 100) -> list[str]:
    hops, ladder = Hops(), Ladder(width)
    return [line for message in messages for line in ladder.lines(hops.hop(message))]


def test_message_is_an_arrow_between_two_columns_with_its_proof_and_its_changes() -> None:
    answer = replace(SENT, received=True, head="SIP/2.0 180 Ringing\nCSeq: 1 INVITE")
    assert drawn(AT_FE1, SENT, answer) == [
        "             alice c7              fe1",
        "00:00:00.000 |------ INVITE ------>|",
        "             fe1 knows its sender by: login of alice@example.test; the link is accepted",
        "             alice c7              fe1                   fe2",
        "00:00:00.000 |                     |------ INVITE ------>|",
        "             fe1: Request-URI -> sip:b@example.test, +Via, Max-Forwards 70 -> 69",
        "00:00:00.000 |                     |<--- 180 Ringing ----|",
    ]


def test_header_is_shown_again_when_a_client_logs_in() -> None:
    stranger = replace(AT_FE1, peer="127.0.0.1:40000", proof="no login yet", cseq="0 REGISTER")
    lines = drawn(stranger, AT_FE1)
    assert lines[0].split() == ["c7", "fe1"]
    assert "             alice c7              fe1" in lines


def test_arrow_over_several_columns_and_back() -> None:
    over = replace(
        AT_FE1, received=False, server="fe2", link="s9", peer="alice c7", kind="server", head="SIP/2.0 200 OK"
    )
    at_fe1 = replace(AT_FE1, kind="server", peer="alice c7")
    arrow = drawn(at_fe1, SENT, over)[-1]
    assert (arrow[13:15], arrow[-2:], arrow.count("|"), " 200 OK " in arrow) == ("|<", "-|", 2, True)


def test_message_between_ends_without_a_column_is_shown_in_words() -> None:
    lines = drawn(AT_FE1, SENT, width=60)
    assert any(line.endswith("fe1 -> fe2: INVITE") for line in lines)


def test_message_that_the_other_end_has_shown_is_not_shown_again() -> None:
    assert drawn(SENT, replace(SENT, server="fe2", peer="fe1", received=True))[-1].startswith("             fe1:")
