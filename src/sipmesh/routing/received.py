"""Where a request really came from, noted in its top Via (RFC 3261 section 18.2.1, RFC 3581 section 4)."""

from __future__ import annotations

from sipmesh.sip.message import Request


def mark_received(request: Request, host: str, port: int) -> None:
    """Add ``received`` where the top Via names another host than *host*, and fill in an ``rport`` that was asked for.

    The response goes back on the link in any case; the client learns from it how the world sees it.
    """
    via = request.top_via
    if via.host == host and not via.asks_for_port:
        return
    request.pop_item("via")
    request.prepend("via", str(via.received(host, port)))
