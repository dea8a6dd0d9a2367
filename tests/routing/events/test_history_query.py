"""What a user asks of its history is read strictly: what cannot be read leads to no page, and erases nothing."""

from __future__ import annotations

import json

import pytest

from routing.events.test_history_entry import message
from sipmesh.routing.events.history_query import LONGEST_ORDER, document, is_of_user, order_of, query_of
from sipmesh.routing.identity.sender import ClientSender


@pytest.mark.parametrize(
    ("event", "query"),
    [
        ("message-history", (None, 0)),
        ("message-history;before=17", (None, 17)),
        ("message-history;with=bob%40example.test", ("bob@example.test", 0)),
        ("message-history;with=%ff;before=1", ("\ufffd", 1)),
        ("message-history;before=-1", None),
        ("message-history;before=x", None),
        ("message-history;before=" + "9" * 19, None),
        ("message-history;before=1;before=2", None),
        ("message-history;=", None),
    ],
)
def test_query_is_read_or_none(event: str, query: tuple[str | None, int] | None) -> None:
    assert query_of(event) == query


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b'{"erase": "bob@example.test"}', "bob@example.test"),
        (b'{"erase": "*"}', "*"),
        (b'{"erase": "*", "erase": "x"}', None),
        (b'{"erase": ""}', None),
        (b"[" * 2_000, None),
        (b'{"erase": "' + b"x" * LONGEST_ORDER + b'"}', None),
    ],
)
def test_order_is_read_or_none(body: bytes, what: str | None) -> None:
    assert order_of(message(body)) == what


def test_user_on_its_own_link_asks_for_itself() -> None:
    assert is_of_user(ClientSender(1, 1), "pool1.example.test")


def test_row_that_this_release_cannot_read_is_left_out() -> None:
    assert json.loads(document("messages", [(1, b"{}")], 7)) == {"messages": [], "before": 7}
