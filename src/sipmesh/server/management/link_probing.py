"""Management has links probed by the servers that open them, and has servers ask DNS and fetch CRLs.

It sends signed orders, and reads the results from reports.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sipmesh.distribution.items import ItemKind
from sipmesh.server.management.replies import CrlsReply, DnsReply, ProbedReply
from sipmesh.server.replication.probe_order import PROBE, ProbeOrder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sipmesh.server.management.network import Network
    from sipmesh.server.management.order_sender import OrderSender
    from sipmesh.server.replication.server_status import Probed, ServerStatus


class LinkProbing:
    """The probes of one management server."""

    def __init__(self, orders: OrderSender, network: Network) -> None:
        self._orders, self._network = orders, network
        self._number, self._turn = 0, asyncio.Lock()

    async def probe(self, wanted: Mapping[str, Sequence[str]], wait_s: float) -> Sequence[ProbedReply]:
        """Have each server of *wanted* open a link to each of its targets; returns a result for each within *wait_s* seconds.

        A server that has not the newest version in force, is not linked, or does not report in time, has failed. One call
        at a time is carried out, since a server carries out one order. Raises `OperatorError` if orders cannot be signed.
        """
        async with self._turn:
            faults = await self._carry_out(wanted, wait_s)
            return [
                result
                for server, targets in wanted.items()
                for result in self._results(server, targets, faults[server] or _late(server, wait_s))
            ]

    async def ask_dns(self, servers: Sequence[str], wait_s: float) -> Sequence[DnsReply]:
        """Have each of *servers* ask DNS for the records of the version in force; returns a reply for each, as `probe` does."""
        async with self._turn:
            faults = await self._carry_out(dict.fromkeys(servers, ()), wait_s, asks_dns=True)
            return [self._dns_reply(server, faults[server] or _late(server, wait_s)) for server in faults]

    async def fetch_crls(self, servers: Sequence[str], wait_s: float) -> Sequence[CrlsReply]:
        """Have each of *servers* fetch the CRLs of the version in force once; returns a reply for each, as `probe` does."""
        async with self._turn:
            faults = await self._carry_out(dict.fromkeys(servers, ()), wait_s, fetches_crls=True)
            return [self._crls_reply(server, faults[server] or _late(server, wait_s)) for server in faults]

    async def _carry_out(self, wanted: Mapping[str, Sequence[str]], wait_s: float, **asked: bool) -> Mapping[str, str]:
        """Send the orders, and wait for the results; returns for each server why it has no order, or empty.

        *asked* are keys of `ProbeOrder`.
        """
        self._number = self._orders.number()
        faults = {server: self._order(server, targets, **asked) for server, targets in wanted.items()}
        ordered = [server for server, fault in faults.items() if not fault]
        await self._network.reported(lambda: all(map(self._is_done, ordered)), wait_s)
        return faults

    def _order(self, server: str, targets: Sequence[str], **asked: bool) -> str:
        """Send one order; returns why that is not possible, or empty."""
        view = self._orders.view
        status = self._network.statuses().get(server)
        if status is None or status.number != view.loaded.number:
            return f"{server} has not reported that version {view.loaded.number} is in force"
        order = ProbeOrder(view.organisation, server, self._number, view.loaded.number, tuple(targets), **asked)
        is_linked = self._orders.send(order, PROBE, ItemKind.PROBE)
        return "" if is_linked else f"{server} is not linked to management"

    def _is_done(self, server: str) -> bool:
        return _probed(self._network.statuses().get(server), self._number) is not None

    def _results(self, server: str, targets: Sequence[str], otherwise: str) -> Iterator[ProbedReply]:
        """Give the results of one server; a target without one has failed for the reason *otherwise*."""
        probed = _probed(self._network.statuses().get(server), self._number)
        found = {link.target: (link.passed, link.told) for link in probed.links} if probed is not None else {}
        for target in targets:
            passed, told = found.get(target, (False, otherwise))
            yield ProbedReply(server, target, passed, told)

    def _dns_reply(self, server: str, otherwise: str) -> DnsReply:
        probed = _probed(self._network.statuses().get(server), self._number)
        if probed is None:
            return DnsReply(server, otherwise, ())
        if probed.answers is None:
            return DnsReply(server, f"{server} has a release that cannot ask DNS for management: update it", ())
        return DnsReply(server, "", probed.answers)

    def _crls_reply(self, server: str, otherwise: str) -> CrlsReply:
        probed = _probed(self._network.statuses().get(server), self._number)
        if probed is None:
            return CrlsReply(server, otherwise, ())
        if probed.crls is None:
            return CrlsReply(server, f"{server} has a release that cannot fetch CRLs for management: update it", ())
        return CrlsReply(server, "", probed.crls)


def _late(server: str, wait_s: float) -> str:
    return f"{server} has not reported the probe within {wait_s:g} s"


def _probed(status: ServerStatus | None, number: int) -> Probed | None:
    """Return the result of order *number*, None if the server has not reported it."""
    probed = status.probed if status is not None else None
    return probed if probed is not None and probed.order == number else None
