"""Requests as they have arrived on a flow, for tests that hand them to one part of a server."""

from __future__ import annotations

from typing import Any

from sipmesh.server.proxy.flow import Flow, ReceivedRequest, RequestServer
from sipmesh.sip.message import Request


def received(flow: Flow | Any, request: Request, server: RequestServer | None = None) -> ReceivedRequest:
    """The *request* in the transaction ``key``; *server* serves it."""
    return ReceivedRequest(flow, request, "key", server or RequestServer())
