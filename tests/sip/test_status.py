"""The status codes and their reason phrases."""

from __future__ import annotations

from sipmesh.sip.message import build_request, respond
from sipmesh.sip.status import REASONS, Status
from sipmesh.sip.text import is_token

REQUEST = build_request("OPTIONS", "sip:example.test", [("to", "<sip:example.test>")])


def test_reasons_have_valid_statuses_and_words() -> None:
    assert all(100 <= status <= 699 for status in REASONS)
    assert all(is_token(word.replace("(", "").replace("/", "")) for text in REASONS.values() for word in text.split())


def test_response_has_the_reason_of_its_status() -> None:
    assert {status: respond(REQUEST, status).reason for status in REASONS} == REASONS


def test_status_is_its_number_in_messages_and_look_ups() -> None:
    status = Status.NOT_FOUND
    assert (f"{status}", status == 404, REASONS[status]) == ("404", True, "Not Found")
    assert respond(REQUEST, status).encode().startswith(b"SIP/2.0 404 Not Found\r\n")
