"""How long the supervisor waits for the answer of a worker. It kills a worker that hangs, and spares a busy one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sipmesh.server.workers.worker_process import ProcessorUse

HUNG_STEPS: Final = 6
"""Steps without a sign of life after which a worker hangs.

Steps and not one time: if all processes of the server stand still, on a machine that is stopped, that is one step.
"""

MOST_STEPS: Final = 40
"""Steps after which it is killed although its loop goes on: a client that waits that long for it is not served."""


class WorkerPatience:
    """The steps in which a worker has not answered, each of *step_s* seconds.

    *heard* gives how much it has sent: its loop goes on if that grows. *use* gives what it has had of the processor: a step in
    which it waited for a processor most of the time does not count. So a client that makes a worker busy cannot have it killed,
    which would close the links of all its users.
    """

    def __init__(self, heard: Callable[[], int], use: Callable[[], ProcessorUse], step_s: float) -> None:
        self._heard, self._use, self._step_s = heard, use, step_s
        self._heard_before, self._had_before_s = heard(), use().had_s
        self.steps = self.silent = 0

    @property
    def is_over(self) -> bool:
        """Whether the worker hangs, or has not answered for too long."""
        return self.silent >= HUNG_STEPS or self.steps >= MOST_STEPS

    def step(self) -> None:
        """Count one step more without an answer."""
        heard, use = self._heard(), self._use()
        self.steps += 1
        if heard != self._heard_before:
            self.silent = 0
        elif not use.is_waiting or use.had_s - self._had_before_s >= self._step_s / 2:
            self.silent += 1
        self._heard_before, self._had_before_s = heard, use.had_s
