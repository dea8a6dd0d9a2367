"""The recorded failed logins: they answer for every user, and a network with many failures displaces only its own."""

from __future__ import annotations

import pytest

from sipmesh.printable import is_printable
from sipmesh.routing.authentication.digest import authenticate
from sipmesh.server.proxy.login.login_failures import (
    LONGEST_AGENT,
    LONGEST_USER,
    FailedLogin,
    LoginFailures,
    MemoryLimits,
    flaw_class,
)

BOB = "sip:bob@example.test"
SMALL = MemoryLimits(of_a_network=3, of_known=5, of_unknown=4)
NOON = 1_764_072_000.0


def failed(
    user: str = BOB, remote: str = "192.0.2.1", flaw: str = "wrong password", *, known: bool = True
) -> FailedLogin:
    return FailedLogin(user, known, flaw, remote, "phone/1", closed=False)


def test_repeated_failures_are_one_entry_with_their_count_and_both_instants() -> None:
    memory = LoginFailures()
    for second in range(3):
        memory.record(failed(), NOON + second)
    [entry] = memory.of(BOB)
    assert (entry.count, entry.first_at, entry.last_at) == (3, NOON, NOON + 2)
    memory.record(failed(flaw="SHA-256 was not offered"), NOON + 9)
    assert [one.flaw for one in memory.of(BOB)] == ["SHA-256 was not offered", "wrong password"]


@pytest.mark.parametrize(("names", "kept"), [(3, 3), (4, 3)])
def test_entries_of_one_network_are_limited(names: int, kept: int) -> None:
    memory = LoginFailures(SMALL)
    memory.record(failed(), NOON)
    for number in range(names):
        memory.record(failed(f"sip:u{number}@example.test", "2001:db8::1:2"), NOON + number + 1)
    assert len(memory.newest(99)) == kept + 1
    assert memory.of(BOB)


def test_network_with_many_failures_displaces_no_other() -> None:
    """Neither with the names of users nor with unknown names."""
    memory = LoginFailures()
    memory.record(failed(remote="198.51.100.9"), NOON)
    memory.record(failed("sip:typo@example.test", "198.51.100.9", "unknown user", known=False), NOON)
    for number in range(20_000):
        memory.record(failed(f"sip:u{number}@example.test"), NOON + number)
        memory.record(failed(f"sip:x{number}@example.test", flaw="unknown user", known=False), NOON + number)
    assert memory.of(BOB)
    assert memory.of("sip:typo@example.test")
    assert len(memory.newest(99_999)) == 2 * MemoryLimits().of_a_network + 2


def test_new_network_displaces_the_least_recent_one() -> None:
    memory = LoginFailures(SMALL)
    for number in range(5):
        memory.record(failed(f"sip:u{number}@example.test", f"203.0.113.{number}"), NOON + number)
    memory.record(failed("sip:u0@example.test", "203.0.113.0"), NOON + 5)
    memory.record(failed(), NOON + 6)
    assert [one.user[5] for one in memory.newest(9)] == ["o", "0", "4", "3", "2"]


@pytest.mark.parametrize(("entries", "kept"), [(5, 5), (6, 5)])
def test_number_of_entries_is_limited_and_a_network_with_several_loses_its_own(entries: int, kept: int) -> None:
    memory = LoginFailures(SMALL)
    memory.record(failed(), NOON)
    for number in range(entries - 1):
        memory.record(failed(f"sip:u{number}@example.test", f"203.0.113.{number // 3}"), NOON + number + 1)
    assert len(memory.newest(99)) == kept
    assert memory.of(BOB)


def test_unknown_names_do_not_displace_users() -> None:
    memory = LoginFailures(SMALL)
    memory.record(failed(), NOON)
    for number in range(50):
        memory.record(failed(f"sip:x{number}@example.test", f"203.0.113.{number}", known=False), NOON + number)
    assert len(memory.newest(99)) == SMALL.of_unknown + 1
    assert memory.of(BOB)


def test_entry_is_short_and_printable_for_any_name() -> None:
    memory = LoginFailures()
    hostile = FailedLogin("sip:\x1b[2J" + "x" * 9000, False, "unknown user", "192.0.2.1", "\u202e" * 9000, True)  # noqa: FBT003 - a record
    memory.record(hostile, NOON)
    [entry] = memory.newest(1)
    assert len(entry.user) < LONGEST_USER + 60
    assert len(entry.user_agent) < LONGEST_AGENT * 6 + 60
    assert all(map(is_printable, entry.user + entry.user_agent))


def test_every_flaw_that_a_login_may_have_has_a_class() -> None:
    """The metric counts by class, and an unknown text must not create a new series."""
    assert authenticate.__module__ == "sipmesh.routing.authentication.digest"
    known = ("wrong password", "unknown user", "the user name is not that of the address", "MD5 was not offered")
    assert "other" not in {flaw_class(one) for one in known}
    assert flaw_class("its home pool is pool2: fe3 has refused the login") == "other-home"
    assert flaw_class("anything else") == "other"
