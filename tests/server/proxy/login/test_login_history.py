"""The last logins of users, bounded."""

from __future__ import annotations

import pytest

from sipmesh.server.proxy.login.login_history import LONGEST_AGENT, HistoryLimits, LoginAttempt, LoginHistory
from sipmesh.sip.digest import Algorithm

ALICE, BOB = "sip:alice@example.test", "sip:bob@example.test"


def login(user: str = ALICE, link: str = "c1", at: float = 0.0, agent: str = "phone") -> LoginAttempt:
    return LoginAttempt(user, link, "192.0.2.1", agent, "MD5", (Algorithm.SHA_256, Algorithm.MD5), at)


def test_logins_of_a_user_are_reported_newest_first_and_once_for_each_link() -> None:
    history = LoginHistory()
    for link, at in (("c1", 1.0), ("c2", 2.0), ("c1", 3.0)):
        history.record(login(link=link, at=at))
    assert [(one.link, one.at) for one in history.of(ALICE)] == [("c1", 3.0), ("c2", 2.0)]
    assert history.of(BOB) == []


@pytest.mark.parametrize(("count", "kept"), [(8, True), (9, False)])
def test_user_has_as_many_logins_as_the_limit(count: int, *, kept: bool) -> None:
    history = LoginHistory()
    for number in range(count):
        history.record(login(link=f"c{number}"))
    assert ("c0" in {one.link for one in history.of(ALICE)}) is kept
    assert len(history.of(ALICE)) == 8


def test_user_who_has_logged_in_least_recently_is_forgotten_above_the_limit() -> None:
    history = LoginHistory(HistoryLimits(users=2))
    for user in (ALICE, BOB, ALICE, "sip:carol@example.test"):
        history.record(login(user))
    assert (len(history.of(ALICE)), history.of(BOB)) == (1, [])


def test_text_of_the_phone_is_made_printable_and_cut() -> None:
    history = LoginHistory()
    history.record(login(agent="\x1b[2J" + "x" * 1000))
    [kept] = history.of(ALICE)
    assert "\x1b" not in kept.user_agent
    assert len(kept.user_agent) < LONGEST_AGENT + len("… (1004 letters)") + 9
