"""The document in which a server sends what it has traced: split, and read with limits."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from server.tracing.test_hops import AT_FE1
from sipmesh.errors import RemoteError
from sipmesh.server.tracing.shown import LONGEST_HEAD
from sipmesh.server.tracing.trace_document import MOST_MESSAGES, MOST_OCTETS, TraceDocument, documents


def travelled(document: dict[str, object]) -> TraceDocument:
    return TraceDocument.read(json.loads(json.dumps(document)))


def test_message_is_the_same_at_the_other_end() -> None:
    [document] = documents("fe1", "t1", [AT_FE1], 3)
    read = travelled(document)
    assert (read.traced(), read.left_out, read.trace) == ([AT_FE1], 3, "t1")


def test_many_or_long_messages_are_split() -> None:
    many = documents("fe1", "t1", [AT_FE1] * (MOST_MESSAGES + 1), 0)
    assert [len(travelled(one).messages) for one in many] == [MOST_MESSAGES, 1]
    long = documents("fe1", "t1", [replace(AT_FE1, head="a" * LONGEST_HEAD)] * 40, 7)
    assert sum(len(travelled(one).messages) for one in long) == 40
    assert all(len(json.dumps(one)) < 2 * MOST_OCTETS for one in long)
    assert [one["left_out"] for one in long][-1] == 7


def test_what_waits_for_nothing_is_no_document() -> None:
    assert documents("fe1", "t1", [], 0) == []
    assert len(documents("fe1", "t1", [], 1)) == 1


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("at", "yesterday"),
        ("at", "2026-12-01T00:00:00"),
        ("received", "yes"),
        ("head", 5),
        ("head", "a" * (LONGEST_HEAD + 1)),
        ("peer", "a" * 2_000),
        ("octets", -1),
        ("octets", True),
    ],
)
def test_document_that_does_not_fit_is_refused_whole(key: str, value: object) -> None:
    [document] = documents("fe1", "t1", [AT_FE1], 0)
    message: dict[str, Any] = {**document["messages"][0], key: value}  # type: ignore[index]
    with pytest.raises(RemoteError, match=f"messages.0.{key}"):
        TraceDocument.read({**document, "messages": [message]})


def test_text_of_another_server_is_made_printable_again() -> None:
    [document] = documents("fe1", "t1", [replace(AT_FE1, head="INVITE \x1b[2J\nVia: x", peer="\u202ereversed")], 0)
    [message] = travelled(document).traced()
    assert "\x1b" not in message.head
    assert "\n" in message.head
    assert "\u202e" not in message.peer
