"""What a server knows of a user to check a password."""

from __future__ import annotations

import pytest

from sipmesh.routing.authentication.verifier import DevicePassword, Verifier, user_of, user_of_device
from sipmesh.sip.digest import Algorithm


@pytest.mark.parametrize("aor", ["sip:alice@example.test", "alice@example.test", "sip:alice"])
def test_user_name_is_the_part_before_the_at(aor: str) -> None:
    assert user_of(aor) == "alice"


def test_hashes_are_not_shown() -> None:
    """A log line or a traceback must not give away what logs in."""
    assert "5ecre7" not in repr(Verifier("sip:alice@example.test", 1, {Algorithm.SHA_256: "5ecre7"}))


DESK = DevicePassword(7, {Algorithm.SHA_256: "5ecre7"})


def test_device_is_found_by_its_digest_user_name_alone() -> None:
    """A user may have a + in the name, as in a telephone number."""
    number = Verifier("sip:+49@example.test", 1, {}, devices={"desk": DESK})
    assert number.device(user_of_device(number.aor, "desk")) == number.device("+49+desk") == DESK
    assert [number.device(name) for name in ("desk", "+desk", "+49", "+49+", "+50+desk", "+49+desk+x")] == [None] * 6


def test_login_counts_by_the_password_that_it_has_proved() -> None:
    known = Verifier("sip:alice@example.test", 3, {}, devices={"desk": DESK})
    assert [known.counts(generation) for generation in (3, 7, 4, 0, None)] == [True, True, False, False, False]
    assert "5ecre7" not in repr(known)


@pytest.mark.parametrize(("issued_at", "ended"), [(99.0, True), (99.999, True), (100.0, False), (101.0, False)])
def test_token_from_before_the_account_is_of_an_earlier_user_of_the_name(issued_at: float, *, ended: bool) -> None:
    """A token says its second; it counts in the second in which the account was added."""
    verifier = Verifier("sip:alice@example.test", 1, {}, created=100_900_000)
    assert verifier.has_ended(issued_at, "") is ended
    assert verifier.has_ended(issued_at, "a session") is ended
    assert not Verifier("sip:alice@example.test", 1, {}).has_ended(issued_at, "")
