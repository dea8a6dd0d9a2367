"""Build the control plane of a managed server: a front end or an edge. Management does not import this module."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sipmesh.server.admin.status_report import status_of
from sipmesh.server.agent.agent import Agent
from sipmesh.server.agent.users_at_start import load_users
from sipmesh.server.here import here
from sipmesh.server.tracing.traced_message import TraceReply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sipmesh.server.log import Log
    from sipmesh.server.refresh.reloader import Reloader
    from sipmesh.server.replication.document_store import DocumentStore
    from sipmesh.server.replication.server_status import FetchedCrl, ServerStatus
    from sipmesh.server.running.running_server import RunningServer


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
    trace = partial(_traced, node)
    of_calls = node.records.keep, partial(_call_ended, node)
    parts = (node, documents, reloader, own_status, here(node.view), node.loop, dial, fetch_crls, trace)
    agent = Agent(*parts, *of_calls, log)
    node.outside.control_plane = agent
    return agent


async def _traced(node: RunningServer, asked: Mapping[str, object]) -> TraceReply:
    """Ask all processes of the server for the messages of a trace."""
    tracing = node.outside.tracing
    return await tracing(asked) if tracing is not None else TraceReply()


async def _call_ended(node: RunningServer, asked: Mapping[str, object]) -> object:
    """Have all processes of the server end a call."""
    ending = node.outside.ending
    return await ending(asked) if ending is not None else None


async def _fetched_crls(node: RunningServer) -> tuple[FetchedCrl, ...]:
    """Fetch each CRL of the topology in force once; its modules are imported for the first order."""
    from sipmesh.server.refresh.crl_check import fetched_crls

    return await fetched_crls(node.view, node.resolver, node.gatekeeper.clock())
