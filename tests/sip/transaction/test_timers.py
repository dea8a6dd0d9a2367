"""How long each timer runs, and what it gives to its transaction."""

from __future__ import annotations

from sipmesh.sip.transaction.state import Input
from sipmesh.sip.transaction.timers import T1, Timer


def test_timer_is_sixty_four_times_t1_and_timer_c_above_three_minutes() -> None:
    """RFC 3261 table 4, and section 16.6 step 11."""
    assert {timer.seconds for timer in Timer if timer is not Timer.C} == {64 * T1} == {32.0}
    assert Timer.C.seconds > 180


def test_timer_c_gives_up_and_every_other_gives_its_own_input() -> None:
    assert Timer.C.input is Input.GIVE_UP
    assert all(timer.input is Input[f"TIMER_{timer.name}"] for timer in Timer if timer is not Timer.C)
