"""Choose the role of one server in the control plane: controller, agent, or none in a network without management.

Each role has a module of its own, which only a server of that role imports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sipmesh.errors import LocalError
from sipmesh.server.replication.document_store import DocumentStore
from sipmesh.server.replication.topology_source import DraftFile

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipmesh.server.agent.agent import Agent
    from sipmesh.server.log import Log
    from sipmesh.server.management.controller import Controller
    from sipmesh.server.refresh.reloader import Reloader
    from sipmesh.server.replication.server_status import ServerStatus
    from sipmesh.server.replication.topology_source import TopologySource
    from sipmesh.server.running.running_server import RunningServer


class ControlPlaneRole(NamedTuple):
    """The part of one server in the control plane; both are None in a network without management, and in a worker."""

    controller: Controller | None = None
    agent: Agent | None = None


def attach_control_plane(
    node: RunningServer,
    source: TopologySource,
    reloader: Reloader,
    log: Log,
    status: Callable[[], ServerStatus] | None = None,
) -> ControlPlaneRole:
    """Attach the role for the *source* of a server's topology.

    *status* is that of a managed server of several processes.
    """
    if isinstance(source, DocumentStore):
        from sipmesh.server.agent_wiring import attach_agent

        return ControlPlaneRole(agent=attach_agent(node, source, reloader, log, status))
    if isinstance(source, DraftFile):
        return ControlPlaneRole()
    from sipmesh.server.management_wiring import attach_controller
    from sipmesh.server.replication.published_version import PublishedVersion

    if not isinstance(source, PublishedVersion):
        raise LocalError(f"no role in the control plane for {source!r}")
    return ControlPlaneRole(controller=attach_controller(node, source, reloader, log))
