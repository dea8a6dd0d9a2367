"""One notifier for each user, the same at every server of the pool."""

from __future__ import annotations

from collections import Counter

from sipmesh.routing.events.notifier_choice import notifier_of

SERVERS = ("fe1", "fe2", "fe3")
USERS = [f"sip:user{number}@example.test" for number in range(300)]


def test_choice_does_not_depend_on_the_order_and_is_spread() -> None:
    chosen = [notifier_of(aor, SERVERS, ()) for aor in USERS]
    assert chosen == [notifier_of(aor, SERVERS[::-1], ()) for aor in USERS]
    assert min(Counter(chosen).values()) > 60


def test_only_the_users_of_a_server_that_is_down_move() -> None:
    for aor in USERS:
        before, after = notifier_of(aor, SERVERS, ()), notifier_of(aor, SERVERS, {"fe2"})
        assert after == before if before != "fe2" else after in {"fe1", "fe3"}


def test_without_servers_there_is_no_notifier() -> None:
    assert notifier_of(USERS[0], SERVERS, SERVERS) == ""
