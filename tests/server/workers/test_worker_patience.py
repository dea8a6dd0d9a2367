"""A worker that hangs is killed; a worker that has much to do, or gets no processor, is not."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from sipmesh.server.workers.worker_patience import HUNG_STEPS, MOST_STEPS, WorkerPatience
from sipmesh.server.workers.worker_process import ProcessorUse

STEP_S = 0.5


class Observed:
    """What is seen of a worker in each step: what it has sent, what it has had of the processor, and whether it waits for one."""

    def __init__(self, *, sends: int, has_s: float, is_waiting: bool) -> None:
        self._sends, self._has_s, self._is_waiting = sends, has_s, is_waiting
        self.sent, self.had_s = 0, 0.0

    def after(self, steps: int) -> WorkerPatience:
        """How patient the supervisor is after so many steps."""
        patience = WorkerPatience(
            lambda: self.sent, lambda: ProcessorUse(self.had_s, is_waiting=self._is_waiting), STEP_S
        )
        for _ in self._passing(steps):
            patience.step()
        return patience

    def _passing(self, steps: int) -> Iterable[int]:
        for step in range(steps):
            self.sent += self._sends
            self.had_s += self._has_s
            yield step


@pytest.mark.parametrize(
    ("sends", "has_s", "is_waiting", "most"),
    [
        pytest.param(0, 0.0, False, HUNG_STEPS, id="stopped, or waits for ever"),
        pytest.param(0, STEP_S, True, HUNG_STEPS, id="never returns"),
        pytest.param(0, STEP_S / 10, True, MOST_STEPS, id="gets a tenth of a processor"),
        pytest.param(13, STEP_S, True, MOST_STEPS, id="has much to do"),
    ],
)
def test_worker_is_waited_for_as_long_as_it_works(sends: int, has_s: float, most: int, *, is_waiting: bool) -> None:
    assert not Observed(sends=sends, has_s=has_s, is_waiting=is_waiting).after(most - 1).is_over
    assert Observed(sends=sends, has_s=has_s, is_waiting=is_waiting).after(most).is_over


def test_sign_of_life_begins_the_count_again() -> None:
    seen = Observed(sends=0, has_s=0.0, is_waiting=False)
    patience = seen.after(HUNG_STEPS - 1)
    seen.sent += 1
    patience.step()
