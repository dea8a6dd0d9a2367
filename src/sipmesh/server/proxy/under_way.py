"""What is under way on a link of this process: a call, or a request whose final response is still to come."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sipmesh.server.proxy.call_table import CallTable
    from sipmesh.server.proxy.flow import Flow
    from sipmesh.server.proxy.other_processes import OtherProcesses


class UnderWay:
    """The *calls* that are up, and the requests of this process and of its *siblings*."""

    def __init__(self, calls: CallTable, siblings: OtherProcesses) -> None:
        self.calls, self._siblings = calls, siblings

    def waits_on(self, flow: Flow) -> bool:
        """Tell whether a final response is still to come or to go on *flow*, also to a request of another process."""
        return self._siblings.waits_on(flow.link) or flow.is_waited_on
