"""The limits of the links: each has a reason, and some depend on the kind of link."""

from __future__ import annotations

import pytest

from sipmesh.transport.limits import Limits, reasons
from sipmesh.trust.evidence import LinkKind


def test_every_limit_has_a_reason() -> None:
    assert all(reasons().values())
    assert len(reasons()) > 20


@pytest.mark.parametrize(("kind", "body"), [(LinkKind.CLIENT, 131_072), (LinkKind.SERVER, 5_000_000)])
def test_body_limit_follows_the_kind_of_link(kind: LinkKind, body: int) -> None:
    assert Limits().reading(kind).body == body


def test_links_of_one_kind_share_one_object_of_read_limits() -> None:
    assert Limits().reading(LinkKind.SERVER) is Limits().reading(LinkKind.PARTNER)


@pytest.mark.parametrize(
    ("kind", "first", "later"),
    [(LinkKind.CLIENT, 49_152, 1_048_576), (LinkKind.SERVER, 16_777_216, 16_777_216)],
)
def test_client_may_queue_more_once_it_has_logged_in(kind: LinkKind, first: int, later: int) -> None:
    limits = Limits()
    assert (limits.queue_bytes_at_first(kind), limits.queue_bytes(kind)) == (first, later)


def test_queue_before_a_login_is_never_longer_than_after_it() -> None:
    assert Limits(queue_client_bytes=1_000).queue_bytes_at_first(LinkKind.CLIENT) == 1_000


@pytest.mark.parametrize(
    ("kind", "first", "later"), [(LinkKind.CLIENT, 49_152, 229_376), (LinkKind.SERVER, 5_098_304, 5_098_304)]
)
def test_client_may_send_more_once_it_has_logged_in(kind: LinkKind, first: int, later: int) -> None:
    limits = Limits()
    sizes = [one.header + one.growth + one.body for one in (limits.reading_at_first(kind), limits.reading(kind))]
    assert sizes == [first, later]


def test_message_before_a_login_is_never_larger_than_after_it() -> None:
    reading = Limits(header_bytes=1_000, body_client_bytes=100).reading_at_first(LinkKind.CLIENT)
    assert (reading.header, reading.body) == (1_000, 100)
