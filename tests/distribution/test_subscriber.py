"""The taking side: only what belongs to a subscription of this server is taken, and only in order."""

from __future__ import annotations

import pytest

from distribution.world import FE1, LIST, MGMT, TOPOLOGY, Documents, Ends, here
from sipmesh.distribution.event import EVENT, EXPIRES_S, ITEM, JSON, SubscriptionDialog
from sipmesh.distribution.items import ReplicationState
from sipmesh.errors import RemoteError
from sipmesh.sip.message import Request, Response, respond


def begun(ends: Ends) -> Request:
    """Subscribe, and give the SUBSCRIBE as management reads it."""
    ends.subscriber.subscribe(ends.to_management.link, MGMT)
    [request] = ends.to_management.taken()
    assert isinstance(request, Request)
    return request


def accepted(ends: Ends) -> SubscriptionDialog:
    """Subscribe and be accepted; gives the dialog as management has it."""
    request = begun(ends)
    ends.subscriber.responded(ends.to_management.link, respond(request, 200, to_tag="m"))
    return SubscriptionDialog(request.call_id, "m", request.from_.tag or "", FE1)


def notify(
    dialog: SubscriptionDialog, *headers: tuple[str, str], body: bytes = b"", standing: str = "active"
) -> Request:
    """The next NOTIFY of a dialog."""
    fixed = [("event", EVENT), ("subscription-state", standing), *headers]
    return here(MGMT).next("NOTIFY", dialog, fixed, body, JSON)


def test_subscribe_has_the_state_of_the_server() -> None:
    ends = Ends()
    request = begun(ends)
    assert ReplicationState.decode(request.body) == ends.holds
    assert (request.expires, request.first("event")) == (EXPIRES_S, EVENT)


def test_subscription_is_active_after_a_2xx() -> None:
    ends = Ends()
    request = begun(ends)
    assert ends.subscriber.standing == []
    ends.subscriber.responded(ends.to_management.link, respond(request, 200, to_tag="m"))
    assert ends.subscriber.standing == [ends.to_management.link]
    assert ends.settled == [ends.to_management.link]


def test_refused_subscription_ends() -> None:
    ends = Ends()
    request = begun(ends)
    ends.subscriber.responded(ends.to_management.link, respond(request, 403))
    assert (ends.subscriber.standing, ends.settled) == ([], [])
    dialog = SubscriptionDialog(request.call_id, "m", request.from_.tag or "", FE1)
    assert ends.subscriber.notified(ends.to_management.link, notify(dialog)).status == 481


def test_answer_on_another_link_or_to_another_request_is_ignored() -> None:
    ends, other = Ends(), Ends()
    request = begun(ends)
    answer = respond(request, 200, to_tag="m")
    ends.subscriber.responded(other.to_management.link, answer)
    ends.subscriber.responded(ends.to_management.link, respond(begun(other), 200))
    ends.subscriber.responded(ends.to_management.link, respond(request, 100))
    assert ends.subscriber.standing == []
    ends.subscriber.responded(ends.to_management.link, answer)
    assert ends.subscriber.standing == [ends.to_management.link]


def test_answer_after_the_end_of_the_subscription_changes_nothing() -> None:
    ends = Ends()
    request = begun(ends)
    dialog = SubscriptionDialog(request.call_id, "m", request.from_.tag or "", FE1)
    ended = notify(dialog, body=ends.holds.encode(), standing="terminated;reason=timeout")
    assert ends.subscriber.notified(ends.to_management.link, ended).status == 200
    ends.subscriber.responded(ends.to_management.link, respond(request, 200, to_tag="m"))
    assert (ends.subscriber.standing, ends.settled) == ([], [])


def test_notify_before_the_answer_is_taken() -> None:
    """It may overtake the 200 to the SUBSCRIBE (RFC 6665 section 4.1.2.4)."""
    ends = Ends()
    request = begun(ends)
    dialog = SubscriptionDialog(request.call_id, "m", request.from_.tag or "", FE1)
    told = notify(dialog, body=ends.holds.encode())
    assert ends.subscriber.notified(ends.to_management.link, told).status == 200
    assert ends.states == [ends.holds]


@pytest.mark.parametrize("changed", ["call_id", "local", "remote"])
def test_notify_of_another_dialog_is_refused(changed: str) -> None:
    ends = Ends()
    dialog = accepted(ends)
    assert ends.subscriber.notified(ends.to_management.link, notify(dialog, body=ends.holds.encode())).status == 200
    setattr(dialog, changed, "another")
    assert ends.subscriber.notified(ends.to_management.link, notify(dialog, body=ends.holds.encode())).status == 481
    assert len(ends.states) == 1


def test_notify_on_another_link_is_refused() -> None:
    ends = Ends()
    dialog = accepted(ends)
    other = Ends().to_management.link
    assert ends.subscriber.notified(other, notify(dialog, body=ends.holds.encode())).status == 481


def test_notify_out_of_order_is_refused() -> None:
    """RFC 3261 section 12.2.2: 500, and nothing of it is taken."""
    ends = Ends()
    dialog = accepted(ends)
    told = notify(dialog, body=ends.holds.encode())
    ends.subscriber.notified(ends.to_management.link, told)
    with pytest.raises(RemoteError, match="a NOTIFY out of order") as refused:
        ends.subscriber.notified(ends.to_management.link, told)
    assert (refused.value.status, len(ends.states)) == (500, 1)


def test_item_with_another_digest_than_its_header_says_is_refused() -> None:
    ends = Ends()
    dialog = accepted(ends)
    with pytest.raises(RemoteError, match="does not match its digest"):
        ends.subscriber.notified(ends.to_management.link, notify(dialog, (ITEM, LIST.header), body=b"other"))
    assert ends.items == []


def test_refresh_is_sent_at_half_the_life() -> None:
    ends = Ends(Documents([TOPOLOGY]))
    ends.subscribe()
    for now, sent in ((EXPIRES_S / 2 - 1, 0), (EXPIRES_S / 2, 1), (EXPIRES_S / 2 + 1, 0)):
        ends.now = now
        ends.subscriber.tick()
        assert len(ends.to_management.taken()) == sent


def test_status_is_published_on_active_subscriptions_only() -> None:
    ends = Ends()
    begun(ends)
    ends.subscriber.publish({"number": 1})
    assert not ends.to_management.sent
    accepted(ends)
    ends.subscriber.publish({"number": 1})
    [request] = ends.to_management.taken()
    assert not isinstance(request, Response)
    assert (request.method, request.body) == ("PUBLISH", b'{"number":1}')


def test_fetch_makes_no_active_subscription() -> None:
    ends = Ends(Documents([TOPOLOGY]))
    ends.subscribe(stays=False)
    assert (len(ends.states), ends.subscriber.standing, ends.settled) == (1, [], [])


def test_closed_link_is_removed_with_its_requests() -> None:
    ends = Ends()
    dialog = accepted(ends)
    ends.subscriber.gone(ends.to_management.link)
    assert (ends.subscriber.standing, ends.subscriber._asked) == ([], {})
    assert ends.subscriber.notified(ends.to_management.link, notify(dialog)).status == 481
