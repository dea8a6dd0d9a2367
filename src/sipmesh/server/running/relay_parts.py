"""The parts of one server that send requests on: the relay, the way to and from home pools, and what ends with a flow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipmesh.server.proxy.branch_sender import BranchSender
from sipmesh.server.proxy.links.flow_removal import FlowRemoval
from sipmesh.server.proxy.links.home_flows import HomeFlows
from sipmesh.server.proxy.login.access_proxy import AccessProxy
from sipmesh.server.proxy.login.end_of_flow import EndOfFlow
from sipmesh.server.proxy.login.login_waits import LoginWaits
from sipmesh.server.proxy.relay import Relay
from sipmesh.server.proxy.response_admission import ResponseAdmission
from sipmesh.server.proxy.transactions.client_transactions import ClientTransactions
from sipmesh.server.running.server_setup import new_nonce_key, new_token
from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    from sipmesh.server.proxy.events.event_server import EventServer
    from sipmesh.server.running.forwarding_parts import ForwardingParts
    from sipmesh.server.running.peer_parts import PeerParts
    from sipmesh.server.running.server_setup import ServerSetup
    from sipmesh.server.running.user_parts import UserParts


class RelayParts:
    """The branches of requests; *access* has links of users of other pools, and *home_flows* those of ours elsewhere."""

    def __init__(
        self, setup: ServerSetup, peers: PeerParts, forwarding: ForwardingParts, users: UserParts, events: EventServer
    ) -> None:
        current, tokens, flow_table = setup.current, setup.stores.tokens, peers.flow_table
        end_of_flow = EndOfFlow(setup.view.name, events.own_requests, new_token, peers.peer_log)
        port = setup.advertised[LinkKind.SERVER]
        self.access = AccessProxy(
            current, tokens, flow_table, users.logins, peers.accounts, end_of_flow, port, forwarding.outages
        )
        self.relay = _relay(setup, peers, forwarding, self.access)
        self.login_waits = LoginWaits(setup.loop, users.failures, peers.accounts)
        self.removal = FlowRemoval(
            flow_table=flow_table,
            logins=users.logins,
            login_waits=self.login_waits,
            access=self.access,
            accounts=peers.accounts,
            registrations=forwarding.registrations,
            relay=self.relay,
            events=events,
            siblings=peers.siblings,
            outsiders=forwarding.outsiders,
        )
        self.home_flows = HomeFlows(
            peers.reactor, flow_table, tokens, new_nonce_key(), end_of_flow, self.removal, current
        )


def _relay(setup: ServerSetup, peers: PeerParts, forwarding: ForwardingParts, access: AccessProxy) -> Relay:
    client_transactions = ClientTransactions(setup.loop.time)
    sender = BranchSender(
        peers.flow_table,
        forwarding.requests,
        client_transactions,
        forwarding.outages,
        forwarding.trunk_outages,
        forwarding.trunk_logins,
    )
    admission = ResponseAdmission(
        setup.current,
        access,
        forwarding.requests,
        forwarding.privacy,
        forwarding.answerers,
        sender,
        forwarding.trunk_logins,
        forwarding.calls,
    )
    return Relay(
        setup.loop.time,
        peers.flow_table,
        forwarding.registrations,
        access,
        admission,
        forwarding.server_transactions,
        client_transactions,
        sender,
        forwarding.media,
        peers.refusals,
        forwarding.calls,
    )
