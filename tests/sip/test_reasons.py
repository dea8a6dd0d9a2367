"""The reason phrases."""

from __future__ import annotations

from sipmesh.sip.message import build_request, respond
from sipmesh.sip.reasons import REASONS
from sipmesh.sip.text import is_token

REQUEST = build_request("OPTIONS", "sip:example.test", [("to", "<sip:example.test>")])


def test_reasons_have_valid_statuses_and_words() -> None:
    assert all(100 <= status <= 699 for status in REASONS)
    assert all(is_token(word.replace("(", "").replace("/", "")) for text in REASONS.values() for word in text.split())


def test_response_has_the_reason_of_its_status() -> None:
    assert {status: respond(REQUEST, status).reason for status in REASONS} == REASONS
