"""The links of a server, with something else in the place of its trials of servers that do not answer."""

from __future__ import annotations

from collections.abc import Callable

from sipmesh.server.proxy.outside import Links, NoLinks
from sipmesh.server.running.running_server import RunningServer
from sipmesh.transport.hop import Hop
from sipmesh.transport.link.link import Link


class _OtherTrials(NoLinks):
    def __init__(self, links: Links, try_out: Callable[[Hop], Link]) -> None:
        self._links, self._try_out = links, try_out
        self.obtain, self.obtain_past, self.has = links.obtain, links.obtain_past, links.has  # type: ignore[method-assign]
        self.dial, self.all = links.dial, links.all  # type: ignore[method-assign]

    def try_out(self, hop: Hop) -> Link:
        """See `Links`."""
        return self._try_out(hop)


def try_by(node: RunningServer, try_out: Callable[[Hop], Link]) -> None:
    """Have *try_out* open the links of trials from now on."""
    node.outside.links = _OtherTrials(node.pool, try_out)
