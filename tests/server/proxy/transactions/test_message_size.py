"""What a reader with our limits would refuse."""

from __future__ import annotations

import pytest

from routing.messages import request
from sipmesh.server.proxy.transactions.message_size import is_too_long
from sipmesh.sip.framing import MAX_HEADER, MAX_ROWS


@pytest.mark.parametrize(("more", "too_long"), [(0, False), (1, True)])
def test_message_may_have_at_most_so_many_rows(more: int, *, too_long: bool) -> None:
    message = request()
    while len(message.rows) < MAX_ROWS + more:
        message.append("x-row", "1")
    assert is_too_long(message, len(message.encode())) is too_long


@pytest.mark.parametrize(("more", "too_long"), [(0, False), (1, True)])
def test_header_may_have_at_most_so_many_octets(more: int, *, too_long: bool) -> None:
    """The body does not count."""
    message = request()
    message.body = b"x" * 1_000
    assert is_too_long(message, MAX_HEADER + 1_000 + more) is too_long
