"""Attempts at stored messages are counted for each user, message and flow, within limits."""

from __future__ import annotations

from sipmesh.server.proxy.events.unanswered import MOST_ATTEMPTS, MOST_OF_USER, MOST_USERS, UnansweredAttempts

BOB = "sip:bob@example.test"


def spent(number: int = 1) -> UnansweredAttempts:
    attempts = UnansweredAttempts()
    for _ in range(MOST_ATTEMPTS):
        assert not attempts.are_spent(BOB, number, "flow")
        attempts.add(BOB, number, "flow")
    return attempts


def test_attempts_are_spent_for_one_message_on_one_flow() -> None:
    attempts = spent()
    assert attempts.are_spent(BOB, 1, "flow")
    assert not attempts.are_spent(BOB, 2, "flow")
    assert not attempts.are_spent(BOB, 1, "another")
    assert not attempts.are_spent("sip:carol@example.test", 1, "flow")


def test_refused_message_is_spent_at_once() -> None:
    attempts = UnansweredAttempts()
    attempts.spend(BOB, 1, "flow")
    assert attempts.are_spent(BOB, 1, "flow")


def test_user_without_messages_is_forgotten() -> None:
    attempts = spent()
    attempts.forget(BOB)
    attempts.forget(BOB)
    assert not attempts.are_spent(BOB, 1, "flow")


def test_user_forgets_only_its_own_attempts_at_its_limit() -> None:
    attempts = spent()
    for number in range(MOST_OF_USER):
        attempts.add("sip:alice@example.test", number, "flow")
    assert attempts.are_spent(BOB, 1, "flow")
    for number in range(2, MOST_OF_USER + 1):
        attempts.add(BOB, number, "flow")
    assert attempts.are_spent(BOB, 1, "flow")
    attempts.add(BOB, MOST_OF_USER + 1, "flow")
    assert not attempts.are_spent(BOB, 1, "flow")


def test_users_have_a_limit() -> None:
    attempts = spent()
    for number in range(MOST_USERS - 1):
        attempts.add(f"sip:{number}@example.test", 1, "flow")
    assert attempts.are_spent(BOB, 1, "flow")
    attempts.add("sip:one-more@example.test", 1, "flow")
    assert not attempts.are_spent(BOB, 1, "flow")
