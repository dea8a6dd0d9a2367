"""What one process has in memory that decides about requests: the step reads it, and counts in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sipmesh.routing.authentication.backoff import LoginBackoff
from sipmesh.routing.call_rules.group_steps import LastCalled
from sipmesh.routing.identity.tokens import Tokens
from sipmesh.routing.numbers.call_rates import CallRates
from sipmesh.routing.proxy.branch import Branches
from sipmesh.routing.proxy.forwarding import ListenerAddress
from sipmesh.server.proxy.calls.call_bounds import CallBounds
from sipmesh.server.proxy.calls.media_guard import MediaGuard
from sipmesh.server.proxy.calls.trunk_calls import TrunkCalls
from sipmesh.server.proxy.events.message_delivery import MessageDelivery
from sipmesh.server.proxy.flow_table import FlowTable
from sipmesh.server.proxy.links.home_flows import HomeFlows
from sipmesh.server.proxy.liveness.outages import Outages
from sipmesh.server.proxy.liveness.trunk_outages import TrunkOutages
from sipmesh.server.proxy.login.access_proxy import AccessProxy
from sipmesh.server.proxy.other_processes import OtherProcesses
from sipmesh.server.proxy.registrar.registrations import Registrations
from sipmesh.server.proxy.transactions.client_transactions import ClientTransactions
from sipmesh.server.proxy.trunks.trunk_challenges import TrunkChallenges
from sipmesh.server.proxy.used_passports import UsedPassports
from sipmesh.server.quotas.overload_admission import OverloadAdmission
from sipmesh.server.quotas.principals import Principals


@dataclass(kw_only=True)
class ServingState:
    """The parts of a server that the step asks. None of them is asked to send, to store or to wait.

    *is_draining*: requests outside dialogs are refused. *max_exchanges*: so many branches may wait for their final response.
    *call_rates* counts the new calls of trunks at a gateway. *wall* gives Unix time, for the hours of routes. *last_called* has
    whom the groups have called. *used_tokens* has the PASSporTs and the tokens of screened calls that were accepted lately.
    """

    # whose a request is, and where it has been
    tokens: Tokens
    branches: Branches
    listeners: dict[str, ListenerAddress]
    flow_table: FlowTable
    home_flows: HomeFlows
    access: AccessProxy

    # whether there is room for it
    admission: OverloadAdmission
    accounts: Principals
    failures: LoginBackoff
    client_transactions: ClientTransactions
    trunk_calls: TrunkCalls
    call_bounds: CallBounds

    # where it goes
    registrations: Registrations
    delivery: MessageDelivery
    outages: Outages
    trunk_outages: TrunkOutages
    trunk_challenges: TrunkChallenges
    wall: Callable[[], float]
    siblings: OtherProcesses
    used_tokens: UsedPassports
    media: MediaGuard

    max_exchanges: int = 50_000
    is_draining: bool = False
    call_rates: CallRates = field(default_factory=CallRates)
    last_called: LastCalled = field(default_factory=LastCalled)

    def __repr__(self) -> str:
        return f"<ServingState of {self.flow_table.view.name}>"

    @property
    def time(self) -> datetime:
        """The time in UTC."""
        return datetime.fromtimestamp(self.wall(), UTC)

    @property
    def is_full(self) -> bool:
        """Whether as many branches wait for their final response as may."""
        return self.client_transactions.load >= self.max_exchanges
