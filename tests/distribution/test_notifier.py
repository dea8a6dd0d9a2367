"""The giving side: a subscriber gets what it lacks, in an order that it can use, and only while it is subscribed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from distribution.world import AT, FE1, LIST, MGMT, PEER, REVOKED, TOPOLOGY, Documents, Ends, here
from sipmesh.distribution.event import EVENT, STATUS_EVENT, SubscriptionDialog
from sipmesh.distribution.items import Item, ItemKind, ReplicationState
from sipmesh.distribution.notifier import LONGEST_STATUS, MOST_QUEUED, Notifier
from sipmesh.errors import RemoteError
from sipmesh.sip.message import Request, respond


def status_request(body: bytes) -> Request:
    """A PUBLISH of the server."""
    return here(FE1).first("PUBLISH", MGMT, [("event", STATUS_EVENT)], body)


def test_first_notify_tells_the_state_and_the_items_follow() -> None:
    ends = Ends(Documents([REVOKED, TOPOLOGY]))
    ends.subscribe()
    assert ends.states == [ends.documents.state(PEER)]
    assert [item.body for item in ends.items] == [REVOKED.body, TOPOLOGY.body]
    assert ends.notifier.subscribers == [FE1]


def test_item_that_the_server_holds_is_not_given_again() -> None:
    ends = Ends(Documents([LIST, TOPOLOGY]), ReplicationState({TOPOLOGY.key: (1, TOPOLOGY.digest)}, AT, 1))
    ends.subscribe()
    assert [item.kind for item in ends.items] == [ItemKind.LIST]


def test_newer_crl_comes_before_the_version_and_a_new_crl_after_it() -> None:
    """The signer of the version is judged by the lists; a list that is new is named by the new version alone."""
    newer, new = Item(ItemKind.LIST, b"newer", LIST.name), Item(ItemKind.LIST, b"new", "b/new.crl")
    ends = Ends(Documents([new, newer, TOPOLOGY]), ReplicationState({LIST.key: (0, LIST.digest)}, AT))
    ends.subscribe()
    assert [(item.kind, item.name) for item in ends.items] == [newer.key, TOPOLOGY.key, new.key]


def test_users_are_given_from_the_number_that_the_server_holds() -> None:
    parts = [Item(ItemKind.USERS, b"%d" % number, number=number) for number in (1, 2, 3)]
    ends = Ends(Documents(of_users=parts), ReplicationState({parts[0].key: (2, parts[1].digest)}, AT))
    ends.subscribe()
    assert [item.body for item in ends.items] == [b"3"]


def test_notifier_without_a_shelf_of_users_gives_the_other_items() -> None:
    """A front end gives to its edges: an edge logs in no user. Management has a shelf of users."""
    documents = Documents([TOPOLOGY], of_users=[Item(ItemKind.USERS, b"1", number=1)])
    for users, given in ((None, [b"version 1"]), (documents, [b"version 1", b"1"])):
        ends = Ends(documents)
        ends.notifier = Notifier(
            here(MGMT), documents, lambda _peer, _status: "", lambda _peer, _traced: "", lambda: 0.0, users
        )
        ends.subscribe()
        assert [item.body for item in ends.items] == given


def test_parts_of_many_users_wait_until_the_link_has_written_the_earlier_parts() -> None:
    """All at once they would exceed its write queue, which closes the link: then the server would never get them."""
    part = bytes(MOST_QUEUED // 2)
    parts = [Item(ItemKind.USERS, part + b"%d" % n, str(n), number=2) for n in range(7)]
    ends = Ends(Documents(of_users=parts))
    ends.subscribe()
    assert [item.body for item in ends.items] == [part.body for part in parts]
    ends.documents.of_users = [replace(part, number=3) for part in parts]
    ends.notifier.changed()
    assert MOST_QUEUED <= len(ends.to_server.sent) < 2 * MOST_QUEUED
    ends.notifier.tick()
    assert len(ends.to_server.sent) < 2 * MOST_QUEUED
    ends.to_server.sent.clear()  # the link has written
    ends.notifier.tick()
    assert MOST_QUEUED <= len(ends.to_server.sent) < 2 * MOST_QUEUED
    *_, notify = ends.to_server.taken()
    assert isinstance(notify, Request)
    ends.notifier.responded(ends.to_server.link, respond(notify, 200))
    assert ends.to_server.sent


def test_users_that_a_server_refused_are_sent_again_from_what_it_has_accepted() -> None:
    """Otherwise the next change follows a change that the server does not have, and a removed user stays."""
    changes = [Item(ItemKind.USERS, b"%d" % number, number=number) for number in (1, 2, 3)]
    ends = Ends(Documents(of_users=changes[:1]))
    ends.subscribe()
    ends.refuses, ends.documents.of_users = True, changes[:2]
    ends.notifier.changed()
    ends.exchange()
    assert [item.body for item in ends.items] == [b"1"]
    ends.refuses = False
    ends.notifier.changed()
    ends.exchange()
    assert [item.body for item in ends.items] == [b"1"]  # nothing has changed, and it is not time yet
    ends.documents.of_users = changes
    ends.notifier.give_users_again()
    ends.exchange()
    assert [item.body for item in ends.items] == [b"1", b"2", b"3"]
    ends.notifier.give_users_again()
    assert not ends.to_server.sent


def test_change_is_reported_once() -> None:
    ends = Ends(Documents([TOPOLOGY]))
    ends.subscribe()
    ends.notifier.changed()
    assert not ends.to_server.sent
    ends.documents.given = [replace(TOPOLOGY, body=b"version 2", number=2)]
    ends.notifier.changed()
    ends.exchange()
    assert [item.body for item in ends.items] == [b"version 1", b"version 2"]
    assert ends.states[-1].highest == 2


def test_topology_is_given_again_after_a_refusal() -> None:
    ends = Ends(Documents([TOPOLOGY]))
    ends.subscribe()
    ends.notifier.again("fe2.example.test")
    assert not ends.to_server.sent
    ends.notifier.again(FE1)
    ends.exchange()
    assert [item.body for item in ends.items] == [TOPOLOGY.body] * 2


def test_refresh_is_answered_without_a_second_subscription() -> None:
    ends = Ends(Documents([TOPOLOGY]))
    ends.subscribe()
    ends.now = 43_200.0
    ends.subscriber.tick()
    ends.exchange()
    assert [answer.status for answer in ends.answers if answer.cseq.method == "SUBSCRIBE"] == [200, 200]
    assert len(ends.items) == 1


def test_fetch_is_answered_with_the_state_only() -> None:
    """RFC 6665 section 4.4.3."""
    ends = Ends(Documents([TOPOLOGY]))
    ends.subscribe(stays=False)
    assert (len(ends.states), ends.items, ends.notifier.subscribers) == (1, [], [])


def test_subscription_ends_with_its_link() -> None:
    ends = Ends(Documents([TOPOLOGY]))
    ends.subscribe()
    ends.notifier.gone(ends.to_server.link)
    ends.documents.given = []
    ends.notifier.changed()
    assert (ends.notifier.subscribers, bytes(ends.to_server.sent)) == ([], b"")


def test_removed_server_gets_no_further_notifies() -> None:
    ends = Ends(Documents([TOPOLOGY]))
    ends.subscribe()
    ends.notifier.use_topology(lambda _: PEER)
    assert ends.notifier.subscribers == [FE1]
    ends.notifier.use_topology(lambda _: None)
    assert ends.notifier.subscribers == []


def test_status_is_accepted_on_the_link_of_the_subscription() -> None:
    ends = Ends(Documents([TOPOLOGY]))
    ends.subscribe()
    ends.subscriber.publish({"number": 1})
    ends.exchange()
    assert ends.statuses == [{"number": 1}]
    assert (ends.answers[-1].status, ends.answers[-1].cseq.method) == (200, "PUBLISH")
    assert ends.answers[-1].first("sip-etag")


def test_status_without_a_subscription_is_refused() -> None:
    ends = Ends()
    assert ends.notifier.published(ends.to_server.link, PEER, status_request(b"{}")).status == 403
    assert ends.statuses == []


@pytest.mark.parametrize(("octets", "status"), [(LONGEST_STATUS, 200), (LONGEST_STATUS + 1, 413)])
def test_longest_status_is_one_mebibyte(octets: int, status: int) -> None:
    ends = Ends()
    ends.subscribe()
    body = b'{"a":"' + b"x" * (octets - 8) + b'"}'
    assert ends.notifier.published(ends.to_server.link, PEER, status_request(body)).status == status


@pytest.mark.parametrize("body", [b"", b"[]", b"nothing", b"[" * 100_000])
def test_status_that_is_not_an_object_is_a_remote_error(body: bytes) -> None:
    ends = Ends()
    ends.subscribe()
    with pytest.raises(RemoteError, match="a document that cannot be read"):
        ends.notifier.published(ends.to_server.link, PEER, status_request(body))


def test_fault_in_a_status_is_named_in_the_answer() -> None:
    ends = Ends(fault='"number" is missing')
    ends.subscribe()
    answer = ends.notifier.published(ends.to_server.link, PEER, status_request(b"{}"))
    assert (answer.status, answer.first("warning")) == (400, f'399 {MGMT} "\\"number\\" is missing"')


def test_subscription_with_an_unreadable_state_is_refused() -> None:
    ends = Ends()
    request = here(FE1).first("SUBSCRIBE", MGMT, [("event", EVENT)], b"nothing")
    with pytest.raises(RemoteError, match="a state that cannot be read"):
        ends.notifier.subscribed(ends.to_server.link, PEER, request, stays=True)
    assert (ends.notifier.subscribers, bytes(ends.to_server.sent)) == ([], b"")


def test_request_in_the_dialog_of_another_link_begins_a_subscription_of_its_own() -> None:
    """The tag of another dialog proves nothing: the link decides."""
    ends = Ends(Documents([TOPOLOGY]))
    ends.subscribe()
    dialog = SubscriptionDialog("another", "theirs", "not-ours", MGMT)
    body = ReplicationState({}, AT).encode()
    request = here(FE1).next("SUBSCRIBE", dialog, [("event", EVENT), ("expires", "60")], body)
    ends.notifier.subscribed(ends.to_server.link, PEER, request, stays=True)
    assert len(ends.to_server.taken()) == 3
    assert ends.notifier.subscribers == [FE1]
