"""A clock that was set is in doubt for a minute; a majority of all clocks proves it wrong at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sipmesh.server.process.clock import GAP, JUMP, STEADY_S, ClockWatch, majority_ahead_s

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(("gap", "signs"), [(GAP, True), (GAP + SECOND, False)])
def test_clock_far_from_the_last_signature_is_in_doubt_at_the_start(gap: timedelta, *, signs: bool) -> None:
    watch = ClockWatch(NOON)
    assert watch.look(0.0, NOON + gap) is not signs
    assert watch.may_sign(0.0) is signs
    assert not watch.look(STEADY_S, NOON + gap + timedelta(seconds=STEADY_S))
    assert watch.may_sign(STEADY_S)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("jump", "odd"), [(JUMP, False), (JUMP + SECOND, True)])
def test_clock_that_jumps_is_in_doubt(sign: int, jump: timedelta, *, odd: bool) -> None:
    watch = ClockWatch()
    watch.look(10.0, NOON)
    assert watch.look(11.0, NOON + SECOND + sign * jump) is odd
    assert watch.may_sign(11.0 + STEADY_S - 1) is not odd
    assert watch.may_sign(11.0 + STEADY_S)


def test_clock_that_jumps_back_is_in_doubt_again() -> None:
    """Six seconds with a wrong clock sign nothing."""
    watch = ClockWatch(NOON)
    watch.look(0.0, NOON + timedelta(days=40))
    assert watch.look(6.0, NOON + timedelta(seconds=6))
    assert not watch.may_sign(STEADY_S)
    assert watch.may_sign(6.0 + STEADY_S)


@pytest.mark.parametrize(
    ("others_s", "ahead_s"),
    [
        ((), 0.0),
        ((3_600.0,), 0.0),  # one other server is never a majority, also if it is the only reporter
        ((3_600.0, 3_700.0), 3_650.0),
        ((-3_600.0, -3_600.0), -3_600.0),
        ((3_600.0, -3_600.0), 0.0),  # they agree about nothing
        ((3_600.0, 3_600.0, 0.0), 0.0),  # two of four clocks
        ((3_600.0, 3_600.0, 3_600.0, 0.0), 3_600.0),
        ((300.0, 300.0, 300.0), 0.0),  # clocks may differ by this
    ],
)
def test_clock_is_wrong_if_most_clocks_say_so_and_ours_is_one_of_them(
    others_s: tuple[float, ...], ahead_s: float
) -> None:
    assert majority_ahead_s(others_s) == ahead_s
    assert ClockWatch().may_sign(0.0, others_s) is (ahead_s == 0.0)


def test_doubt_is_not_ended_by_another_server() -> None:
    """Its report would be enough to have a CRL from the future signed."""
    watch = ClockWatch(NOON)
    watch.look(0.0, NOON + timedelta(days=40))
    assert not watch.may_sign(1.0, (0.2, 0.1, 0.0))
    assert watch.may_sign(STEADY_S, (0.2, 0.1, 0.0))


def test_ca_without_a_signature_may_sign_at_once() -> None:
    watch = ClockWatch()
    assert not watch.look(0.0, NOON)
    assert watch.may_sign(0.0)
