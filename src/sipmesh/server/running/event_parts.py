"""The parts of one server that store messages for users, deliver them, and notify of presence and registrations."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sipmesh.server.proxy.events.event_server import EventServer
from sipmesh.server.proxy.events.group_messages import GroupMessages
from sipmesh.server.proxy.events.message_delivery import MessageDelivery
from sipmesh.server.proxy.events.message_storing import MessageStoring
from sipmesh.server.proxy.events.notifier import EventNotifier
from sipmesh.server.proxy.events.own_documents import OwnDocuments
from sipmesh.server.proxy.events.own_requests import OwnRequests
from sipmesh.server.proxy.events.publications import Publications
from sipmesh.server.proxy.events.quality_reports import QualityReports
from sipmesh.server.proxy.events.turn_credentials import TurnCredentials
from sipmesh.server.proxy.events.user_profile import UserProfile
from sipmesh.server.proxy.events.user_search import UserSearches
from sipmesh.server.running.server_setup import new_token

if TYPE_CHECKING:
    from sipmesh.server.running.forwarding_parts import ForwardingParts
    from sipmesh.server.running.peer_parts import PeerParts
    from sipmesh.server.running.server_setup import ServerSetup


def event_server(setup: ServerSetup, peers: PeerParts, forwarding: ForwardingParts) -> EventServer:
    """Build the server of events and of stored messages."""
    current, clock, queue = setup.current, setup.loop.time, setup.stores.messages
    own_requests = OwnRequests(setup.view.name, clock, peers.flow_table, setup.branches, setup.advertised, current)
    registrations, rules = forwarding.registrations, setup.rules
    delivery = MessageDelivery(setup.process, queue, registrations, own_requests, current, clock, peers.peer_log)
    storing = MessageStoring(queue, current, clock, lambda: datetime.now(UTC), rules)
    profile = UserProfile(current, TurnCredentials(current, time.time, peers.peer_log), time.time)
    notifier = EventNotifier(
        peers.flow_table,
        own_requests,
        registrations,
        Publications(clock, new_token),
        setup.advertised,
        rules,
        peers.accounts,
        OwnDocuments(profile, UserSearches(current, clock), forwarding.history),
        new_token,
        clock,
    )
    groups = GroupMessages(storing, own_requests, peers.flow_table, current, rules, clock)
    quality, outages = QualityReports(forwarding.calls.records, new_token), forwarding.outages
    return EventServer(
        queue,
        own_requests,
        storing,
        delivery,
        notifier,
        groups,
        quality,
        forwarding.history,
        outages,
        current,
        clock,
        setup.log,
    )
