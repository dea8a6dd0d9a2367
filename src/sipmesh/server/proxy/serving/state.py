"""What one process has in memory that decides about requests: the step reads it, and counts in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sipmesh.routing.authentication.backoff import LoginBackoff
    from sipmesh.routing.identity.tokens import Tokens
    from sipmesh.routing.overload import OverloadControl
    from sipmesh.routing.proxy.branch import Branches
    from sipmesh.routing.proxy.forwarding import ListenerAddress
    from sipmesh.server.proxy.calls.media_guard import MediaGuard
    from sipmesh.server.proxy.events.message_delivery import MessageDelivery
    from sipmesh.server.proxy.flow_table import FlowTable
    from sipmesh.server.proxy.liveness.outages import Outages
    from sipmesh.server.proxy.login.access_proxy import AccessProxy
    from sipmesh.server.proxy.login.home_flows import HomeFlows
    from sipmesh.server.proxy.other_processes import OtherProcesses
    from sipmesh.server.proxy.registrar.registrations import Registrations
    from sipmesh.server.proxy.transactions.client_transactions import ClientTransactions
    from sipmesh.server.quotas.overload_admission import OverloadAdmission
    from sipmesh.server.quotas.principals import Principals


class ServingState:
    """The parts of a server that the step asks. None of them is asked to send, to store or to wait.

    *is_draining*: requests outside dialogs are refused. *max_exchanges*: so many branches may wait for their final response.
    """

    def __init__(
        self,
        *,
        tokens: Tokens,
        branches: Branches,
        listeners: dict[str, ListenerAddress],
        overload: OverloadControl,
        admission: OverloadAdmission,
        accounts: Principals,
        failures: LoginBackoff,
        flow_table: FlowTable,
        registrations: Registrations,
        outages: Outages,
        delivery: MessageDelivery,
        media: MediaGuard,
        home_flows: HomeFlows,
        access: AccessProxy,
        client_transactions: ClientTransactions,
        siblings: OtherProcesses,
        max_exchanges: int = 50_000,
    ) -> None:
        self.tokens, self.branches, self.listeners = tokens, branches, listeners
        self.overload, self.admission, self.accounts, self.failures = overload, admission, accounts, failures
        self.flow_table, self.registrations, self.outages = flow_table, registrations, outages
        self.delivery, self.media, self.siblings = delivery, media, siblings
        self.home_flows, self.access = home_flows, access
        self.client_transactions = client_transactions
        self.max_exchanges, self.is_draining = max_exchanges, False

    def __repr__(self) -> str:
        return f"<ServingState of {self.flow_table.view.name}, {self.registrations!r}>"

    @property
    def is_full(self) -> bool:
        """Whether as many branches wait for their final response as may."""
        return self.client_transactions.load >= self.max_exchanges
