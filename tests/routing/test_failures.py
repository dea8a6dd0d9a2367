import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipmesh.routing.failures import FailureLimits, Failures, Penalty, network_of

LIMITS = FailureLimits()


def fail(failures: Failures, times: int, *, link: object = 1, address: str = "192.0.2.1", user: str = "a") -> Penalty:
    """Fail *times* times, each a moment after the other, and give what the last one cost."""
    assert hasattr(link, "__hash__")
    penalties = [failures.failed(hash(link), address, user, at=float(second)) for second in range(times)]
    return penalties[-1]


@pytest.mark.parametrize(("times", "delay_s"), [(1, 0.0), (2, 0.0), (3, 0.5), (4, 1.0), (5, 2.0), (6, 4.0), (7, 8.0)])
def test_each_failure_on_a_link_waits_twice_as_long(times: int, delay_s: float) -> None:
    assert fail(Failures(LIMITS), times) == Penalty(delay_s)


@pytest.mark.parametrize(("times", "closed"), [(7, False), (8, True)])
def test_a_link_is_closed_at_its_limit(*, times: int, closed: bool) -> None:
    assert fail(Failures(LIMITS), times).close is closed


@pytest.mark.parametrize(("times", "closed"), [(39, False), (40, True)])
def test_an_address_is_closed_at_its_limit_however_many_links_and_users_it_takes(*, times: int, closed: bool) -> None:
    failures = Failures(LIMITS)
    for number in range(times):
        last = failures.failed(number, "192.0.2.1", f"user{number}", at=0.0)
    assert last.close is closed
    assert failures.is_closed_to("192.0.2.1", at=0.0) is closed
    assert not failures.is_closed_to("192.0.2.2", at=0.0)


def test_a_user_is_slowed_down_but_never_locked_out_by_others() -> None:
    """A thousand strangers may fail in alice's name; alice waits two seconds at most."""
    failures = Failures(LIMITS)
    for number in range(1000):
        last = failures.failed(number, f"192.0.{number // 256}.{number % 256}", "alice", at=0.0)
    assert last == Penalty(2.0)


def test_the_right_password_clears_the_link_and_the_user_but_not_the_address() -> None:
    failures = Failures(LIMITS)
    fail(failures, 39)
    failures.proved(1, "a")
    assert failures.failed(2, "192.0.2.9", "a", at=40.0) == Penalty(0.0)
    assert failures.failed(1, "192.0.2.1", "a", at=40.0).why == "40 failed logins from 192.0.2.1"


@pytest.mark.parametrize(("late", "held"), [(599.0, True), (600.0, False)])
def test_a_count_starts_anew_after_a_while_without_failures(*, late: float, held: bool) -> None:
    failures = Failures(LIMITS)
    for number in range(40):
        failures.failed(number, "192.0.2.1", "a", at=0.0)
    assert failures.is_closed_to("192.0.2.1", at=late) is held


@given(st.lists(st.tuples(st.integers(0, 30), st.ip_addresses(v=4), st.text(max_size=3)), max_size=200))
def test_memory_is_bounded(failed: list[tuple[int, object, str]]) -> None:
    failures = Failures(FailureLimits(most_counted=8))
    for link, address, user in failed:
        failures.failed(link, str(address), user, at=0.0)
    counts = [int(part.partition("=")[2].rstrip(">")) for part in repr(failures).split()[1:]]
    assert max(counts) <= 8


def test_a_flood_of_users_does_not_wash_an_address_away() -> None:
    failures = Failures(FailureLimits(most_counted=8))
    for number in range(40):
        failures.failed(number, "192.0.2.1", f"user{number}", at=0.0)
    assert failures.is_closed_to("192.0.2.1", at=0.0)


def test_a_closed_link_is_forgotten() -> None:
    failures = Failures(LIMITS)
    fail(failures, 2)
    failures.gone(1)
    assert repr(failures) == "<Failures links=0 addresses=1 users=1>"


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
def test_an_attacker_has_an_address_of_ipv4_or_a_network_of_ipv6(address: str, network: str) -> None:
    assert network_of(address) == network
