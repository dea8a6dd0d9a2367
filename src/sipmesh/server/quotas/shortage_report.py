"""What an operator reads when file descriptors run out: one line of the log at the beginning, and one at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sipmesh.server.log import Log
    from sipmesh.transport.reactor.descriptors import DescriptorShortage

REMEDY = "raise the limit of open files of this process, such as LimitNOFILE= in its systemd unit"


class ShortageReport:
    """Watches *shortage* and writes to *log*; `tick` is called about twice a second."""

    def __init__(self, shortage: DescriptorShortage, log: Log) -> None:
        self._shortage, self._log = shortage, log
        self._open = False

    def tick(self, now: float) -> None:
        """Write what has changed until *now*, in seconds of the loop's clock."""
        shortage = self._shortage
        shortage.rest(now)
        if shortage.active and not self._open:
            self._open = True
            self._log.warning("file descriptors have run out: new links of clients wait", remedies=[REMEDY])
        elif self._open and not shortage.active:
            self._open = False
            lasted_s = round(shortage.noticed_at - shortage.began_at, 1)
            self._log.warning("file descriptors are free again", lasted_s=lasted_s)
