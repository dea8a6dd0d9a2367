"""Removes what has expired, a part in each turn of the event loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sipmesh.errors import SipmeshError
from sipmesh.server.proxy.relay import FORGOTTEN_AT_ONCE

if TYPE_CHECKING:
    from sipmesh.server.proxy.calls.outsiders import Outsiders
    from sipmesh.server.proxy.events.event_server import EventServer
    from sipmesh.server.proxy.registrar.registrations import Registrations
    from sipmesh.server.proxy.relay import Relay
    from sipmesh.server.proxy.trunks.trunk_challenges import TrunkChallenges
    from sipmesh.server.proxy.trunks.trunk_watch import TrunkWatch
    from sipmesh.server.quotas.limited_log import LimitedLog
    from sipmesh.server.quotas.principals import Principals


class Sweep:
    """What a server has that expires: transactions, accounts, log lines, registrations, event state.

    *call_soon* has something called in the next turn of the loop.
    """

    def __init__(
        self,
        relay: Relay,
        accounts: Principals,
        log: LimitedLog,
        registrations: Registrations,
        events: EventServer,
        trunks: TrunkWatch | None,
        challenges: TrunkChallenges,
        outsiders: Outsiders,
        call_soon: Callable[[Callable[[], None]], object],
    ) -> None:
        self._relay, self._accounts, self._log = relay, accounts, log
        self._registrations, self._events, self._call_soon = registrations, events, call_soon
        self._trunks, self._challenges, self._outsiders = trunks, challenges, outsiders
        self._goes_on = False

    def tick(self) -> None:
        """Remove what has expired; called about twice a second."""
        if not self._goes_on:
            self._sweep_transactions()
        self._accounts.sweep()
        self._log.sweep()
        self._registrations.sweep()
        self._outsiders.sweep()
        try:
            self._events.sweep()
        except SipmeshError as wrong:
            self._log.error("", "event state not swept", why=str(wrong))
        self._challenges.sweep()
        if self._trunks is not None:
            self._trunks.sweep()

    def _sweep_transactions(self) -> None:
        """Remove a part of the transactions that have expired, and the rest in later turns of the loop.

        Under load there are tens of thousands: to remove them at once would stop the loop for as many microseconds, and more.
        """
        self._goes_on = False  # also if it fails: then the next tick goes on
        try:
            self._goes_on = self._relay.sweep(FORGOTTEN_AT_ONCE)
        except SipmeshError as wrong:
            self._log.error("", "expired transactions not removed", why=str(wrong))
        if self._goes_on:
            self._call_soon(self._sweep_transactions)
