"""What has expired is removed, and a fault of one part keeps no other from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sipmesh.cli.versions import built
from sipmesh.errors import LocalError
from sipmesh.server.proxy.relay import FORGOTTEN_AT_ONCE
from sipmesh.server.proxy.sweep import Sweep
from sipmesh.server.quotas.limited_log import LimitedLog
from support.telling import Told

pytestmark = pytest.mark.skipif(built() == "compiled", reason="what stands for a part is no object of a compiled class")


class Parts:
    """Stands for each part: *left* is how often there is more; with *fails*, it cannot be swept."""

    def __init__(self, left: int = 0, *, fails: bool = False) -> None:
        self.left, self.fails, self.swept = left, fails, 0

    def sweep(self, most: int = 0) -> bool:
        """Sweep a part."""
        assert most in {0, FORGOTTEN_AT_ONCE}
        self.swept += 1
        if self.fails:
            raise LocalError("the disk is gone")
        self.left -= 1
        return self.left >= 0


def sweep_of(relay: Any, events: Any, soon: list[Callable[[], None]], told: Told) -> Sweep:
    log = LimitedLog(told.log, lambda: 0.0, each=9, total=9, window_s=60.0)
    others: Any = Parts()
    return Sweep(relay, others, log, others, events, others, others, others, soon.append)


def test_transactions_are_forgotten_a_part_in_each_turn() -> None:
    soon: list[Callable[[], None]] = []
    relay, told = Parts(left=2), Told()
    sweep = sweep_of(relay, Parts(), soon, told)
    sweep.tick()
    sweep.tick()
    assert (relay.swept, len(soon)) == (1, 1)
    soon.pop()()
    soon.pop()()
    assert (relay.swept, soon) == (3, [])
    sweep.tick()
    assert relay.swept == 4


def test_fault_is_logged_and_the_rest_is_swept() -> None:
    told, relay, events = Told(), Parts(fails=True), Parts(fails=True)
    sweep = sweep_of(relay, events, [], told)
    sweep.tick()
    assert (relay.swept, events.swept) == (1, 1)
    for event in ("expired transactions not removed", "event state not swept"):
        assert told.last(event)["why"] == "the disk is gone"
    sweep.tick()
    assert relay.swept == 2
    told.lines.clear()
