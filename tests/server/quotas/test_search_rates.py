"""Searches of one user, and of all users together, in a minute and in an hour."""

from __future__ import annotations

from sipmesh.server.quotas.search_rates import SEARCHES_A_MINUTE, SEARCHES_AN_HOUR, SEARCHES_OF_ALL, SearchRates

ALICE, BOB = "sip:alice@example.test", "sip:bob@example.test"


def admitted(rates: SearchRates, user: str, most: int) -> int:
    """Search until one search is refused, *most* times at most; gives how many were made."""
    return next((n for n in range(most) if not rates.admits(user)), most)


def test_user_has_its_searches_each_minute_and_others_do_not_notice() -> None:
    now = [0.0]
    rates = SearchRates(lambda: now[0])
    assert admitted(rates, ALICE, 100) == SEARCHES_A_MINUTE
    assert rates.admits(BOB)
    now[0] = 60.0
    assert admitted(rates, ALICE, 100) == SEARCHES_A_MINUTE


def test_user_has_fewer_searches_in_an_hour_than_sixty_minutes_have() -> None:
    now = [0.0]
    rates = SearchRates(lambda: now[0])
    total = 0
    for minute in range(60):
        now[0] = minute * 60.0
        total += admitted(rates, ALICE, 100)
    assert total == SEARCHES_AN_HOUR
    now[0] = 3600.0
    assert rates.admits(ALICE)


def test_searches_of_all_users_together_are_bounded() -> None:
    now = [0.0]
    rates = SearchRates(lambda: now[0])
    users = [f"sip:user{n}@example.test" for n in range(SEARCHES_OF_ALL)]
    assert all(map(rates.admits, users))
    assert not rates.admits(ALICE)
    now[0] = 60.0
    assert rates.admits(ALICE)
