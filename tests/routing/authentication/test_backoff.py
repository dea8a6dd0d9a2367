"""The delays after failed logins, the displaced attempts, and when a link is closed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipmesh.routing.authentication.backoff import Attempt, FailureCount, FailureLimits, LoginBackoff, network_of
from sipmesh.sip.text_cache import LONGEST_KEY

LIMITS = FailureLimits()


def attempt(link: int = 1, address: str = "192.0.2.1", user: str = "a") -> Attempt:
    return Attempt(str(link), address, user)


def fail(failures: LoginBackoff, times: int, *, at: float = 0.0, **who: object) -> None:
    """Fail *times* times, each on a link of its own."""
    for number in range(times):
        failures.failed(attempt(**{"link": 1_000 + number, **who}), at)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("times", "delay_s"), [(0, 0.0), (1, 0.0), (2, 0.5), (3, 1.0), (4, 2.0), (5, 4.0), (6, 8.0), (7, 8.0), (5_000, 8.0)]
)
def test_next_attempt_for_a_user_at_an_address_waits_twice_as_long_after_each_failure(
    times: int, delay_s: float
) -> None:
    failures = LoginBackoff(FailureLimits(address_free=1 << 30))
    fail(failures, times)
    assert failures.delay_s(attempt(), 0.0) == delay_s


@pytest.mark.parametrize("other", [{"user": "b"}, {"address": "192.0.2.2"}])
def test_failures_of_a_user_at_an_address_slow_down_no_other_user_and_no_other_address(other: dict[str, str]) -> None:
    failures = LoginBackoff(LIMITS)
    fail(failures, LIMITS.address_free - 1)
    assert failures.delay_s(attempt(**other), 0.0) == 0.0  # type: ignore[arg-type]


@pytest.mark.parametrize(("times", "delay_s"), [(49, 0.0), (50, 2.0), (5_000, 2.0)])
def test_address_that_fails_for_many_users_has_a_fixed_delay(times: int, delay_s: float) -> None:
    failures = LoginBackoff(LIMITS)
    for number in range(times):
        failures.failed(attempt(number, user=f"user{number}"), 0.0)
    assert failures.delay_s(attempt(9_999, user="colleague"), 0.0) == delay_s
    assert failures.delay_s(attempt(9_999, "192.0.2.2", "colleague"), 0.0) == 0.0


def test_waiting_attempts_count_as_failures() -> None:
    failures, waited = LoginBackoff(LIMITS), []
    fail(failures, 2)
    for number in range(6):
        asked = attempt(number)
        waited.append(failures.delay_s(asked, 0.0))
        failures.wait(asked)
    assert waited == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0]


@pytest.mark.parametrize(("times", "closed"), [(7, False), (8, True)])
def test_link_is_closed_at_its_limit(*, times: int, closed: bool) -> None:
    failures = LoginBackoff(LIMITS)
    assert [failures.failed(attempt(), 0.0) for _ in range(times)][-1] is closed
    assert failures.is_closed_to(attempt(), 0.0) is closed


def test_waiting_attempts_use_up_the_attempts_of_a_link() -> None:
    failures = LoginBackoff(LIMITS)
    failures.failed(attempt(), 0.0)
    for _ in range(LIMITS.link_closes_at - 1):
        assert not failures.is_closed_to(attempt(), 0.0)
        failures.wait(attempt())
    assert failures.is_closed_to(attempt(), 0.0)


@pytest.mark.parametrize(("more", "gone"), [(0, 0), (1, 1)])
def test_oldest_attempt_for_a_user_at_an_address_is_displaced_at_the_limit(more: int, gone: int) -> None:
    failures = LoginBackoff(LIMITS)
    other = attempt(0, user="b")
    failures.wait(other)
    attempts = [attempt(number) for number in range(1, LIMITS.waiting_per_user + more + 1)]
    displaced = [one for asked in attempts for one in failures.wait(asked)]
    assert displaced == attempts[:gone]
    assert [failures.waited(one) for one in displaced] == [False] * gone
    assert failures.waited(other)


@pytest.mark.parametrize(("more", "gone"), [(0, 0), (1, 1)])
def test_oldest_attempt_from_an_address_is_displaced_at_the_limit(more: int, gone: int) -> None:
    failures = LoginBackoff(LIMITS)
    other = attempt(0, "192.0.2.2")
    failures.wait(other)
    attempts = [attempt(number, user=f"user{number}") for number in range(1, LIMITS.waiting_per_address + more + 1)]
    assert [one for asked in attempts for one in failures.wait(asked)] == attempts[:gone]
    assert failures.waited(other)


def test_right_password_resets_the_link_and_not_the_user() -> None:
    """A reset count would tell an attacker at that address that the user has logged in, and so exists."""
    failures = LoginBackoff(LIMITS)
    for _ in range(5):
        failures.failed(attempt(), 0.0)
    failures.proved("1")
    assert not failures.is_closed_to(attempt(), 0.0)
    assert failures.delay_s(attempt(2), 0.0) == 4.0


@pytest.mark.parametrize(("late", "delay_s"), [(599.0, 8.0), (600.0, 0.0)])
def test_count_restarts_after_a_time_without_failures(late: float, delay_s: float) -> None:
    failures = LoginBackoff(LIMITS)
    fail(failures, 8)
    assert failures.delay_s(attempt(), late) == delay_s


@given(st.lists(st.tuples(st.integers(0, 30), st.ip_addresses(v=4), st.text(max_size=3)), max_size=200))
def test_memory_is_bounded(failed: list[tuple[int, object, str]]) -> None:
    failures = LoginBackoff(FailureLimits(most_counted=8, waiting_in_all=8))
    for link, address, user in failed:
        failures.failed(attempt(link, str(address), user), 0.0)
        failures.wait(attempt(link, str(address), user))
    assert max(len(failures._links), len(failures._addresses), len(failures._users), len(failures.waiting)) <= 8


def test_closed_link_is_forgotten_with_its_attempts() -> None:
    failures = LoginBackoff(LIMITS)
    asked = attempt()
    failures.failed(asked, 0.0)
    failures.wait(asked)
    failures.gone("1")
    assert not failures.waited(asked)


def test_long_name_of_a_stranger_is_not_kept() -> None:
    """A stranger may claim names as long as a URI, and each of them is counted."""
    claimed = [Attempt("1", "192.0.2.1", f"sip:{8_000 * letter}", "fe2.example.test") for letter in "ab"]
    assert max(len(name) for one in claimed for name in (one.user, one.through)) < 2 * LONGEST_KEY
    assert claimed[0].user != claimed[1].user
    assert claimed[0].through != claimed[1].through


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("nonsense:", "nonsense:"),
    ],
)
def test_network_is_an_ipv4_address_or_an_ipv6_64(address: str, network: str) -> None:
    assert network_of(address) == network


def handed_over(failures: LoginBackoff, at: float) -> LoginBackoff:
    """What a process knows that has just started, at its own time 0."""
    started = LoginBackoff(FailureLimits())
    for count in failures.counts(at):
        started.failed_before(count, 0.0)
    return started


def test_process_that_starts_later_delays_users_and_addresses_as_the_others_do() -> None:
    failures = LoginBackoff(FailureLimits())
    fail(failures, 4)
    for number in range(FailureLimits().address_free):
        fail(failures, 1, user=f"u{number}", address="192.0.2.2")
    started = handed_over(failures, 10.0)
    for other in (attempt(9), attempt(9, user="b"), attempt(9, address="192.0.2.2", user="new")):
        assert started.delay_s(other, 0.0) == failures.delay_s(other, 10.0)
    assert not started.is_closed_to(attempt(1), 0.0)


def test_counts_that_are_handed_over_end_when_those_of_the_others_do() -> None:
    failures = LoginBackoff(FailureLimits())
    fail(failures, 4)
    late = FailureLimits().forget_after_s
    started = handed_over(failures, late - 1)
    assert started.delay_s(attempt(9), 0.9) == failures.delay_s(attempt(9), late - 0.1) > 0
    assert started.delay_s(attempt(9), 1.0) == failures.delay_s(attempt(9), late) == 0
    assert not list(failures.counts(late))


def test_count_that_is_handed_over_lowers_no_count_and_counts_nothing_twice() -> None:
    failures = LoginBackoff(FailureLimits())
    fail(failures, 4)
    [before, _] = failures.counts(0.0)
    fail(failures, 2)
    failures.failed_before(before, 0.0)
    assert [count.failed for count in failures.counts(0.0)] == [6, 6]


def test_counts_that_are_handed_over_are_bounded() -> None:
    failures = LoginBackoff(FailureLimits(most_counted=2))
    for number in range(3):
        failures.failed_before(FailureCount(of_address=False, key=f"192.0.2.1 {number}", failed=1, age_s=0.0), 0.0)
    assert [count.key for count in failures.counts(0.0)] == ["192.0.2.1 1", "192.0.2.1 2"]
