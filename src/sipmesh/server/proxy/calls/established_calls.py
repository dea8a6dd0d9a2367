"""The calls that this server knows: what their begin and their end change in its tables, trunks, bridges and records."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sipmesh.server.in_force.in_force import Current
    from sipmesh.server.proxy.bridging.bridges import Bridges
    from sipmesh.server.proxy.call_table import CallTable
    from sipmesh.server.proxy.calls.call_bounds import CallBounds
    from sipmesh.server.proxy.calls.call_release import CallRelease
    from sipmesh.server.proxy.calls.trunk_calls import TrunkCalls
    from sipmesh.server.proxy.flow import SentBranch
    from sipmesh.server.proxy.records.call_recorder import CallRecorder
    from sipmesh.server.proxy.transactions.branch_requests import BranchRequests
    from sipmesh.sip.message import Response


class EstablishedCalls:
    """The calls in *table*, which have been accepted, and what is kept of them elsewhere.

    *trunks* counts those of trunks, within *bounds*. *bridges* has those whose media pass rtpengine, and *records* writes what
    became of each. *release* ends a call towards both of its ends. *requests* names the dialogs.
    """

    __slots__ = ("_current", "bounds", "bridges", "records", "release", "requests", "table", "trunks")

    def __init__(
        self,
        current: Current,
        requests: BranchRequests,
        table: CallTable,
        trunks: TrunkCalls,
        bounds: CallBounds,
        bridges: Bridges,
        records: CallRecorder,
        release: CallRelease,
    ) -> None:
        self._current, self.requests = current, requests
        self.table, self.trunks, self.bounds = table, trunks, bounds
        self.bridges, self.records, self.release = bridges, records, release

    def sweep(self, now: float) -> None:
        """End the calls that have lasted for too long, and those whose bridge is lost; *now* is loop time, in seconds."""
        self.records.sweep(now)
        for call in self.bounds.to_end(now):
            self.release.end_too_long(call)
        for lost in self.bridges.lost(now):
            self.release.end_bridged(*lost)

    def early(self, sent: SentBranch, response: Response) -> None:
        """A provisional response has come by way of rtpengine: outside of a dialog, an early dialog begins."""
        if sent.proxied.begins_call:
            self.bridges.early(sent, self.requests.dialog_of(sent, response), response)

    def began(self, sent: SentBranch, response: Response, now: float) -> None:
        """A 2xx to an INVITE has come: outside of a dialog, a call begins at *now*."""
        proxied = sent.proxied
        if proxied.request.to.tag is not None:
            return
        dialog = sent.dialog = self.requests.dialog_of(sent, response)
        self.table.began(dialog, proxied.request, response, proxied.flow, sent.flow, proxied.account, now, sent)
        if proxied.is_answered and self.records.is_on:
            self.records.forked(proxied, dialog)
        if self._current.value.trunk_names is not None:
            self.trunks.began(sent, dialog, response, now)
        if sent.bridge is not None:
            self.bridges.began(sent, sent.bridge, dialog, response)

    def answered(self, sent: SentBranch, status: int) -> None:
        """A request has its final response, or none in time: with that of a BYE a call of a trunk ends."""
        if sent.request.method == "BYE" and self._current.value.trunk_names is not None:
            self.trunks.answered_bye(sent, status)
