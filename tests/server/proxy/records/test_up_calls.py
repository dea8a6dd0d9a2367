"""The calls that are up, and what becomes of them when links close."""

from __future__ import annotations

from sipmesh.server.proxy.records.up_calls import UpCall, UpCalls
from support.recording import up_entry


def call(key: str, links: tuple[int, ...] = ()) -> UpCall:
    """Make a call that is up."""
    return UpCall(up_entry(id=key), key, 1.0, links)


def test_call_is_lost_with_the_first_of_its_links_and_known_by_the_time_of_that() -> None:
    calls = UpCalls()
    calls.add(call("a", (1, 2)))
    calls.add(call("b", (3,)))
    calls.link_down(1, "alice@example.test", 10.0)
    calls.link_down(2, "bob@example.test", 20.0)
    assert not calls.lost_before(9.0)
    ((key, lost),) = calls.lost_before(10.0)
    assert (key, lost.lost_for, lost.lost_at) == ("a", "alice@example.test", 10.0)


def test_call_that_ended_leaves_nothing_behind() -> None:
    calls = UpCalls()
    calls.add(call("a", (1,)))
    calls.link_down(1, "alice@example.test", 1.0)
    assert calls.end_dialog("a") is not None
    assert calls.end_dialog("a") is None
    calls.link_down(1, "alice@example.test", 2.0)
    assert not calls.lost_before(9.0)
    assert not list(calls)


def test_oldest_call_gives_way() -> None:
    calls = UpCalls()
    assert calls.remove_oldest() is None
    for name in "ab":
        calls.add(call(name))
    oldest = calls.remove_oldest()
    assert oldest is not None
    assert oldest.dialogs == ["a"]
    assert (len(calls), calls.has("b")) == (1, True)


def test_phone_that_is_looked_up_is_looked_up_once() -> None:
    calls = UpCalls()
    calls.add(call("a", (1,)))
    calls.link_down(1, "alice@example.test", 1.0)
    calls.await_return("a")
    assert not calls.lost_before(9.0)
    assert calls.has("a")


def test_call_with_two_dialogs_is_over_with_the_last_one() -> None:
    """Two phones have answered a forked INVITE. The first dialog to end does not end the call, nor what is known of its links."""
    calls, forked = UpCalls(), call("a", (1,))
    calls.add(forked)
    calls.fork(forked, "b")
    assert [len(list(calls)), len(calls)] == [1, 2]
    assert calls.end_dialog("a") is None
    calls.link_down(1, "alice@example.test", 1.0)
    assert [key for key, _ in calls.lost_before(9.0)] == ["b"]
    assert calls.end_dialog("b") is forked
    assert not calls.lost_before(9.0)
    assert len(calls) == 0


def test_lost_call_keeps_its_place_when_its_first_dialog_ends() -> None:
    calls, forked = UpCalls(), call("a", (1,))
    calls.add(forked)
    calls.add(call("c", (2,)))
    calls.fork(forked, "b")
    calls.link_down(1, "alice@example.test", 1.0)
    calls.link_down(2, "carol@example.test", 2.0)
    assert calls.end_dialog("a") is None
    assert [key for key, _ in calls.lost_before(9.0)] == ["b", "c"]
    assert calls.remove(forked) is forked
    assert [key for key, _ in calls.lost_before(9.0)] == ["c"]
