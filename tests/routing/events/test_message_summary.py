"""Message summaries: read, summed up and written."""

from __future__ import annotations

import pytest

from sipmesh.errors import RemoteError
from sipmesh.routing.events.message_summary import (
    LONGEST,
    MessageSummary,
    merged,
    of_texts,
    read_summary,
    write_summary,
)

BOB = "sip:bob@example.test"
VOICE = (
    b"Messages-Waiting: yes\r\nMessage-Account: sip:700@pbx.example.test\r\nVoice-Message: 2/8 (1/0)\r\nX-More: 1/1\r\n"
)


def test_text_messages_are_counted() -> None:
    """All of them are new."""
    assert write_summary(BOB, of_texts(2)) == (
        b"Messages-Waiting: yes\r\nMessage-Account: sip:bob@example.test\r\nText-Message: 2/0\r\n"
    )
    assert write_summary(BOB, of_texts(0)).startswith(b"Messages-Waiting: no\r\n")


def test_summary_of_an_application_is_read() -> None:
    assert read_summary(VOICE) == MessageSummary(True, {"Voice-Message": (2, 8, 1, 0)})  # noqa: FBT003
    assert read_summary(b"messages-waiting:no\n") == MessageSummary()


def test_summaries_are_summed_up_under_the_address_of_the_user() -> None:
    summary = merged([of_texts(1), read_summary(VOICE), read_summary(VOICE), MessageSummary()])
    assert write_summary(BOB, summary) == (
        b"Messages-Waiting: yes\r\nMessage-Account: sip:bob@example.test\r\n"
        b"Voice-Message: 4/16 (2/0)\r\nText-Message: 1/0\r\n"
    )


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"Messages-Waiting: perhaps\r\n", 400),
        (b"Voice-Message: 1/0\r\n", 400),
        (b"Messages-Waiting: yes\r\nVoice-Message: many\r\n", 400),
        (b"Messages-Waiting: yes\r\nVoice-Message: 9999999/0\r\n", 400),
        ("Messages-Waiting: yes\r\nVoice-Message: \u0663/0\r\n".encode(), 400),
        (b"Messages-Waiting: yes\r\n" + b"x" * LONGEST, 413),
    ],
)
def test_other_documents_are_refused(body: bytes, status: int) -> None:
    with pytest.raises(RemoteError) as refused:
        read_summary(body)
    assert refused.value.status == status
