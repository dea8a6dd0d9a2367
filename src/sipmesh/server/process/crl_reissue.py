"""Signs the CRLs of the CA on this host each day, once the clock of the machine is reliable.

It also tells the CA whether the topology in force has a server that publishes for it (`publish_lists`). Then new certificates
name our OCSP responder.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from sipmesh.errors import OperatorError
from sipmesh.server.process.clock import ClockWatch, now_utc
from sipmesh.server.process.off_loop import off_loop

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Collection, Sequence
    from datetime import datetime
    from pathlib import Path

    from sipmesh.pki.ca_rotation import CaGenerations
    from sipmesh.server.log import Log

REISSUE_EVERY_S: Final = 3600.0
REISSUE_AGAIN_S: Final = 60.0
"""Seconds until the next attempt after a failure, for example on a full disk."""


class CrlReissue:
    """Signs what is due in the CA in *folder*, if there is one.

    *follows* says that another server of management does it. *publishes* says that a server publishes for the CA. *clocks_s*
    gives the seconds by which the clocks of other servers are ahead of ours; it is asked only when the CRLs are looked at.
    """

    def __init__(
        self,
        folder: Path,
        follows: Callable[[], bool],
        publishes: Callable[[], bool],
        clocks_s: Callable[[], Collection[float]],
        loop: asyncio.AbstractEventLoop,
        log: Log,
    ) -> None:
        self._folder, self._follows, self._publishes, self._clocks_s = folder, follows, publishes, clocks_s
        self._published = publishes()
        self._loop, self._log = loop, log
        self._clock = ClockWatch(_signed_last(folder))
        self._tried_at = 0.0
        self._task: asyncio.Task[None] | None = None

    def soon(self) -> None:
        """Check the CRLs with the next `tick`."""
        self._tried_at = 0.0

    def tick(self, now: float, at: datetime) -> None:
        """Look at the clock, and check the CRLs each hour; called about twice a second.

        *now* is in seconds of the loop, and *at* the time of the machine.
        """
        if self._clock.look(now, at):
            self.soon()  # check the CRLs again once the clock is reliable: another clock may have signed
            self._log.warning(
                "the clock was set, or differs much from the CA's last signature: "
                "CRLs are not signed yet; registrations and links go on"
            )
        if self._publishes() != self._published:
            self._published = self._publishes()
            self.soon()
        is_due = now - self._tried_at >= REISSUE_EVERY_S or not self._tried_at
        if is_due and self._clock.may_sign(now, self._clocks_s()):
            self._tried_at = now
            self._task = self._loop.create_task(self.reissue())

    async def reissue(self) -> None:
        """Sign the CRLs that are due, and tell the CA who publishes. A thread does it: a large CRL takes a second."""
        if self._follows():
            return
        try:
            renewed = await off_loop(_reissued, self._folder, self._published)
        except OperatorError as wrong:
            self._log.warning("CRLs not reissued", why=str(wrong))
            self._tried_at += REISSUE_AGAIN_S - REISSUE_EVERY_S
            return
        if renewed:
            self._log.info("CRLs reissued", lists=[path.name for path in renewed])

    async def finished(self) -> None:
        """Wait until the CRLs that are being signed are stored."""
        if self._task is not None:
            await self._task


def _signed_last(folder: Path) -> datetime | None:
    """Return when the CA in *folder* signed its last CRL; None if there is no CA, or it cannot be read."""
    with suppress(OperatorError):
        generations = _generations_in(folder)
        return generations.signed_last if generations is not None else None
    return None


def _reissued(folder: Path, is_published: bool) -> Sequence[Path]:  # noqa: FBT001 - a thread takes no keywords
    generations = _generations_in(folder)
    if generations is None:
        return ()
    generations.publish(is_on=is_published)
    return generations.reissue(now_utc())


def _generations_in(folder: Path) -> CaGenerations | None:
    """Return the CA in *folder*, None if there is none; a server without a CA does not import what signs."""
    if not folder.is_dir():
        return None
    from sipmesh.pki.ca_rotation import CaGenerations

    return CaGenerations(folder) if CaGenerations.are_in(folder) else None
