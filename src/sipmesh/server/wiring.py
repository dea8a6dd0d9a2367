"""Choose the role of one server in the control plane: controller, agent, or none in a network without management."""

from __future__ import annotations

import secrets
from functools import partial
from typing import TYPE_CHECKING

from sipmesh.distribution.event import Here
from sipmesh.server.admin.status_report import status_of
from sipmesh.server.agent.agent import Agent
from sipmesh.server.agent.users_at_start import load_users
from sipmesh.server.management.controller import Controller
from sipmesh.server.replication.document_store import DocumentStore
from sipmesh.server.replication.published_version import PublishedVersion
from sipmesh.storage.seen_users import SeenUsers
from sipmesh.storage.users.user_database import Users
from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipmesh.server.log import Log
    from sipmesh.server.refresh.reloader import Reloader
    from sipmesh.server.replication.server_status import FetchedCrl, ServerStatus
    from sipmesh.server.replication.topology_source import TopologySource
    from sipmesh.server.running.running_server import RunningServer
    from sipmesh.topology.view import ServerView


def here(view: ServerView) -> Here:
    """Return our identity in the dialogs of our event package."""
    spec = next(listener for listener in view.listeners if listener.kind is LinkKind.SERVER)
    return Here(view.name, f"{spec.name}:{spec.port}", lambda: secrets.token_hex(12))


def attach_controller(node: RunningServer, source: PublishedVersion, reloader: Reloader, log: Log) -> Controller:
    """Make *node* the management server, which publishes into the history of *source*."""
    loaded, status = node.view.loaded, partial(status_of, node)
    users = Users(loaded.users_url, seen=SeenUsers(loaded.folder))
    controller = Controller(node, reloader, status, source, users, here(node.view), node.loop, node.connector.dial, log)
    node.outside.control_plane = controller
    return controller


def attach_agent(
    node: RunningServer,
    documents: DocumentStore,
    reloader: Reloader,
    log: Log,
    status: Callable[[], ServerStatus] | None = None,
) -> Agent:
    """Make *node* a managed server, which starts with the users in its *documents*; *status* is that of all its processes."""
    load_users(documents.users, node.users, log)
    own_status = status or partial(status_of, node)
    dial, fetch_crls = node.connector.dial, partial(_fetched_crls, node)
    agent = Agent(node, documents, reloader, own_status, here(node.view), node.loop, dial, fetch_crls, log)
    node.outside.control_plane = agent
    return agent


async def _fetched_crls(node: RunningServer) -> tuple[FetchedCrl, ...]:
    """Fetch each CRL of the topology in force once; its modules are imported for the first order."""
    from sipmesh.server.refresh.crl_check import fetched_crls

    return await fetched_crls(node.view, node.resolver, node.gatekeeper.clock())


def attach_control_plane(
    node: RunningServer,
    source: TopologySource,
    reloader: Reloader,
    log: Log,
    status: Callable[[], ServerStatus] | None = None,
) -> Controller | Agent | None:
    """Attach the role for the *source* of a server's topology; None in a network without management.

    *status* is that of a managed server of several processes.
    """
    if isinstance(source, PublishedVersion):
        return attach_controller(node, source, reloader, log)
    if isinstance(source, DocumentStore):
        return attach_agent(node, source, reloader, log, status)
    return None
