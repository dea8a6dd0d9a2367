"""A server that is overloaded for as long as a test wants."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sipmesh.routing.overload import OverloadControl
    from sipmesh.server.running.running_server import RunningServer


@contextmanager
def overload(node: RunningServer, loss: float) -> Iterator[OverloadControl]:
    """An overload that stays as it is until the end."""
    control = node.reactor.overload
    control.active, control.loss, control.interval_s = True, loss, 1e9
    control._stepped_at = 1e9
    yield control
    control.active = False
