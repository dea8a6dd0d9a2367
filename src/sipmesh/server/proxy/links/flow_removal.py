"""Removes a flow that has ended from every part of a server that knows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sipmesh.server.proxy.calls.outsiders import Outsiders
    from sipmesh.server.proxy.events.event_server import EventServer
    from sipmesh.server.proxy.flow import Flow
    from sipmesh.server.proxy.flow_table import FlowTable
    from sipmesh.server.proxy.login.access_proxy import AccessProxy
    from sipmesh.server.proxy.login.digest_auth import DigestAuth
    from sipmesh.server.proxy.login.login_waits import LoginWaits
    from sipmesh.server.proxy.other_processes import OtherProcesses
    from sipmesh.server.proxy.registrar.registrations import Registrations
    from sipmesh.server.proxy.relay import Relay
    from sipmesh.server.quotas.principals import Principals


class FlowRemoval:
    """The parts of a server that know its flows."""

    def __init__(
        self,
        *,
        flow_table: FlowTable,
        logins: DigestAuth,
        login_waits: LoginWaits,
        access: AccessProxy,
        accounts: Principals,
        registrations: Registrations,
        relay: Relay,
        events: EventServer,
        siblings: OtherProcesses,
        outsiders: Outsiders,
    ) -> None:
        self._flow_table, self._login_waits, self._accounts = flow_table, login_waits, accounts
        self._logins = logins
        self._access = access
        self._registrations, self._relay, self._events = registrations, relay, events
        self._siblings, self._outsiders = siblings, outsiders

    def link_down(self, flow: Flow, why: str) -> None:
        """Remove the flow of a link that has closed because of *why*, with its bindings and its branches."""
        self._forget(flow)
        self._relay.link_down(flow)
        self._events.link_down(flow)
        self._access.link_down(flow)
        self._outsiders.link_down(flow, why)

    def flow_ended(self, flow: Flow) -> None:
        """Remove a carried flow that has ended, with its bindings and its branches; the link that carries it stays."""
        flow.closed = True
        self._siblings.link_down(flow.link, flow.link.why)
        self._forget(flow)
        self._access.link_down(flow)
        self._relay.flow_ended(flow)
        self._events.flow_ended(flow)
        flow.link.flow = None

    def _forget(self, flow: Flow) -> None:
        self._flow_table.forget(flow)
        self._logins.gone(flow)
        self._login_waits.gone(flow)
        self._accounts.gone(flow)
        self._registrations.flow_closed(flow)
