"""The post of one server: master where management is, member elsewhere, none in a network without management."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from sipmesh.distribution.event import Here
from sipmesh.server.agent.agent import Agent
from sipmesh.server.management.controller import Controller
from sipmesh.server.replication.document_store import DocumentStore
from sipmesh.server.replication.topology_source import PublishedVersion
from sipmesh.storage.users import Users
from sipmesh.trust.evidence import LinkKind

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from sipmesh.server.log import Log
    from sipmesh.server.refresh.reloader import Reloader
    from sipmesh.server.replication.server_status import ServerStatus
    from sipmesh.server.replication.topology_source import TopologySource
    from sipmesh.server.running_server import RunningServer
    from sipmesh.topology.document.load import Loaded
    from sipmesh.topology.view import ServerView
    from sipmesh.trust.x509.certificate import CertificateId


class _Host:
    """The server that a post is part of."""

    def __init__(self, node: RunningServer, reading: Reloader) -> None:
        self._node, self._reading = node, reading

    @property
    def view(self) -> ServerView:
        return self._node.view

    def take(self, loaded: Loaded) -> list[str]:
        return self._reading.put_in_force(loaded)

    def take_revoked(self, named: Iterable[CertificateId]) -> list[str]:
        return self._node.take_revoked(named)

    def take_users(self, document: bytes) -> int:
        return self._node.take_users(document)

    def users_number(self) -> int:
        return self._node.users_number

    def look(self, files: list[Path]) -> object:
        return self._reading.look(files)

    def not_listening(self) -> tuple[str, ...]:
        return self._node.not_listening

    def standing(self) -> ServerStatus:
        return self._node.standing()


def here(view: ServerView) -> Here:
    """Who we are in the dialogs of our event package."""
    spec = next(one for one in view.listeners if one.kind is LinkKind.SERVER)
    return Here(view.name, f"{spec.name}:{spec.port}", lambda: secrets.token_hex(12))


def post_for(node: RunningServer, source: TopologySource, reading: Reloader, log: Log) -> Controller | Agent | None:
    """Make the post that goes with the *source* of a server's topology, and have the server's messages go to it."""
    host, loop, dial = _Host(node, reading), node.loop, node.connector.dial
    post: Controller | Agent
    if isinstance(source, PublishedVersion):
        users = Users(node.view.loaded.users_url)
        post = Controller(host, source.management_db, users, here(node.view), loop, dial, log)
    elif isinstance(source, DocumentStore):
        node.is_managed = True
        for payload in source.users():
            node.take_users(payload)
        source.on_known = node.gatekeeper.knows_of
        post = Agent(host, source, here(node.view), loop, dial, host.look, log)
    else:
        return None
    node.dispatch.post, node.on_lists, node.on_shown = post, post.lists_taken, post.report
    return post
