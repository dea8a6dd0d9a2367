"""Counts the calls that one server makes while its reactor serves, from the bytes that come in to the bytes that go out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from sipmesh.server.running.running_server import RunningServer
from sipmesh.transport.reactor.event_loop import Bed, Host
from support.counting import counted


class Meter:
    """Stands between the loop and the reactor that it sleeps in, and counts what is called while that serves."""

    def __init__(self, host: Host) -> None:
        self.host, self.calls = host, Counter[str]()

    def wait(self, timeout: float | None) -> bool:
        """See `Host`."""
        with counted(self.calls):
            return self.host.wait(timeout)

    def wake(self) -> None:
        """See `Host`."""
        self.host.wake()


@contextmanager
def metered(node: RunningServer) -> Iterator[Counter[str]]:
    """Count what *node* does meanwhile."""
    bed: Bed = node.loop._bed  # type: ignore[attr-defined]  # the loop of every test here is ours
    assert bed.host is not None
    meter = bed.host = Meter(bed.host)
    try:
        yield meter.calls
    finally:
        bed.host = meter.host
