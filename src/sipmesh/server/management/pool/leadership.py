"""Whether this management server leads its pool: it claims the lease at intervals, and reacts when that changes."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Protocol

from sipmesh.errors import OperatorError
from sipmesh.server.management.pool.lease_renewal import LeaseRenewal
from sipmesh.server.process.clock import now_utc

if TYPE_CHECKING:
    from sipmesh.database.lease import Lease, PoolMember
    from sipmesh.server.log import Log


class Candidate(Protocol):
    """What leads, or follows (`management.controller.Controller`)."""

    @property
    def version(self) -> int:
        """The version that is in force on this server."""

    async def lead(self) -> None:
        """This server leads from now on."""

    async def follow(self) -> None:
        """Another server leads: put what it has published in force here."""

    def step_down(self) -> None:
        """This server does not lead any more."""


class Leadership:
    """The part of one server in its pool. A server alone leads for ever, and asks no database for it.

    *leads* is set first, and *is_ready* when the server has taken over completely.

    While the database cannot be used, no server can lead: what is signed already is sent on, and nothing new is signed.
    """

    def __init__(self, lease: Lease, candidate: Candidate, log: Log) -> None:
        """Claim the lease once; raises `OperatorError` if the database cannot be used."""
        self._lease, self._candidate, self._log = lease, candidate, log
        lease.is_kept = True
        self.leads = self.is_ready = lease.claim()
        self._renewal = LeaseRenewal(lease)
        self.fault = ""
        self._taking_over: asyncio.Task[None] | None = None
        self.members: list[PoolMember] = []

    @property
    def leader(self) -> str:
        """The name of the server that leads: this one, or another one of the pool; "" if none is known, or there is no pool."""
        if self.leads:
            return self._lease.holder
        return next((member.server for member in self.members if member.fencing), "")

    def begin(self) -> None:
        """Let a thread renew the lease, from now on, whenever the event loop is too busy to claim it in time."""
        if self._lease.is_of_pool:
            self._renewal.start()

    async def keep(self) -> None:
        """Claim or renew the lease, and react if another server leads now, or no other one does any more."""
        if not self._lease.is_of_pool:
            return
        try:
            leads, self.members = await asyncio.to_thread(self._claim, self._candidate.version)
            await self._change(leads=leads)
        except OperatorError as wrong:
            if not self.fault:
                self._log.warning(
                    "management database cannot be used: nothing can be published or revoked", why=str(wrong)
                )
            self.fault = wrong.message
            return
        if self.fault:
            self._log.info("management database can be used again")
            self.fault = ""

    def _claim(self, version: int) -> tuple[bool, list[PoolMember]]:
        began = time.monotonic()
        leads = self._lease.claim()
        self._renewal.claimed(began)
        return leads, self._lease.report(version, now_utc())

    async def _change(self, *, leads: bool) -> None:
        before, self.leads = self.leads, leads
        if leads and not before:
            self._log.warning("leads the management pool", fencing=self._lease.fencing)
            self._taking_over = asyncio.create_task(self._take_over())
        elif before and not leads:
            self.is_ready = False
            if self._taking_over is not None:
                self._taking_over.cancel()
            self._log.warning("does not lead the management pool any more")
            self._candidate.step_down()
        if not leads:
            await self._candidate.follow()

    async def _take_over(self) -> None:
        """Take over as the leader, while the lease is renewed."""
        try:
            await self._candidate.follow()
            await self._candidate.lead()
            self.is_ready = True
        except OperatorError as wrong:
            self._log.error("cannot take over the management pool", why=str(wrong))

    def close(self) -> None:
        """End this server's part: nothing in its process claims the lease at intervals any more, or acts under its number."""
        self._renewal.stop()
        if self._taking_over is not None:
            self._taking_over.cancel()
        if self._lease.is_of_pool:
            self._lease.is_kept, self._lease.fencing = False, 0

    async def release(self) -> None:
        """Let another server lead at once, at the end of this server."""
        self._renewal.stop()
        if self.leads and self._lease.is_of_pool:
            try:
                await asyncio.to_thread(self._lease.release)
            except OperatorError as wrong:
                self._log.warning("lease not released: another server leads in a few seconds", why=str(wrong))
