"""Where a request really came from, noted in its top Via (RFC 3261 section 18.2.1, RFC 3581 section 4)."""

from __future__ import annotations

from dataclasses import replace

from sipmesh.sip.message import Request


def mark_received(request: Request, host: str, port: int) -> None:
    """Add ``received`` where the top Via names another host than *host*, and fill in an ``rport`` that was asked for.

    The response goes back on the link in any case; the client learns from it how the world sees it.
    """
    via = request.top_via
    asks = any(name == "rport" and not value for name, value in via.params)
    if via.host == host and not asks:
        return
    kept = tuple((name, value) for name, value in via.params if name != "received" and not (asks and name == "rport"))
    noted = (("received", host), *((("rport", str(port)),) if asks else ()))
    request.pop_item("via")
    request.prepend("via", str(replace(via, params=(*kept, *noted))))
