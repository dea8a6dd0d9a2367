"""The parts of one server that know links and their peers: reactor, gatekeeper, flow table, certificates, accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.server.certificates.own_certificates import OwnCertificates
from sipmesh.server.process.memory_return import MemoryReturn, trim_heap
from sipmesh.server.proxy.counters import Counters
from sipmesh.server.proxy.flow_table import FlowTable
from sipmesh.server.proxy.gatekeeper import Gatekeeper
from sipmesh.server.proxy.message_refusals import MessageRefusals
from sipmesh.server.proxy.other_processes import OtherProcesses
from sipmesh.server.proxy.siblings.shared_usage import SharedUsage
from sipmesh.server.proxy.siblings.siblings import Siblings
from sipmesh.server.quotas.known_addresses import KnownAddresses
from sipmesh.server.quotas.limited_log import LimitedLog
from sipmesh.server.quotas.overload_report import OverloadReport
from sipmesh.server.quotas.principals import Principals
from sipmesh.server.quotas.shortage_report import ShortageReport
from sipmesh.server.quotas.usage import steps_among
from sipmesh.transport.reactor.reactor import Reactor

if TYPE_CHECKING:
    from sipmesh.server.running.server_setup import ServerSetup


class PeerParts:
    """The judge of peers, and what is counted and logged of each; *peer_log* is limited for each principal."""

    def __init__(self, setup: ServerSetup) -> None:
        current, loop, limits, log = setup.current, setup.loop, setup.limits, setup.log
        self._loop = loop
        self.reactor = Reactor(loop, limits)
        self.reports = OverloadReport(self.reactor.overload, log), ShortageReport(self.reactor.shortage, log)
        self.memory_return = MemoryReturn(lambda: loop.run_in_executor(None, trim_heap))
        self.gatekeeper = Gatekeeper(current, setup.outside)
        self.flow_table = FlowTable(current, setup.stores.tokens.incarnation, setup.outside)
        self.neighbours = KnownAddresses(current)
        self.certificates = OwnCertificates(current, loop, self.gatekeeper, setup.outside, log)
        self.counters = Counters()
        self.peer_log = LimitedLog(
            log,
            loop.time,
            each=limits.log_lines_per_principal,
            total=limits.log_lines_in_all,
            window_s=limits.log_window_s,
        )
        self.refusals = MessageRefusals(setup.view.name, self.peer_log, self.counters)
        self.workers = None if setup.place.is_alone else self._workers(setup)
        self.siblings: OtherProcesses = self.workers or OtherProcesses()
        observer = SharedUsage(self.workers, steps_among(setup.place.count)) if self.workers is not None else None
        self.accounts = Principals(limits, self.neighbours, setup.rules.partner_of, loop.time, observer)

    def _workers(self, setup: ServerSetup) -> Siblings:
        """Build what knows the other processes of this server."""
        return Siblings(setup.place.number, self.reactor, self.flow_table, setup.current, self.refusals, setup.log)

    def tick(self) -> None:
        """Tell the operator of overload and shortage, and return memory; called about twice a second."""
        now = self._loop.time()
        for report in self.reports:
            report.tick(now)
        self.memory_return.tick(len(self.reactor.links))
