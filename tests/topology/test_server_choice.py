"""In which order servers are tried that serve the same."""

from __future__ import annotations

from sipmesh.topology.server_choice import NO_SERVERS, ServerChoice, turned

SITES = {"a": "berlin", "b": "paris", "c": "berlin", "d": ""}


def test_servers_are_rotated_by_the_key() -> None:
    names = ("a", "b", "c")
    firsts = {turned(names, f"call-{number}")[0] for number in range(50)}
    assert firsts == set(names)
    assert turned(names, "call-1") == turned(names, "call-1")
    assert sorted(turned(names, "call\udcff")) == ["a", "b", "c"]


def test_rotation_of_no_servers_is_empty() -> None:
    assert turned((), "call-1") == NO_SERVERS.turned("call-1") == ()
    assert not NO_SERVERS


def test_only_server_has_no_order() -> None:
    assert ServerChoice((("a",),)).turned("call-1") == turned(("a",), "call-1") == ("a",)


def test_servers_of_the_own_site_come_first_and_share_the_load() -> None:
    choice = ServerChoice.near("berlin", "abcd", SITES)
    assert choice.groups == (("a", "c"), ("b", "d"))
    orders = [choice.turned(f"call-{number}") for number in range(50)]
    assert {order[0] for order in orders} == {"a", "c"}
    assert {order[2] for order in orders} == {"b", "d"}


def test_servers_are_equal_without_a_site_of_our_own_or_without_a_server_there() -> None:
    assert ServerChoice.near("", "abcd", SITES).groups == (("a", "b", "c", "d"),)
    assert ServerChoice.near("rome", "abcd", SITES).groups == (("a", "b", "c", "d"),)


def test_further_servers_are_tried_last() -> None:
    choice = ServerChoice((("a",),)).then(ServerChoice((("b",), ("c",))))
    assert choice.turned("call-1") == tuple(choice) == ("a", "b", "c")
    assert "b" in choice
    assert "d" not in choice
    assert "a" not in NO_SERVERS
    assert choice
