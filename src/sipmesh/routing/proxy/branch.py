"""Branches of our Via: unique for ever, and able to tell a loop from a spiral (RFC 3261 sections 16.3, 16.6 and 8.1.1.7)."""

from __future__ import annotations

from typing import Final

from sipmesh.sip.message import Request
from sipmesh.sip.rows import ROUTE

MAGIC_COOKIE: Final = "z9hG4bK"
_SPARE: Final = 24  # bits of a hash that are left out: what is left of it is a small integer, which is soon written

_BETWEEN: Final = "x"
"""Stands between the numbers of a branch. It is no digit, and it is alphanumeric: such a branch is checked quickly."""


def loop_hash(request: Request) -> str:
    """Digest the fields that decide where a request goes: the same value again means the same way again.

    RFC 3261 section 16.6 item 8 names the Request-URI, the tags, Call-ID, CSeq number, Proxy-Require and Route. The value
    means something in this process only, as do the branches that it stands in.
    """
    routes = tuple(request.values("route")) if request.present & ROUTE else ()
    decisive = (request.uri, request.from_.tag, request.to.tag, request.call_id, request.cseq.number, routes)
    return str(abs(hash(decisive)) >> _SPARE)


class Branches:
    """Mints the branches of one incarnation of a server."""

    __slots__ = ("_count", "_prefix", "_sent_by")

    def __init__(self, incarnation: int, sent_by: frozenset[str]) -> None:
        self._prefix, self._count, self._sent_by = f"{MAGIC_COOKIE}{incarnation:x}{_BETWEEN}", 0, sent_by

    def __repr__(self) -> str:
        return f"<Branches {self._prefix}{self._count}>"

    def mint(self, loop: str) -> str:
        """Return a branch that nobody has used before; *loop* is the request's `loop_hash`."""
        self._count += 1
        return f"{self._prefix}{self._count}{_BETWEEN}{loop}"

    def looped(self, request: Request, loop: str) -> bool:
        """Tell whether this very request has passed here on its way (RFC 3261 section 16.3 item 4)."""
        if not request.has_lower_via:  # a loop has our Via and another
            return False
        for via in request.vias:
            if via.branch and via.sent_by in self._sent_by and via.branch.endswith(f"{_BETWEEN}{loop}"):
                return True
        return False
