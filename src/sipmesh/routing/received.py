"""Where a request really came from, noted in its top Via (RFC 3261 section 18.2.1, RFC 3581 section 4)."""

from __future__ import annotations

from functools import lru_cache

from sipmesh.sip.fields import Via
from sipmesh.sip.message import Request


def mark_received(request: Request, host: str, port: int) -> None:
    """Add ``received`` where the top Via names another host than *host*, and fill in an ``rport`` that was asked for.

    The response goes back on the link in any case; the client learns from it how the world sees it.
    """
    via = request.top_via
    if via.host == host and not via.asks_for_port:
        return
    if via.around is None:
        request.replace_item("via", str(via.received(host, port)))
        return
    before, after = _marked(via.around[0], via.around[1], host, port)
    request.replace_item("via", f"{before};branch={via.branch}{after}")


@lru_cache(maxsize=2048)
def _marked(before: str, after: str, host: str, port: int) -> tuple[str, str]:
    """Give what stands before and after the branch of a marked Via: the same for every request of one link."""
    marked, _, behind = str(Via.parse(f"{before};branch={after}").received(host, port)).partition(";branch=")
    return marked, behind
